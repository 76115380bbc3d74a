"""Columns of numbers and words, held to the annotations of their fields at once.

None instead of a column says nothing of it: it is to be looked at row by row, where what does not fit is
named.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from . import columns as columnar
from .block import Block
from .columns import ALONE
from .fields import Field, field, fields, is_record, peel
from .signature import Schema


def numbers(part: Field, values: Any, gaps: bool) -> Any:
    """The column of numbers that the annotation allows; an interval holds if it does for both ends."""
    import numpy as np  # late: a model may do without it

    base, kind = part.kind.base, values.dtype.kind
    if part.kind.choices or any(meta.multiple_of for meta in peel(part.type).metas):
        return None
    if base == "bool" and kind == "b" and not part.has_gaps:
        return values
    if base == "int" and kind in "iu" and len(values):
        ends = [int(values.min()), int(values.max())]
        if not fit(part, ends) or ends[1] >= 2**63:
            return None
        return values.astype(np.float64 if part.has_gaps else np.int64, copy=False)
    if base != "float" or kind not in "fiu" or not len(values):
        return None
    values = values.astype(np.float64, copy=False)
    present = values
    if (missing := np.isnan(values)).any():
        if not gaps:
            return None
        present = values[~missing]
    if len(present) and not fit(part, [float(present.min()), float(present.max())]):
        return None
    return values


def fit(part: Field, values: Sequence[Any]) -> bool:
    try:
        columnar.read(part, values, text=False)
    except (ValueError, TypeError):
        return False
    return True


def answered(answers: Block, schema: Schema, names: Sequence[str]) -> dict[str, Any] | None:
    """For each of these fields of an answer an array, or a dict of arrays for its labels.

    An answer without fields has one of any name.
    """
    record = is_record(schema.answer)
    parts = {part.key: part for part in fields(schema.answer)}
    if not record:
        parts = {name: field(ALONE, ALONE, schema.answer) for name in names}
    found: dict[str, Any] = {}
    for name in names:
        values = answers.columns.get(name if record else ALONE)
        found[name] = None if values is None else _output(parts[name], values)
        if found[name] is None:
            return None
    return found


def _output(part: Field, values: Any) -> Any:
    if isinstance(values, dict):
        return _labelled(part, values)
    if values.ndim != 1 or part.kind.members is not None:
        return None
    if part.kind.base == "str":
        return values if values.dtype.kind in "OU" and fit(part, _different(values)) else None
    if part.kind.base == "int" and part.has_gaps:
        return None
    return numbers(part, values, gaps=False)


def _different(values: Any) -> Sequence[Any]:
    words: list[Any] = values.tolist()
    try:
        return list(dict.fromkeys(words))
    except TypeError:  # of lists, which have no hash
        return words


def _labelled(part: Field, values: Mapping[Any, Any]) -> dict[str, Any] | None:
    """The columns of an answer that is a dict of numbers."""
    options = peel(part.type).options
    arguments: tuple[Any, ...] = getattr(options[0], "__args__", ()) if len(options) == 1 else ()
    if (
        len(arguments) != 2
        or arguments[0] is not str
        or not all(isinstance(k, str) for k in values)
    ):
        return None
    inner = field(part.name, part.key, arguments[1])
    if inner.kind.base != "float" or any(isinstance(each, dict) for each in values.values()):
        return None
    columns = {str(key): numbers(inner, each, gaps=False) for key, each in values.items()}
    return None if any(each is None for each in columns.values()) or not columns else columns
