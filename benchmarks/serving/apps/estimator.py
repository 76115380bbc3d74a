# mypy: disable-error-code="import-not-found,import-untyped"
"""The scikit-learn estimator, loaded and asked in the same way by every stack that serves it."""

from __future__ import annotations

import os
from typing import Any

import joblib
import numpy as np


def load() -> Any:
    """The fitted estimator."""
    return joblib.load(os.environ["BENCH_ESTIMATOR"])


def predict(estimator: Any, rows: Any) -> tuple[Any, Any]:
    """The labels and the probabilities of rows, with one pass through the model."""
    shares = estimator.predict_proba(np.asarray(rows))
    return estimator.classes_[shares.argmax(axis=1)], shares


def answers(estimator: Any, rows: Any) -> list[dict[str, Any]]:
    """One answer for each row, ready for JSON."""
    labels, shares = predict(estimator, rows)
    return [
        {"label": label, "probabilities": row}
        for label, row in zip(labels.tolist(), shares.tolist(), strict=True)
    ]
