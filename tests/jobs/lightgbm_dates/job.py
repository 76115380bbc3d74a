"""Which customers leave, by LightGBM on pandas' categories and on dates."""

from typing import Any

import numpy as np
import pandas as pd

TEMPLATE = "project"
SETTINGS = {"data": "raw/customers.csv", "trees": "40"}
NEEDS = ("lightgbm", "pandas", "scikit-learn", "skops")


def table() -> Any:
    """Return the data."""
    chance = np.random.default_rng(2)
    size = 800
    plan = np.array(["basic", "family", "premium"], object)[chance.integers(0, 3, size)]
    region = np.array(["north", "south", None], object)[chance.integers(0, 3, size)]
    joined = np.datetime64("2019-01-01") + chance.integers(0, 1_800, size).astype("m8[D]")
    last = joined + chance.integers(1, 300, size).astype("m8[D]")
    calls = chance.integers(0, 9, size)
    odds = calls + 4 * (plan == "basic") - (joined < np.datetime64("2021-01-01")) * 3
    return pd.DataFrame(
        {
            "customer": [f"c{n}" for n in range(size)],
            "plan": plan,
            "region": region,
            "joined": joined,
            "last_bill": pd.Series(last).where(chance.random(size) > 0.1),
            "calls": calls,
            "status": np.where(odds + chance.normal(0, 1, size) > 5, "left", "stays"),
        }
    )


def expected(estimator: Any, prepared: Any) -> Any:
    """Return what the estimator says of the table."""
    plans, regions = ["basic", "family", "premium"], ["missing", "north", "south"]
    prepared["plan"] = pd.Categorical(prepared["plan"], plans)
    prepared["region"] = pd.Categorical(prepared["region"], regions)
    shares = estimator.predict_proba(prepared)
    return [
        {"status": label, "probabilities": {"left": left, "stays": stays}}
        for label, (left, stays) in zip(estimator.predict(prepared), shares.tolist(), strict=True)
    ]
