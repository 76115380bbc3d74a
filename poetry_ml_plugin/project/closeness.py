"""Whether two plain values, as JSON has them, are the same but for rounding."""

from __future__ import annotations

import math
from typing import Any


def alike(one: Any, other: Any, relative: float, absolute: float) -> bool:
    """Tell whether two values agree, and the floats in them within one of these tolerances."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            alike(one[key], other[key], relative, absolute) for key in one
        )
    if isinstance(one, list) and isinstance(other, list):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(alike(*pair, relative, absolute) for pair in pairs)
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=relative, abs_tol=absolute)
    return bool(one == other)
