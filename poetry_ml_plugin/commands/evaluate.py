"""`poetry ml evaluate`: the project's own verb."""

from __future__ import annotations

from poetry_ml_plugin.commands.base.verb import Verb, verb_help


class Evaluate(Verb):
    name = "ml evaluate"
    description = "Evaluates the saved model on held-out rows."
    help = verb_help("evaluate")
