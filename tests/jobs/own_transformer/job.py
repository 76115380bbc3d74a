"""Penguins, with a transformer of one's own in a module of the package."""

from typing import Any

TEMPLATE = "project"
SETTINGS: dict[str, str] = {}
NEEDS = ("pandas", "scikit-learn", "skops")


def expected(estimator: Any, prepared: Any) -> Any:
    """Return what the estimator says of the table."""
    shares = estimator.predict_proba(prepared)
    return [
        {"species": label, "probabilities": dict(zip(estimator.classes_, row, strict=True))}
        for label, row in zip(estimator.predict(prepared), shares.tolist(), strict=True)
    ]
