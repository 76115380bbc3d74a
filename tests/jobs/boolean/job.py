"""Whether a customer leaves: true or false, and not a word for it."""

from typing import Any

import numpy as np
import pandas as pd

TEMPLATE = "project"
SETTINGS = {"data": "raw/customers.csv"}


def table() -> Any:
    """Return the data."""
    chance = np.random.default_rng(9)
    size = 600
    contract = np.array(["month", "year"])[chance.integers(0, 2, size)]
    months = chance.integers(0, 72, size)
    paperless = np.array([True, False, None], object)[chance.integers(0, 3, size)]
    odds = 3 * (contract == "month") - months / 20 + chance.normal(0, 0.7, size)
    return pd.DataFrame(
        {
            "contract": contract,
            "months": months,
            "paperless": paperless,
            "churned": odds > 0.5,
        }
    )


def expected(estimator: Any, prepared: Any) -> Any:
    """Return what the estimator says of the table."""
    shares = estimator.predict_proba(prepared)
    return [
        {"churned": bool(label), "probabilities": {"false": no, "true": yes}}
        for label, (no, yes) in zip(estimator.predict(prepared), shares.tolist(), strict=True)
    ]
