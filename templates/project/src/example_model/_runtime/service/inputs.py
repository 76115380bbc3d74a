"""Counts of values that the training saw none of: missing, unseen and out of range, by column."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from ..fields import Field

MOST_ROWS = 64  # of a request that are looked at: more of them would take time
MOST_COLUMNS = 50

Count = Callable[[str, str, int], None]  # takes the column, what its values are, how many


class _Column(NamedTuple):
    field: Field
    low: float | None
    high: float | None
    words: frozenset[str] | None

    def fault(self, value: Any) -> str | None:
        if value is None or value is msgspec.UNSET or value != value:
            return "missing"
        if self.words is not None:
            return None if str(getattr(value, "value", value)) in self.words else "unseen"
        if self.low is None or self.high is None or not isinstance(value, int | float):
            return None
        return None if self.low <= value <= self.high else "out_of_range"


class Inputs:
    """Compares rows with what the manifest says of those that the model was judged on."""

    def __init__(self, recorded: Mapping[str, Any], fields: Sequence[Field], count: Count) -> None:
        self._count = count
        known = recorded.get("columns", {})
        self._columns = [_column(f, known[f.key]) for f in fields if f.key in known][:MOST_COLUMNS]

    def note(self, rows: Any) -> None:
        """Count what of some rows the training did not see."""
        if not self._columns or not isinstance(rows, list):
            return
        found: dict[tuple[str, str], int] = {}
        for row in rows[:MOST_ROWS]:
            for column in self._columns:
                field = column.field
                value = row.get(field.key) if isinstance(row, dict) else getattr(row, field.name)
                if fault := column.fault(value):
                    found[field.key, fault] = found.get((field.key, fault), 0) + 1
        for (name, fault), number in found.items():
            self._count(name, fault, number)


def _column(field: Field, recorded: Mapping[str, Any]) -> _Column:
    edges = [] if recorded.get("dates") else recorded.get("edges", [])
    words = frozenset(recorded["words"]) if "words" in recorded else None
    return _Column(field, *((edges[0], edges[-1]) if edges else (None, None)), words)
