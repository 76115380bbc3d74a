"""Comparison of two answers to the same rows."""

from typing import Any

import numpy as np

# Where all numbers lie close together, far from 0, the tolerance may not hide what tells them apart.
SPREAD = 1e-3


class Difference(Exception):
    """Says how two answers differ: "differs by ..."."""


def compare(got: Any, expected: Any, tolerance: float) -> float:
    """The largest difference of two answers, relative to the scale of the numbers.

    Raises Difference where type, shape or a label differ, or a number by more than the tolerance
    relative to itself and to the largest of all.
    """
    if type(got) is not type(expected):
        raise Difference(f"is a {type(got).__name__} instead of a {type(expected).__name__}")
    if isinstance(expected, list):
        if len(got) != len(expected):
            raise Difference(f"has {len(got)} arrays instead of {len(expected)}")
        pairs = zip(got, expected, strict=True)
        return max((compare(one, other, tolerance) for one, other in pairs), default=0.0)
    if hasattr(expected, "columns"):
        if list(got.columns) != list(expected.columns):
            raise Difference("has other columns than scikit-learn's")
        return compare(got.to_numpy(), expected.to_numpy(), tolerance)
    if hasattr(expected, "toarray"):
        return compare(got.toarray(), expected.toarray(), tolerance)
    got, expected = np.asarray(got), np.asarray(expected)
    if got.shape != expected.shape:
        raise Difference(f"has the shape {got.shape} instead of {expected.shape}")
    if got.dtype != expected.dtype:
        raise Difference(f"has the dtype {got.dtype} instead of {expected.dtype}")
    return (
        _numbers(got, expected, tolerance) if expected.dtype.kind == "f" else _labels(got, expected)
    )


def _labels(got: Any, expected: Any) -> float:
    pairs = zip(got.ravel().tolist(), expected.ravel().tolist(), strict=True)
    differing = sum(type(one) is not type(other) or one != other for one, other in pairs)
    if differing:
        raise Difference(
            f"has {differing} of {expected.size} labels that differ from scikit-learn's"
        )
    return 0.0


def _numbers(got: Any, expected: Any, tolerance: float) -> float:
    finite = np.isfinite(expected)
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    if (~same & ~(finite & np.isfinite(got))).any():
        raise Difference(
            "has NaN or infinity where scikit-learn has a number, or the other way round"
        )
    if same.all():
        return 0.0
    numbers = expected[finite]
    largest, spread = np.abs(numbers).max(), np.ptp(numbers)
    off = np.abs(np.where(same, 0, got - expected))
    allowed = tolerance * (np.abs(np.where(finite, expected, 0)) + largest)
    if spread > 0:
        allowed = np.minimum(allowed, max(tolerance, SPREAD) * spread)
    if (off > allowed).any():
        worst = off[off > allowed].max()
        raise Difference(
            f"differs by {worst:.1g} from scikit-learn's, whose numbers go from {numbers.min():.3g} "
            f"to {numbers.max():.3g}: more than the tolerance of {tolerance:g}"
        )
    return float(off.max() / (largest or 1))
