"""How the model predicts. This file is yours."""

from typing import Any, ClassVar

import numpy as np

from .. import Columns, manifest, to_columns, to_rows
from .schema import EXAMPLES, Prediction, Row


class Model:
    """Loads the trained artifacts once, then predicts as often as you like."""

    examples: ClassVar = EXAMPLES
    """Rows for the documentation and for a first try."""

    def __init__(self) -> None:
        self.estimator = manifest.load_model("model")

    def predict(self, data: list[Row]) -> list[Prediction]:
        """Predict each row, in the same order."""
        loads = self.estimator.predict(features(to_columns(data, Row)))
        return to_rows(to_columns(loads, Prediction), Prediction)


def features(columns: Columns) -> Columns:
    """Prepare columns for the estimator: the only preparation outside it, in training and in service."""
    return {name: _prepared(column) for name, column in columns.items()}


def _prepared(column: Any) -> Any:
    """Make a date a number and a missing word a word of its own; missing numbers are the estimator's to fill."""
    if column.dtype.kind == "M":
        days = column.astype("datetime64[s]").astype(np.float64) / 86_400  # since 1970
        return np.where(np.isnat(column), np.nan, days)
    if column.dtype == object:
        return np.array(["missing" if word is None else str(word) for word in column], object)
    return column
