"""Some rows of a table as they were read, and what is wrong with them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from . import columns as columnar
from .faults import MISSING, Fault
from .fields import Field, fields
from .headers import match


class Piece(NamedTuple):
    """Rows of a table: for each column its cells, None where one is missing."""

    cells: Mapping[str, Sequence[Any]]
    lines: Sequence[int]
    text: bool = True  # whether cells are to be read as the field's type, or have types
    partial: bool = False  # whether a row may be without a column (UNSET), as an object in JSON may
    header: Sequence[str] = ()  # of a text, where a name may come twice
    faults: tuple[tuple[int, Fault], ...] = ()  # of whole rows, with their index

    def only(self, kept: Sequence[int]) -> "Piece":
        """The rows at these indices."""
        cells = {key: [values[n] for n in kept] for key, values in self.cells.items()}
        return self._replace(cells=cells, lines=[self.lines[n] for n in kept], faults=())


def complete(
    piece: Piece,
    found: Sequence[Field],
    absent: Collection[str] = (),
    targets: Collection[str] = (),
    source: str = "",
) -> tuple[Piece, tuple[str, ...]]:
    """The piece with cells for every field, and the names of the columns that are no field.

    Raises InvalidRows where the header does not fit.
    """
    gap = msgspec.UNSET if piece.partial else None
    header = piece.header or list(piece.cells)
    unused = match(header, found, absent, targets, source, piece.partial)
    without = [part.key for part in found if part.key not in header]
    if without:
        gaps = dict.fromkeys(without, [gap] * len(piece.lines))
        piece = piece._replace(cells={**piece.cells, **gaps})
    return piece, unused


def values(piece: Piece, row: Any) -> dict[str, list[Any]]:
    """The values of each field of a row, by its name in Python. Raises ValueError where a cell does not fit."""
    return {
        part.name: columnar.read(part, piece.cells[part.key], piece.text) for part in fields(row)
    }


def rows(row: Any, found: Mapping[str, Sequence[Any]]) -> list[Any]:
    """Rows from the values of their fields. Raises ValueError where a row's own check does."""
    try:
        return columnar.build(row, found)
    except TypeError as error:
        raise ValueError(str(error)) from error


def faults(
    piece: Piece,
    row: Any,
    targets: Sequence[Field] = (),
    by_line: bool = False,
    most: int | None = None,
) -> list[tuple[int, Fault]]:
    """What is wrong with the rows of a piece, in their order: the index of each, and the fault.

    At most so many of each column, where `most` is given.
    """

    def fault(index: int, message: str, key: str = "") -> tuple[int, Fault]:
        line, row = (piece.lines[index], 0) if by_line else (0, index + 1)
        return index, Fault(message, row, line, key)

    found = list(piece.faults)
    bad = {index for index, _ in found}
    sound = [n for n in range(len(piece.lines)) if n not in bad]
    for part in (*fields(row), *targets):
        cells = [piece.cells[part.key][n] for n in sound]
        for n, message in islice(_in_cells(part, cells, piece.text, part in targets), most):
            found.append(fault(sound[n], message, part.key))
    if not found and hasattr(row, "__post_init__"):
        found = [fault(n, message) for n, message in _refused(piece, row)]
    return sorted(found, key=lambda each: each[0])


def _in_cells(
    part: Field, cells: Sequence[Any], text: bool, needed: bool
) -> Iterator[tuple[int, str]]:
    yield from columnar.wrong(part, cells, text)
    if needed and part.kind.nullable:  # a prediction may be missing, what is learnt from may not
        yield from ((n, MISSING) for n, cell in enumerate(cells) if is_gap(cell))


def _refused(piece: Piece, row: Any) -> Iterator[tuple[int, str]]:
    """The rows that a record's own check refuses, and why."""
    for n in range(len(piece.lines)):
        try:
            rows(row, values(piece.only([n]), row))
        except ValueError as error:
            yield n, str(error)


def is_gap(cell: Any) -> bool:
    """Whether a cell is missing."""
    return cell is None or cell is msgspec.UNSET
