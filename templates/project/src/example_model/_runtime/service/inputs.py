"""Counts values that are missing, or that the training saw none of, by column."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ..block import Block
from ..fields import Field

MOST_ROWS, MOST_COLUMNS = 64, 50  # that are looked at: more of them would take time


class Inputs:
    """Compares rows of requests with what the manifest recorded; `count` takes a column and a fault."""

    def __init__(
        self,
        recorded: Mapping[str, Any],
        fields: Sequence[Field],
        count: Callable[[str, str], None],
    ) -> None:
        known = recorded.get("columns", {})
        self._columns = [(f, known[f.key]) for f in fields if f.key in known][:MOST_COLUMNS]
        self._count = count

    def note(self, rows: Any) -> None:
        """Count what of some rows the training did not see."""
        if not self._columns or not isinstance(rows, list | Block):
            return
        looked_at = rows[:MOST_ROWS]
        for row in looked_at.to_dicts() if isinstance(looked_at, Block) else looked_at:
            for field, known in self._columns:
                value = row.get(field.key) if isinstance(row, dict) else getattr(row, field.name)
                if fault := _fault(value, known):
                    self._count(field.key, fault)


def _fault(value: Any, known: Mapping[str, Any]) -> str | None:
    if value is None or value is msgspec.UNSET or value != value:  # NaN, in columns
        return "missing"
    if "words" in known:
        return None if str(getattr(value, "value", value)) in known["words"] else "unseen"
    edges = known.get("edges")
    if not edges or not isinstance(value, int | float):
        return None
    return None if edges[0] <= value <= edges[-1] else "out_of_range"
