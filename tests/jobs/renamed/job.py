"""How well a wine is liked, by columns whose names are none of Python's."""

from typing import Any

import numpy as np
import pandas as pd

TEMPLATE = "regression"
SETTINGS = {"data": "raw/wines.csv"}


def table() -> Any:
    """Return the data."""
    chance = np.random.default_rng(8)
    size = 500
    color = np.array(["red", "white"])[chance.integers(0, 2, size)]
    alcohol = chance.uniform(8, 14, size).round(1)
    return pd.DataFrame(
        {
            "fixed acidity": chance.uniform(4, 14, size).round(1),
            "sulphurDioxide": chance.integers(5, 200, size),
            "wineColor": color,
            "alcohol (%)": np.where(chance.random(size) < 0.1, np.nan, alcohol),
            "quality": (alcohol / 3 + (color == "red") + chance.normal(0, 0.3, size)).round(),
        }
    )
