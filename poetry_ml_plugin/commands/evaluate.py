"""`poetry ml evaluate`: the project's own verb."""

from __future__ import annotations

from poetry_ml_plugin.commands.base.verb import Verb, verb_help


class Evaluate(Verb):
    name = "ml evaluate"
    description = "Evaluates the saved model on held-out rows, and writes a page about it."
    help = verb_help("evaluate")
    insists = False  # the metrics need no library more, and the verb says how to get the page

    def uses(self, words: list[str]) -> list[str]:
        return ["report"] if {"--open", "--yes"} & set(words) else []
