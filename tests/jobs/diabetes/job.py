"""How a diabetes progresses in a year: scikit-learn's own data, in the units it was measured in."""

from typing import Any

from sklearn.datasets import load_diabetes

TEMPLATE = "regression"
SETTINGS = {"data": "raw/diabetes.csv", "max_depth": "6"}


def table() -> Any:
    """Return the data."""
    return load_diabetes(as_frame=True, scaled=False).frame.rename(
        columns={"target": "progression"}
    )
