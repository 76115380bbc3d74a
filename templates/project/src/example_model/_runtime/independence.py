"""Whether a row's prediction depends on the other rows of the call."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .columns import Columns, flat, size
from .comparison import Difference, compare

Predict = Callable[[Columns], Columns]

SAMPLE = 256  # rows on which independence is tested
SECONDS = 10.0  # that the test of single rows may take
TOLERANCE = 1e-5  # float32 arithmetic differs by less from one batch size to another


def is_independent(predict: Predict, columns: Columns, predicted: Columns) -> bool:
    """Test whether a row's prediction depends on no other row of the call.

    `predicted` are the predictions of all rows at once. A sample of the rows in another order, and each
    of these alone, must give the same.
    """
    sample = np.random.default_rng(0).permutation(size(columns))[:SAMPLE]
    shuffled = predict(take(columns, sample))
    if not same(shuffled, take(predicted, sample)):
        return False
    deadline = time.monotonic() + SECONDS
    alone = []
    for row in sample:
        alone.append(predict(take(columns, [row])))
        if time.monotonic() > deadline:
            break
    # Compared together, so that a small number is held to the scale of all of them.
    return same(join(alone), take(shuffled, slice(len(alone))))


def same(one: Columns, other: Columns) -> bool:
    """Whether predictions are equal, but for what float32 arithmetic makes of another batch size."""
    ones, others = flat(one), flat(other)
    try:
        for name in ones.keys() | others.keys():
            compare(ones[name], others[name], TOLERANCE)
    except (Difference, KeyError):
        return False
    return True


def take(columns: Columns, indices: Any) -> Columns:
    """Return these rows of columns; a column may be a dict of columns."""
    return {
        name: take(values, indices) if isinstance(values, dict) else values[indices]
        for name, values in columns.items()
    }


def join(parts: list[Columns]) -> Columns:
    """Put columns of some rows below those of others."""
    return {
        name: join([part[name] for part in parts])
        if isinstance(values, dict)
        else np.concatenate([part[name] for part in parts])
        for name, values in parts[0].items()
    }
