"""Columns of Arrow, read without a Python object for each cell wherever that gives the same values."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from .fields import Field, peel

LIMITS = {"gt": "greater", "ge": "greater_equal", "lt": "less", "le": "less_equal"}
EARLIEST, LATEST = "0001-01-01", "9999-12-31"  # that Python's own dates know


class Cells(Mapping[str, Sequence[Any]]):
    """The columns of a batch as lists of cells, each made when it is asked for."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch
        self._made: dict[str, list[Any]] = {}

    def __getitem__(self, name: str) -> Sequence[Any]:
        if name not in self._made:
            self._made[name] = cells(self.batch.column(name))
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.batch.schema.names)

    def __len__(self) -> int:
        return int(self.batch.num_columns)


def cells(column: Any) -> list[Any]:
    """The values of an Arrow array, None for null and NaN; times to the microsecond."""
    import pyarrow

    kind = column.type.value_type if pyarrow.types.is_dictionary(column.type) else column.type
    if pyarrow.types.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(pyarrow.timestamp("us", kind.tz), safe=False)
    if pyarrow.types.is_time64(kind) and kind.unit == "ns":
        column = column.cast(pyarrow.time64("us"), safe=False)
    values: list[Any] = column.to_pylist()
    if pyarrow.types.is_floating(kind):
        return [None if value != value else value for value in values]
    return values


def array(column: Any, of: Field) -> Any:
    """The numpy array of a column that fits the field beyond doubt, as of its cells; else None.

    None says nothing of the column: its cells are to be read one by one.
    """
    make = MAKERS.get(of.kind.base)
    gaps_fit = of.kind.nullable or (not column.null_count and not of.is_unset)
    return make(column, of) if make and gaps_fit else None


def _numbers(column: Any, of: Field) -> Any:
    import numpy as np
    import pyarrow

    whole = pyarrow.types.is_integer(column.type)
    if not whole and not (of.kind.base == "float" and pyarrow.types.is_floating(column.type)):
        return None
    if of.kind.choices or column.type == pyarrow.uint64() or column.type == pyarrow.float16():
        return None
    as_float = of.kind.base == "float" or of.has_gaps
    # A null is NaN from here on, as a NaN is a null: neither is held against the limits.
    values = column.to_numpy(zero_copy_only=False).astype(np.float64 if as_float else np.int64)
    given = values
    if as_float and not whole:
        if np.isinf(values).any():
            return None
        given = values[~np.isnan(values)]
        if len(given) < len(values) and not of.kind.nullable:
            return None
    elif column.null_count:
        given = column.drop_null().to_numpy(zero_copy_only=False)
    return values if _within(given, of) else None


def _within(values: Any, of: Field) -> bool:
    import numpy as np

    for meta in peel(of.type).metas:
        if meta.multiple_of is not None:
            return False
        for name, compare in LIMITS.items():
            limit = getattr(meta, name)
            if limit is not None and not getattr(np, compare)(values, limit).all():
                return False
    return True


def _words(column: Any, of: Field) -> Any:
    """Words, of which only the distinct ones are looked at where they are to be some of a few."""
    import numpy as np
    import pyarrow

    kind = column.type.value_type if pyarrow.types.is_dictionary(column.type) else column.type
    if not (pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)):
        return None
    if peel(of.type).options not in ((str,),) and not of.kind.choices:
        return None
    if not of.kind.choices:
        if any(_has_limits(meta) for meta in peel(of.type).metas):
            return None
        return column.to_numpy(zero_copy_only=False).astype(object, copy=False)
    coded = column if pyarrow.types.is_dictionary(column.type) else column.dictionary_encode()
    words = coded.dictionary.to_pylist()
    places = coded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
    if not set(words).issubset({*of.kind.choices}):
        return None
    return np.array([*words, None], object)[places]


def _has_limits(meta: msgspec.Meta) -> bool:
    return (meta.min_length, meta.max_length, meta.pattern) != (None, None, None)


def _truths(column: Any, of: Field) -> Any:
    import pyarrow

    if not pyarrow.types.is_boolean(column.type) or of.has_gaps:
        return None
    return column.to_numpy(zero_copy_only=False)


def _dates(column: Any, of: Field) -> Any:
    import numpy as np
    import pyarrow

    if column.type != pyarrow.date32():
        return None
    values = column.to_numpy(zero_copy_only=False).astype("datetime64[D]")
    given = values[~np.isnat(values)]
    fits = ((given >= np.datetime64(EARLIEST)) & (given <= np.datetime64(LATEST))).all()
    return values if fits else None


MAKERS = {"float": _numbers, "int": _numbers, "str": _words, "bool": _truths, "date": _dates}
