"""The columns of a file as a profile takes them: numbers where all cells are, otherwise text."""

import datetime
import decimal
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from .dialect import PIECE, Cells, Dialect, Source, _pattern

ABSENT = ("NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null")
"""Words that stand for a missing value wherever they are met."""
ABSENT_AMONG_NUMBERS = (
    *ABSENT,
    "None",
    "none",
    "na",
    "Null",
    "?",
    "-",
    "--",
    ".",
    "..",
    "*",
    "#NULL!",
)
"""Words that do so in a column of numbers or dates."""

_NOT_PLAIN = re.compile(r"[^0-9.eE+\-\n]")
_LOOSE = re.compile(r"(?:^|\n)(?:\+|-?\.)|\.(?:[eE\n]|$)")
_CODE = re.compile(r"(?:^|\n)[+-]?0\d")  # 007 is no number
EXACT = 2.0**53  # whole numbers beyond are not exact as float64
PLAIN_TYPES = {int, float, bool, str, datetime.date}
POOL = 100_000  # words of a column of which one copy is kept


@dataclass
class Gathered:
    """One column. `values` are its numbers with NaN, or its words with None, once all rows are seen."""

    name: str
    dialect: Dialect
    keep_text: bool = False  # even if all are numbers
    pieces: list[Any] = field(default_factory=list)
    types: set[type] = field(default_factory=set)  # of typed cells
    absent: Counter[str] = field(default_factory=Counter)  # words for a missing value among numbers
    whole: bool = True  # all numbers are, and none is written with a point
    loose: bool = False  # some numbers are not as JSON has them
    nested: bool = False  # it holds lists or objects, or times, bytes and the like
    first: dict[type, int] = field(default_factory=dict)  # where each type is met first
    taken: int = 0  # typed cells so far
    _pool: dict[str, str] = field(default_factory=dict)

    def add(self, cells: Sequence[str]) -> None:
        """Take the cells of some rows, as text: "" where one is missing."""
        numbers = None if self.keep_text else self._numbers(cells)
        if numbers is None:
            stripped = [cell.strip() for cell in cells]
            if stripped != list(cells):
                self.loose, cells = True, stripped
                numbers = None if self.keep_text else self._numbers(cells)
        if numbers is not None:
            self.pieces.append(numbers)
            return
        pool = self._pool
        if len(pool) < POOL:
            self.pieces.append([pool.setdefault(c, c) if c else None for c in cells])
        else:
            self.pieces.append([pool.get(c, c) if c else None for c in cells])

    def add_typed(self, cells: Cells) -> None:
        """Take the cells of some rows that have types."""
        kinds = {_kind(kind) for kind in set(map(type, cells)) - {type(None)}}
        for kind in kinds - self.first.keys():
            at = next(n for n, c in enumerate(cells) if c is not None and _kind(type(c)) is kind)
            self.first[kind] = self.taken + at
        self.taken += len(cells)
        self.types |= kinds
        if decimal.Decimal in kinds:
            cells = [float(c) if isinstance(c, decimal.Decimal) else c for c in cells]
            kinds, self.loose = (kinds - {decimal.Decimal}) | {float}, True
        if kinds and kinds <= {int, float} and not self.keep_text:
            numbers = np.array([np.nan if c is None else c for c in cells], np.float64)
            if float not in kinds and np.nanmax(np.abs(numbers)) >= EXACT:
                self.pieces.append([None if c is None else str(c) for c in cells])
                return
            self.whole = self.whole and float not in kinds
            self.pieces.append(numbers)
        elif not kinds and not self.keep_text:
            self.pieces.append(np.full(len(cells), np.nan))
        else:
            self.nested = self.nested or not kinds <= PLAIN_TYPES
            self.pieces.append([None if c is None else _word(c) for c in cells])

    def _numbers(self, cells: Sequence[str]) -> Any:
        """The cells as float64, or None where one is no number."""
        found = self._plain_numbers(cells)
        if found is None and (adapted := self._adapted(cells)) is not None:
            found = self._plain_numbers(adapted)
        return found

    def _plain_numbers(self, cells: Sequence[str]) -> Any:
        joined = "\n".join(cells)
        if _NOT_PLAIN.search(joined) or _CODE.search(joined):
            return None
        try:
            filled = (cell or "nan" for cell in cells) if "" in cells else cells
            found = np.fromiter(map(float, filled), np.float64, len(cells))
        except ValueError:
            return None
        whole = "." not in joined and "e" not in joined and "E" not in joined
        largest = np.max(np.abs(found), initial=0, where=~np.isnan(found))
        if not np.isfinite(largest) or (whole and largest >= EXACT):
            return None
        self.whole = self.whole and whole
        self.loose = self.loose or bool(_LOOSE.search(joined))
        return found

    def _adapted(self, cells: Sequence[str]) -> Sequence[str] | None:
        """The cells with numbers as JSON has them, and nothing for words that stand for a missing value.

        None where there is another word.
        """
        known = set(cells)
        absent = known.intersection(ABSENT_AMONG_NUMBERS)
        dialect = self.dialect
        changed = {cell: dialect.number(cell) for cell in known - absent}
        pattern = _pattern(dialect.decimal, dialect.thousands)
        if not all(not cell or pattern.fullmatch(cell) for cell in changed):
            return None
        for word in absent:
            self.absent[word] += sum(cell == word for cell in cells)
            changed[word] = ""
        return [changed[cell] for cell in cells]

    @property
    def all_numbers(self) -> bool:
        """Whether every cell is a number or missing."""
        return not any(isinstance(piece, list) for piece in self.pieces)

    @property
    def some_numbers(self) -> bool:
        """Whether some piece of the column is of numbers alone."""
        return any(not isinstance(piece, list) for piece in self.pieces)

    @cached_property
    def values(self) -> Any:
        """All numbers as float64 with NaN, or all words as a list with None."""
        if self.all_numbers:
            return np.concatenate(self.pieces) if self.pieces else np.array([])
        return list(itertools.chain.from_iterable(self.pieces))

    @property
    def is_empty(self) -> bool:
        """Whether all cells are missing."""
        return not len(self.values) or (self.all_numbers and bool(np.isnan(self.values).all()))


def _kind(kind: type) -> type:
    """The type that a cell counts as: dates of pandas are dates."""
    return datetime.date if issubclass(kind, datetime.date) else kind


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime.date) else str(value)


@dataclass
class Gathering:
    """The columns of a file, and the line of each row."""

    source: Source
    columns: dict[str, Gathered]
    lines: list[Any]

    @property
    def line_numbers(self) -> Any:
        """The line, or row, in the file of each row."""
        return np.concatenate(self.lines) if self.lines else np.array([], int)


def gather(source: Source, names: Iterable[str] | None = None) -> Gathering:
    """Read all rows of a file. Columns in which text is met after numbers are read again as text."""
    columns = {name: Gathered(name, source.dialect) for name in names or source.header}
    lines = _fill(source, columns)
    mixed = [
        name for name, column in columns.items() if column.some_numbers and not column.all_numbers
    ]
    if mixed:
        again = {name: Gathered(name, source.dialect, keep_text=True) for name in mixed}
        _fill(source, again)
        columns |= {name: again[name] for name in mixed}
    return Gathering(source, columns, lines)


def _fill(source: Source, columns: dict[str, Gathered]) -> list[Any]:
    places = [(source.header.index(name), column) for name, column in columns.items()]
    lines = []
    rows = source.rows()
    while piece := list(itertools.islice(rows, PIECE)):
        lines.append(np.array([line for line, _ in piece]))
        turned = list(zip(*(cells for _, cells in piece), strict=True))
        for place, column in places:
            (column.add_typed if source.typed else column.add)(turned[place])
    return lines
