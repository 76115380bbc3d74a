"""`poetry ml serve`: the project's own verb."""

from __future__ import annotations

from poetry_ml_plugin.commands.base.verb import Verb, verb_help


class Serve(Verb):
    name = "ml serve"
    description = "Serves the model over HTTP."
    help = verb_help("serve")
