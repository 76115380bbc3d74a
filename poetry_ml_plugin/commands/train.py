"""`poetry ml train`: the project's own verb."""

from __future__ import annotations

from poetry_ml_plugin.commands.base.verb import Verb, verb_help


class Train(Verb):
    name = "ml train"
    description = "Trains the model and saves it with its manifest."
    help = verb_help("train")
