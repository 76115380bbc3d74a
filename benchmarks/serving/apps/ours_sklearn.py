# mypy: disable-error-code="import-not-found,import-untyped", allow-subclassing-any
"""models/model.py of a generated project that serves the scikit-learn estimator itself."""

from __future__ import annotations

import os

import joblib
import msgspec
import numpy as np


class Prediction(msgspec.Struct):
    """The label, and how probable each one is."""

    label: int
    probabilities: list[float]


class Model:
    """Loads the estimator once, then predicts."""

    def __init__(self) -> None:
        self.estimator = joblib.load(os.environ["BENCH_ESTIMATOR"])

    def predict(self, data: list[list[float]]) -> list[Prediction]:
        """One prediction for each row, in the same order."""
        shares = self.estimator.predict_proba(np.array(data))
        labels = self.estimator.classes_[shares.argmax(axis=1)]
        return [
            Prediction(label, row)
            for label, row in zip(labels.tolist(), shares.tolist(), strict=True)
        ]
