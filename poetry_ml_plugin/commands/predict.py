"""`poetry ml predict`: the project's own verb."""

from __future__ import annotations

import re

from poetry_ml_plugin.commands.base.verb import Verb, verb_help


class Predict(Verb):
    name = "ml predict"
    description = (
        "Predicts rows given as JSON, as a file or on standard input; with -o, whole files."
    )
    help = verb_help("predict")

    def uses(self, words: list[str]) -> list[str]:
        text = " ".join(word for word in words if word[:1] not in ("[", "{"))  # those are rows
        found = [name for name in ("ray", "dask") if re.search(rf"--engine[ =]{name}\b", text)]
        needs_arrow = re.search(r"\.(parquet|zst)\b|--format[ =]parquet\b|\w://", text)
        return ["parquet", *found] if needs_arrow else found
