"""How the model predicts. This file is yours."""

from datetime import date
from typing import ClassVar

import numpy as np

from .. import Columns, manifest, to_columns, to_rows
from .schema import TARGET, Prediction, Row


class Model:
    """Loads the trained artifacts once, then predicts as often as you like."""

    examples: ClassVar = [
        Row(4, 97.0, 2130.0, 14.5, date(1971, 1, 1), "Japan", 88.0),
        Row(8, 350.0, 4100.0, 12.0, date(1976, 1, 1), "USA", 165.0),
    ]
    """Rows for the documentation and for a first try."""

    def __init__(self) -> None:
        self.estimator = manifest.load_model("model")

    def predict(self, data: list[Row]) -> list[Prediction]:
        """Predict each row, in the same order."""
        return to_rows(self.predict_columns(to_columns(data, Row)), Prediction)

    def predict_columns(self, columns: Columns) -> Columns:
        """Predict rows that are given as columns: a field of Row each, and of Prediction."""
        return {TARGET: self.estimator.predict(features(columns))}


def features(columns: Columns) -> Columns:
    """Prepare columns for the estimator: the only preparation outside it, in training and in service."""
    prepared = dict(columns)
    introduced = prepared.pop("introduced")
    # A tree cannot go on beyond the years it has seen, and so the year alone is enough.
    prepared["year"] = introduced.astype("datetime64[Y]").astype(np.int64) + 1970
    return prepared
