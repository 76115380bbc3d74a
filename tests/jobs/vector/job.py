"""The load of a grid in each hour of a day: a vector."""

from typing import Any

import numpy as np
import pandas as pd

TEMPLATE = "regression"
SETTINGS = {"data": "raw/days.csv", "trees": "20"}


def table() -> Any:
    """Return the data."""
    chance = np.random.default_rng(5)
    temperature = chance.normal(12, 9, 400).clip(-40, 45).round(1)
    weekday = chance.integers(1, 8, 400)
    days = pd.DataFrame(
        {"temperature": temperature, "weekday": weekday, "holiday": chance.random(400) < 0.05}
    )
    shape = 50 + 20 * np.sin(np.arange(24) / 24 * 2 * np.pi)
    for hour in range(24):
        days[f"hour {hour}"] = (shape[hour] + abs(temperature - 18) - 9 * (weekday > 5)).round(2)
    return days


def expected(estimator: Any, prepared: Any) -> Any:
    """Return what the estimator says of the table."""
    return [{"load": row.tolist()} for row in estimator.predict(prepared)]
