"""How the model predicts. This file is yours."""

from typing import Any, ClassVar

import numpy as np

from .. import Columns, manifest, to_columns, to_rows
from .schema import INK, Prediction, Row


def drawn(*lines: str) -> Row:
    """Make an image of eight lines of eight characters: a space is paper, # is ink, + is in between."""
    return Row([{" ": 0.0, "+": INK / 2, "#": INK}[character] for character in "".join(lines)])


class Model:
    """Loads the trained artifacts once, then predicts as often as you like."""

    examples: ClassVar = [
        drawn(
            "  +#+   ",
            "  ##+#+ ",
            "  #  ++ ",
            " +#  ++ ",
            " ++  ++ ",
            " ++  #+ ",
            "  #++#  ",
            "  +#+   ",
        ),
        drawn(
            "   ##+  ",
            "   +#+  ",
            "   ##+  ",
            " +###   ",
            "   ##   ",
            "   ##+  ",
            "   ##+  ",
            "   +#+  ",
        ),
    ]
    """A nought and a one, for the documentation and for a first try."""

    def __init__(self) -> None:
        self.estimator = manifest.load_model("model")

    def predict(self, data: list[Row]) -> list[Prediction]:
        """Predict each row, in the same order."""
        return to_rows(self.predict_columns(to_columns(data, Row)), Prediction)

    def predict_columns(self, columns: Columns) -> Columns:
        """Predict rows that are given as columns: a field of Row each, and of Prediction."""
        pixels = features(columns)
        probabilities = self.estimator.predict_proba(pixels)
        labels = [str(digit) for digit in self.estimator.classes_]
        return {
            "digit": self.estimator.predict(pixels),
            "probabilities": dict(zip(labels, probabilities.T, strict=True)),
        }


def features(columns: Columns) -> Any:
    """Return what the network takes: float32, of shape (rows, 64)."""
    return columns["pixels"].astype(np.float32)
