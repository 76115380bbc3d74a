"""Prices of houses by district, of the shape of the Californian ones: a category in words, and gaps."""

from typing import Any

import numpy as np
import pandas as pd

TEMPLATE = "regression"
SETTINGS = {"data": "raw/housing.csv", "trees": "30"}


def table() -> Any:
    """Return the data."""
    chance = np.random.default_rng(1)
    size = 900
    near = np.array(["<1H OCEAN", "INLAND", "NEAR BAY", "NEAR OCEAN"])[chance.integers(0, 4, size)]
    rooms = chance.integers(100, 6_000, size)
    income = chance.gamma(4, 1, size).round(4)
    bedrooms = np.where(chance.random(size) < 0.1, np.nan, rooms // 5)
    value = 40_000 * income + 60_000 * (near != "INLAND") + chance.normal(0, 9_000, size)
    return pd.DataFrame(
        {
            "longitude": chance.uniform(-124, -114, size).round(2),
            "latitude": chance.uniform(32, 42, size).round(2),
            "housing_median_age": chance.integers(1, 53, size),
            "total_rooms": rooms,
            "total_bedrooms": bedrooms,
            "median_income": income,
            "ocean_proximity": near,
            "county": np.where(chance.random(size) < 0.2, None, "Los Ángeles, north"),
            "median_house_value": value.round(),
        }
    )
