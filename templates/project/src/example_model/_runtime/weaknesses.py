"""Where a model is wrong: the worst parts of the rows, and the worst rows."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from .formats import need

MANY = 20  # words of a column that are told apart, slices and mistakes that are shown
FEW = 10  # rows that are too few to judge by


def slices(table: Any, error: Any) -> dict[str, Any]:
    """Return the places of the rows with each word, and in each quarter of a number, the worst first.

    A slice's mean error counts less one standard error, so that few rows do not lead by chance.
    """
    parts = [part for name in table for part in _parts(name, table[name]) if len(part[1]) >= FEW]
    spread = error.std()
    parts.sort(key=lambda part: spread / len(part[1]) ** 0.5 - error[part[1]].mean())
    return dict(parts[:MANY])


def _parts(name: str, values: Any) -> Iterator[tuple[str, Any]]:
    if values.nunique() > MANY:
        if values.dtype.kind not in "fiuM":
            return
        values = need("pandas").qcut(values, 4, duplicates="drop")
    for value, rows in values.groupby(values, observed=True, dropna=False).indices.items():
        if hasattr(value, "left"):
            value = f"{_short(value.left)} to {_short(value.right)}"
        yield f"{name}: {'missing' if value != value else _short(value)}", rows


def _short(value: Any) -> str:
    """Return a value as people write it: 0.25, 1971-01-01."""
    return f"{value:.4g}" if isinstance(value, float) else str(value).removesuffix(" 00:00:00")


def mistakes(error: Any) -> Any:
    """Return the places of the rows with the greatest errors, the worst first."""
    worst = np.argsort(-error, kind="stable")
    return worst[error[worst] > 0][:MANY]
