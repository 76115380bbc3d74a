"""What a delivery costs, by XGBoost on dense one-hot words and on times."""

from typing import Any

import numpy as np
import pandas as pd

TEMPLATE = "regression"
SETTINGS = {"data": "raw/deliveries.csv", "max_depth": "4"}


def table() -> Any:
    """Return the data."""
    chance = np.random.default_rng(3)
    size = 700
    carrier = np.array(["bike", "train", "van"])[chance.integers(0, 3, size)]
    kilometres = chance.gamma(3, 20, size).round(1)
    days = np.datetime64("2024-01-01", "s") + chance.integers(0, 365, size).astype("m8[D]")
    return pd.DataFrame(
        {
            "order": np.arange(size) + 10_000,
            "carrier": carrier,
            "kilometres": kilometres,
            "ordered": days + chance.integers(0, 86_400 // 900, size) * np.timedelta64(900, "s"),
            "fragile": chance.random(size) < 0.3,
            "note": np.where(chance.random(size) < 0.4, None, "ring twice"),
            "price": (4 + kilometres / 9 + 3 * (carrier == "van")).round(2),
        }
    )
