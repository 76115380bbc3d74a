"""Tensors that are columns already: into a block of rows, and out of the block that answers it.

Each field is held to its annotation as in any other request. What is not plain numbers or words is left to
the way by rows, and so is whatever does not fit: there it is named with its row.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from .. import columns as columnar
from ..block import Block
from ..columns import ALONE, Columns
from ..fields import Field, field, fields, is_record, peel
from ..signature import Schema
from .tensors import Words


def block(schema: Schema, inputs: Mapping[str, Any], size: int) -> Block | None:
    """The rows of these arrays and Words, a field each; None where they are to be read by rows."""
    if not inputs.keys() <= {part.key for part in schema.fields}:
        return None
    columns: Columns = {}
    for part in schema.fields:
        if part.key in inputs:
            column = _input(part, inputs[part.key])
        elif not part.required:
            column = columnar.to_array([part.default()] * size, part)
        else:
            column = None
        if column is None:
            return None
        columns[part.key] = column
    return Block(columns, size)


def _input(part: Field, values: Any) -> Any:
    if isinstance(values, Words):
        return _words(part, values)
    if part.kind.base == "vector" or values.ndim != 1:
        return None
    return _numbers(part, values, gaps=part.kind.nullable)


def _words(part: Field, words: Words) -> Any:
    """The column of words that the annotation allows, each of them once where they are few."""
    if part.kind.base != "str":
        return None
    cells = with_gaps(part, words)
    different = dict.fromkeys(cells)
    if part.kind.nullable:
        different.pop(None, None)
    return columnar.objects(cells) if _fit(part, list(different)) else None


def with_gaps(part: Field, words: Words) -> Sequence[str | None]:
    """Words with None for an empty one, where a choice may be missing and nothing is no choice."""
    if part.kind.nullable and part.kind.choices and "" not in part.kind.choices:
        return [word or None for word in words]
    return words


def _numbers(part: Field, values: Any, gaps: bool) -> Any:
    """The column of numbers that the annotation allows; an interval holds if it does for both ends."""
    import numpy as np  # late: a model may do without it

    base, kind = part.kind.base, values.dtype.kind
    if part.kind.choices or any(meta.multiple_of for meta in peel(part.type).metas):
        return None
    if base == "bool" and kind == "b" and not part.has_gaps:
        return values
    if base == "int" and kind in "iu" and len(values):
        ends = [int(values.min()), int(values.max())]
        if not _fit(part, ends) or ends[1] >= 2**63:
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
    if len(present) and not _fit(part, [float(present.min()), float(present.max())]):
        return None
    return values


def _fit(part: Field, values: Sequence[Any]) -> bool:
    try:
        columnar.read(part, values, text=False)
    except (ValueError, TypeError):
        return False
    return True


def outputs(answers: Block, schema: Schema, names: Sequence[str]) -> dict[str, Any] | None:
    """For each of these outputs an array, or a dict of arrays for its labels; None if by rows."""
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
        return values if values.dtype.kind in "OU" and _fit(part, _different(values)) else None
    if part.kind.base == "int" and part.has_gaps:
        return None
    return _numbers(part, values, gaps=False)


def _different(values: Any) -> Sequence[Any]:
    words: list[Any] = values.tolist()
    try:
        return list(dict.fromkeys(words))
    except TypeError:  # of lists, which have no hash
        return words


def _labelled(part: Field, values: Mapping[Any, Any]) -> dict[str, Any] | None:
    """The columns of an answer that is a dict of numbers."""
    options = peel(part.type).options
    arguments = getattr(options[0], "__args__", ()) if len(options) == 1 else ()
    if (
        len(arguments) != 2
        or arguments[0] is not str
        or not all(isinstance(k, str) for k in values)
    ):
        return None
    inner = field(part.name, part.key, arguments[1])
    if inner.kind.base != "float" or any(isinstance(each, dict) for each in values.values()):
        return None
    columns = {str(key): _numbers(inner, each, gaps=False) for key, each in values.items()}
    return None if any(each is None for each in columns.values()) or not columns else columns
