"""How the model predicts. This file is yours."""

from typing import Any, ClassVar

import numpy as np

from .. import Columns, manifest, to_columns, to_rows
from .schema import Prediction, Row


class Model:
    """Loads the trained artifacts once, then predicts as often as you like."""

    examples: ClassVar = [
        Row("Torgersen", 39.1, 18.7, 181, 3750, "male"),
        Row("Biscoe", 46.1, 13.2, 211, 4500, "female"),
    ]
    """Rows for the documentation and for a first try."""

    def __init__(self) -> None:
        self.estimator = manifest.load_model("model")

    def predict(self, data: list[Row]) -> list[Prediction]:
        """Predict each row, in the same order."""
        return to_rows(self.predict_columns(to_columns(data, Row)), Prediction)

    def predict_columns(self, columns: Columns) -> Columns:
        """Predict rows that are given as columns: a field of Row each, and of Prediction."""
        prepared = features(columns)
        probabilities = self.estimator.predict_proba(prepared)
        return {
            "species": self.estimator.predict(prepared),
            "probabilities": dict(zip(self.estimator.classes_, probabilities.T, strict=True)),
        }


def features(columns: Columns) -> Columns:
    """Prepare columns for the estimator: the only preparation outside it, in training and in service."""
    return {name: _filled(column) for name, column in columns.items()}


def _filled(column: Any) -> Any:
    """Make a missing word a word of its own; missing numbers are NaN, and the estimator's to fill."""
    if column.dtype != object:
        return column
    return np.array(["missing" if word is None else word for word in column], object)
