"""Tensors that are columns already: a block of rows, if nothing more is to be said of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from .. import columns as columnar
from ..block import Block, gather
from ..fields import Field
from ..signature import Schema
from ..whole_columns import fit, numbers
from .tensors import Words


def block(schema: Schema, inputs: Mapping[str, Any], size: int) -> Block | None:
    """The rows of these arrays and Words, a field each; None where they are to be read by rows."""
    if not inputs.keys() <= {part.key for part in schema.fields}:
        return None
    return gather(schema.fields, inputs, size, lambda part: _input(part, inputs[part.key]))


def _input(part: Field, values: Any) -> Any:
    if isinstance(values, Words):
        return _words(part, values)
    if part.kind.base == "vector" or values.ndim != 1:
        return None
    return numbers(part, values, gaps=part.kind.nullable)


def _words(part: Field, words: Words) -> Any:
    """The column of words that the annotation allows, each of them once where they are few."""
    if part.kind.base != "str":
        return None
    cells = with_gaps(part, words)
    different = dict.fromkeys(cells)
    if part.kind.nullable:
        different.pop(None, None)
    return columnar.objects(cells) if fit(part, list(different)) else None


def with_gaps(part: Field, words: Words) -> Sequence[str | None]:
    """Words with None for an empty one, where a choice may be missing and nothing is no choice."""
    if part.kind.nullable and part.kind.choices and "" not in part.kind.choices:
        return [word or None for word in words]
    return words
