"""How the model predicts. This file is yours."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from .. import Columns, manifest, to_columns, to_rows
from .schema import Prediction, Row

# Words, and what else carries a mood: exclamation marks, hearts, faces.
WORD = re.compile(r"[a-z']+|[!?]+|[^\sa-z0-9'!?]+")


class Model:
    """Loads the trained artifacts once, then predicts as often as you like."""

    examples: ClassVar = [
        Row("Celebrating my wonderful husband. Happy birthday!"),
        Row("The train is late again, and I hate waiting in the cold."),
    ]
    """Rows for the documentation and for a first try."""

    def __init__(self) -> None:
        self.estimator = manifest.load_model("model")
        self.vocabulary: list[str] = manifest.load("vocabulary.json")

    def predict(self, data: list[Row]) -> list[Prediction]:
        """Predict each row, in the same order."""
        return to_rows(self.predict_columns(to_columns(data, Row)), Prediction)

    def predict_columns(self, columns: Columns) -> Columns:
        """Predict rows that are given as columns: a field of Row each, and of Prediction."""
        counts = features(columns, self.vocabulary)
        probabilities = self.estimator.predict_proba(counts)
        return {
            "sentiment": self.estimator.predict(counts),
            "probabilities": dict(zip(self.estimator.classes_, probabilities.T, strict=True)),
        }


def words(text: str) -> list[str]:
    """Return the words of a text, in lower case."""
    return WORD.findall(text.lower())


def features(columns: Columns, vocabulary: Sequence[str]) -> Any:
    """Count how often each word of the vocabulary is in each text: float32, (rows, vocabulary)."""
    # Done here for training and for serving alike: ONNX's own way needs a locale that servers lack.
    column = {word: n for n, word in enumerate(vocabulary)}
    counts = np.zeros((len(columns["text"]), len(vocabulary)), np.float32)
    for row, text in enumerate(columns["text"]):
        for word in words(text):
            if word in column:
                counts[row, column[word]] += 1
    return counts
