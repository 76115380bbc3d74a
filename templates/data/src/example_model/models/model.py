"""How the model predicts. This file is yours."""

from typing import Any, ClassVar

import numpy as np

from .. import Columns, fields_of, manifest, to_columns, to_rows
from .schema import EXAMPLES, TARGET, Prediction, Row

FLAGS = {field.key for field in fields_of(Row) if field.kind.base == "bool"}
"""Fields that are true, false or missing: numbers to an estimator."""


class Model:
    """Loads the trained artifacts once, then predicts as often as you like."""

    examples: ClassVar = EXAMPLES
    """Rows for the documentation and for a first try."""

    def __init__(self) -> None:
        self.estimator = manifest.load_model("model")
        self.threshold = manifest.load("decision.json")["threshold"]

    def predict(self, data: list[Row]) -> list[Prediction]:
        """Predict each row, in the same order."""
        return to_rows(self.predict_columns(to_columns(data, Row)), Prediction)

    def predict_columns(self, columns: Columns) -> Columns:
        """Predict rows that are given as columns: a field of Row each, and of Prediction."""
        prepared = features(columns)
        if not hasattr(self.estimator, "predict_proba"):
            return {TARGET: self.estimator.predict(prepared)}
        probabilities = self.estimator.predict_proba(prepared)
        classes = self.estimator.classes_
        return {
            TARGET: labels(probabilities, classes, self.threshold),
            "probabilities": dict(zip(map(name, classes), probabilities.T, strict=True)),
        }


def labels(probabilities: Any, classes: Any, threshold: float | None) -> Any:
    """Return the most probable class of each row; of two, the second from a probability of `threshold`."""
    if len(classes) == 2 and threshold is not None:
        return classes[(probabilities[:, 1] >= threshold).astype(int)]
    return classes[probabilities.argmax(axis=1)]


def name(label: Any) -> str:
    """Return a class as the key of its probability: yes, 1, true."""
    return str(label).lower() if isinstance(label, bool | np.bool_) else str(label)


def features(columns: Columns) -> Columns:
    """Prepare columns for the estimator: the only preparation outside it, in training and in service.

    Numbers, and the parts of dates, become float32, as ONNX computes with; a missing word is empty.
    """
    prepared: Columns = {}
    for key, column in columns.items():
        if column.dtype.kind == "M":
            prepared |= {f"{key} {part}": values for part, values in parts(column).items()}
        elif column.dtype == object and key not in FLAGS:
            words = ["" if word is None else str(word) for word in column]
            prepared[key] = np.array(words, dtype=object)
        else:
            prepared[key] = column.astype(np.float64).astype(np.float32)
    return prepared


def parts(dates: Any) -> Columns:
    """Return what may matter of dates, as float32: NaN where one is missing."""
    days = dates.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    found = {
        "day": days.astype(np.int64),  # since 1970
        "year": dates.astype("datetime64[Y]").astype(np.int64) + 1970,
        "month": months.astype(np.int64) % 12 + 1,
        "day of month": (days - months).astype(np.int64) + 1,
        "weekday": (days.astype(np.int64) + 3) % 7,  # 0 is Monday
    }
    if dates.dtype != days.dtype:
        found["hour"] = (dates - days).astype("timedelta64[m]").astype(np.int64) / 60
    missing = np.isnat(dates)
    return {
        part: np.where(missing, np.nan, values).astype(np.float32) for part, values in found.items()
    }
