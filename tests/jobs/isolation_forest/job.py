"""Unusual minutes of a pump by IsolationForest: nothing is known of what is unusual."""

from typing import Any

import numpy as np
import pandas as pd

TEMPLATE = "regression"
SETTINGS = {"data": "raw/pump.csv"}


def table() -> Any:
    """Return the data."""
    chance = np.random.default_rng(7)
    size = 600
    odd = chance.random(size) < 0.03
    return pd.DataFrame(
        {
            "minute": np.arange(size),
            "pressure": (chance.normal(4, 0.3, size) + 4 * odd).round(2),
            "vibration": (chance.gamma(9, 0.2, size) + 9 * odd).round(2),
            "temperature": (chance.normal(60, 3, size) + 60 * odd).round(1),
        }
    )


def expected(estimator: Any, prepared: Any) -> Any:
    """Return what the estimator says of the table."""
    return [{"normal": int(label)} for label in estimator.predict(prepared)]
