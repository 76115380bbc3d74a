"""Groups of customers by KMeans: nothing is to be predicted but the group."""

from typing import Any

import numpy as np
import pandas as pd

TEMPLATE = "regression"
SETTINGS = {"data": "raw/customers.csv"}


def table() -> Any:
    """Return the data."""
    chance = np.random.default_rng(6)
    group = chance.integers(0, 3, 600)
    orders = chance.poisson(np.array([3, 20, 60])[group])
    return pd.DataFrame(
        {
            "customer": [f"c{n}" for n in range(600)],
            "orders": orders,
            "spent": (orders * chance.gamma(9, 4, 600)).round(2),
            "returned": chance.beta(np.array([1, 2, 5])[group], 9).round(3),
        }
    )


def expected(estimator: Any, prepared: Any) -> Any:
    """Return what the estimator says of the table."""
    return [{"group": int(label)} for label in estimator.predict(prepared)]
