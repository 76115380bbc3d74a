"""Whether a value came back from its file as it was."""

import math
import sys
from collections.abc import Mapping, Set
from typing import Any

from .errors import ProjectError

OPAQUE = (type, type(len), type(lambda: None))  # classes and functions come back by their names


def difference(before: Any, after: Any, where: str = "the value") -> str | None:
    """How a value that was loaded back differs from the one that was saved, or None.

    Values are compared by their type's own equality, arrays and containers element by element, and
    other objects by their attributes, as far as both have them.
    """
    return _difference(before, after, where, set())


def plain(value: Any, where: str = "") -> Any:
    """A value as JSON has it, numbers of numpy as Python's. Raises ProjectError for what would change."""
    if _is_of_numpy(value, "generic"):
        return plain(value.item(), where)
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                inside = f" in {where}" if where else ""
                raise ProjectError(f"key {key!r}{inside} is {_a(key)}; JSON keys are text")
        return {key: plain(one, f"{where}.{key}" if where else key) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one, f"{where}[{place}]") for place, one in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise ProjectError(f"{where or 'the value'} is {value!r}; JSON has no such number")
    if value is None or isinstance(value, str | int | float):
        return value
    hint = " Save its tolist()." if _is_of_numpy(value, "ndarray") else ""
    raise ProjectError(
        f"{where or 'the value'} is {_a(value)}; JSON has only objects, lists, text, numbers, true, false and null.{hint}"
    )


def _is_of_numpy(value: Any, kind: str) -> bool:
    """Whether a value is of a class of numpy, which not every project has, nor every process needs."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, getattr(numpy, kind))


def _difference(before: Any, after: Any, where: str, seen: set[int]) -> str | None:
    if before is after or id(before) in seen:
        return None
    if _is_of_numpy(before, "generic") and not _is_of_numpy(before, "void"):
        before = before.item()
        after = after.item() if _is_of_numpy(after, "generic") else after
    if _is_of_numpy(before, "ndarray"):
        return _of_arrays(before, after, where)
    if isinstance(before, float) and before != before and isinstance(after, float):
        return None if after != after else f"{where} was {before} and came back as {after}"
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return _of_mappings(before, after, where, seen)
    if type(before) is not type(after) and not _equal(before, after):
        return f"{where} was {_a(before)} and came back as {_a(after)}"
    if isinstance(before, list | tuple):
        return _of_sequences(before, after, where, seen)
    if hasattr(before, "equals"):  # pandas, polars, pyarrow
        return None if before.equals(after) else f"{where} came back with other values"
    if isinstance(before, OPAQUE) or not _compares(before):
        return _of_attributes(before, after, where, seen)
    return (
        None
        if _equal(before, after)
        else f"{where} was {_short(before)} and came back as {_short(after)}"
    )


def _of_arrays(before: Any, after: Any, where: str) -> str | None:
    if type(before) is not type(after):
        return f"{where} was {_a(before)} and came back as {_a(after)}"
    if before.dtype.newbyteorder("=") != after.dtype.newbyteorder("="):
        return f"{where} had the dtype {before.dtype} and came back with {after.dtype}"
    if before.shape != after.shape:
        return f"{where} had the shape {before.shape} and came back with {after.shape}"
    if before.dtype.kind == "O":
        return _of_sequences(before.ravel().tolist(), after.ravel().tolist(), where, set())
    import numpy as np

    same = before.dtype.kind != "V" and np.array_equal(before, after, before.dtype.kind in "fc")
    if before.dtype.kind == "V":
        same = before.tobytes() == after.tobytes()
    if hasattr(before, "mask"):
        same = same and np.array_equal(before.mask, after.mask)
    return None if same else f"{where} came back with other values"


def _of_mappings(before: Any, after: Any, where: str, seen: set[int]) -> str | None:
    mine, theirs = {repr(key) for key in before}, {repr(key) for key in after}
    if mine != theirs:
        return f"{where} came back with other keys: {', '.join(sorted(mine ^ theirs))}"
    seen = {*seen, id(before)}
    pairs = ((key, before[key], after[key]) for key in before if key in after)
    faults = (_difference(one, other, f"key {key}", seen) for key, one, other in pairs)
    return next(filter(None, faults), None)


def _of_sequences(before: Any, after: Any, where: str, seen: set[int]) -> str | None:
    if len(before) != len(after):
        return f"{where} had {len(before)} elements and came back with {len(after)}"
    seen = {*seen, id(before)}
    pairs = enumerate(zip(before, after, strict=True))
    faults = (_difference(one, other, f"{where}[{i}]", seen) for i, (one, other) in pairs)
    return next(filter(None, faults), None)


def _of_attributes(before: Any, after: Any, where: str, seen: set[int]) -> str | None:
    """What an object says of itself: what it leaves out of its state, caches and locks, it may."""
    mine, theirs = getattr(before, "__dict__", {}), getattr(after, "__dict__", {})
    seen = {*seen, id(before)}
    if isinstance(before, OPAQUE):
        return None
    pairs = ((name, mine[name], theirs[name]) for name in mine if name in theirs)
    faults = (_difference(one, other, f"{where}.{name}", seen) for name, one, other in pairs)
    return next(filter(None, faults), None)


def _compares(value: Any) -> bool:
    """Whether two equal values of this type are known to be equal."""
    own: Any = type(value).__eq__
    return own is not object.__eq__ or isinstance(value, Set)


def _equal(before: Any, after: Any) -> bool:
    try:
        return bool(before == after)
    except (TypeError, ValueError):
        return False


def _a(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}\u2026"
