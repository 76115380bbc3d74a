"""What it takes to heat and to cool a building: two targets, and a model without predict_columns."""

from typing import Any

import numpy as np
import pandas as pd

TEMPLATE = "regression"
SETTINGS = {"data": "raw/buildings.csv"}


def table() -> Any:
    """Return the data."""
    chance = np.random.default_rng(4)
    compactness = chance.uniform(0.5, 1, 500).round(2)
    glazing = chance.uniform(0, 0.5, 500).round(2)
    floors = chance.integers(1, 9, 500)
    return pd.DataFrame(
        {
            "compactness": compactness,
            "glazing": glazing,
            "floors": floors,
            "heating": (50 * (1 - compactness) + 9 * glazing).round(2),
            "cooling": (1_000 + 300 * glazing + 20 * floors).round(2),
        }
    )


def expected(estimator: Any, prepared: Any) -> Any:
    """Return what the estimator says of the table."""
    return [
        dict(zip(["heating", "cooling"], row, strict=True)) for row in estimator.predict(prepared)
    ]
