"""`poetry ml train`: the project's own verb."""

from __future__ import annotations

from poetry_ml_plugin.commands.base.verb import Verb, verb_help
from poetry_ml_plugin.project import pyproject, yaml_value


class Train(Verb):
    name = "ml train"
    description = "Trains the model and saves it with its manifest."
    help = verb_help("train")

    def uses(self, words: list[str]) -> list[str]:
        path = pyproject.find(self.folder).root / "configs/train.yaml"
        text = path.read_text("utf-8", "replace") if path.is_file() else ""
        tracked = "tracking=mlflow" in words or yaml_value.read(text, "tracking") == "mlflow"
        return ["tracking"] if tracked else []
