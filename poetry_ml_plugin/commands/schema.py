"""`poetry ml schema`: the project's own verb."""

from __future__ import annotations

from poetry_ml_plugin.commands.base.verb import Verb, verb_help


class Schema(Verb):
    name = "ml schema"
    description = "Infers a schema from a file of data, writes it, or checks the file against it."
    help = verb_help("schema")
