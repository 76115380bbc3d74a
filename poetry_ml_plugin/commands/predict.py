"""`poetry ml predict`: the project's own verb."""

from __future__ import annotations

from poetry_ml_plugin.commands.base.verb import Verb, verb_help


class Predict(Verb):
    name = "ml predict"
    description = "Predicts rows given as JSON, as a file or on standard input."
    help = verb_help("predict")

    def uses(self, words: list[str]) -> list[str]:
        return ["parquet"] if any(word.endswith(".parquet") for word in words) else []
