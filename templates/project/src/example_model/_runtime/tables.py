"""Read tables into the columns of a Row, by its annotations alone.

What is a number, a date or one of some words is what JSON takes for it, and a missing value is JSON's null,
an empty cell, or Parquet's null and NaN. Rows that do not fit are named with their line, column and value.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from . import arrow, pieces, readers
from . import columns as columnar
from .columns import Columns
from .errors import ProjectError
from .exchange import KINDS, REQUESTS, SUFFIXES, Decode, Render
from .faults import MOST, Fault, InvalidRows, told
from .fields import Field, field, fields, kind_of
from .pieces import Piece

__all__ = ["KINDS", "REQUESTS", "SUFFIXES", "Columns", "Decode", "InvalidTable", "Render", "Table", "read", "scan"]  # fmt: skip

InvalidTable = InvalidRows
PIECE = 1_024  # rows that are in memory at once; more of them take longer to read, each
KNOWN_WORDS = 100_000  # of a column, of which equal ones are kept once


@dataclass(frozen=True)
class Table:
    """Rows of a file as columns: Row's fields, and what is to be predicted."""

    columns: Columns
    target: Any  # an array, of two dimensions for several targets; None where none was asked for
    sources: tuple[Path, ...]  # the files that the rows are from
    lines: Any  # of each row: its line, or in Parquet its number from 1
    unused: tuple[str, ...]  # columns that are no field
    cells: Mapping[str, Sequence[Any]]  # all columns as they were read; none in what `read` gives
    rejected: tuple[Fault, ...] = ()  # rows that `scan` left out, and why

    def __len__(self) -> int:
        return len(self.lines)

    def take(self, indices: Any) -> "Table":
        """The rows at these indices, in their order."""
        return replace(
            self,
            columns={key: values[indices] for key, values in self.columns.items()},
            target=None if self.target is None else self.target[indices],
            lines=self.lines[indices],
            cells={},
        )

    def rows(self, row: Any) -> list[Any]:
        """The rows as a list of `row`."""
        return columnar.to_rows(self.columns, row)


class _Wanted(NamedTuple):
    """What is to be made of a table."""

    row: Any
    targets: tuple[Field, ...]
    several: bool  # whether the target is to have two dimensions
    absent: frozenset[str]
    missing: frozenset[str]
    source: Path
    words: dict[str, dict[str, str]]  # of each column of text


def read(
    path: Path,
    row: Any,
    target: str | Sequence[str] | None = None,
    *,
    answer: Any = None,
    missing: Collection[str] = (),
    columns_missing: Collection[str] = (),
) -> Table:
    """All rows of a .csv, .jsonl, .json or .parquet file.

    `target` is a column to predict, or several. Its type is that of the field of this name in `answer`,
    the type of a prediction, if there is one; otherwise float where all are numbers, and else str.
    `missing` are words that stand for no value, as an empty cell does. `columns_missing` are fields that
    have no column.

    Raises InvalidTable with up to ten faults, and ProjectError where the file cannot be read.
    """
    wanted = _wanted(path, row, target, answer, missing, columns_missing)
    parts = list(_tables(wanted, PIECE, skip=False, keep=False))
    if not parts:
        raise InvalidTable([Fault("there are no rows")], wanted.source.name)
    columns = {
        key: columnar.join([part.columns[key] for part in parts]) for key in parts[0].columns
    }
    goal = None if target is None else _inferred(columnar.join([part.target for part in parts]))
    unused = tuple(dict.fromkeys(name for part in parts for name in part.unused))
    lines = columnar.join([part.lines for part in parts])
    return Table(columns, goal, (wanted.source,), lines, unused, {})


def of(columns: Columns, row: Any, target: Any) -> Table:
    """Make a table of columns that come from elsewhere than a file.

    `columns` are Row's fields by name, as arrays with a row each; `target` is an array beside them.
    Raises InvalidTable where a row does not fit the annotations.
    """
    rows = columnar.to_rows(columns, row)
    checked = columnar.to_columns(rows, row)
    lines = columnar.integers(range(1, len(rows) + 1))
    return Table(checked, target, (), lines, (), {})


def scan(
    path: Path,
    row: Any,
    target: str | Sequence[str] | None = None,
    *,
    answer: Any = None,
    missing: Collection[str] = (),
    columns_missing: Collection[str] = (),
    skip: bool = False,
    size: int = PIECE,
) -> Iterator[Table]:
    """The rows of a file in pieces of at most `size` rows, which are all that is in memory at once.

    With `skip`, rows that do not fit are left out, and named in `rejected`. Otherwise as `read`; a target
    without a type in `answer` is given as it was read.
    """
    wanted = _wanted(path, row, target, answer, missing, columns_missing)
    return _tables(wanted, size, skip, keep=True)


def converter(
    row: Any, source: str, absent: Collection[str] = (), skip: bool = False
) -> Callable[[Piece], Table]:
    """Return what makes a table of a piece, as `scan` does of the pieces of a file named `source`."""
    wanted = _wanted(Path(source), row, None, None, (), absent)
    return lambda piece: _table(piece, wanted, skip, keep=True)


def _wanted(
    path: Path,
    row: Any,
    target: str | Sequence[str] | None,
    answer: Any,
    missing: Collection[str],
    absent: Collection[str],
) -> _Wanted:
    path = Path(path)
    if not fields(row):
        raise ProjectError(f"{path.name} cannot be read as columns: a row has no fields.")
    names = [target] if isinstance(target, str) else target or ()
    targets = tuple(field(name, name, _target_type(name, answer)) for name in names)
    several = target is not None and not isinstance(target, str)
    return _Wanted(row, targets, several, frozenset(absent), frozenset(missing), path, {})


def _target_type(name: str, answer: Any) -> Any:
    for part in fields(answer):
        if name in (part.key, part.name):
            return part.type
    return answer if kind_of(answer).base in columnar.SINGLE else Any


def _tables(wanted: _Wanted, size: int, skip: bool, keep: bool) -> Iterator[Table]:
    path = wanted.source
    try:
        with path.open("rb") as file:
            for piece in _pieces(file, wanted, size):
                yield _table(piece, wanted, skip, keep)
    except FileNotFoundError:
        raise ProjectError(f"{path} is missing.") from None
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror or error}.") from error


def _pieces(file: BinaryIO, wanted: _Wanted, size: int) -> Iterator[Piece]:
    name = wanted.source.name
    match wanted.source.suffix:
        case ".csv":
            return readers.csv_pieces(file, size, wanted.missing, name)
        case ".jsonl" | ".ndjson":
            return readers.line_pieces(file, size, name)
        case ".json":
            return readers.json_pieces(file, size, name)
        case ".parquet":
            return readers.parquet_pieces(file, size, name)
    raise ProjectError(f"{name} is not a table. Give a .csv, .jsonl, .json or .parquet file.")


def _table(piece: Piece, wanted: _Wanted, skip: bool, keep: bool) -> Table:
    name, targets = wanted.source.name, [part.key for part in wanted.targets]
    piece, unused = pieces.complete(piece, fields(wanted.row), wanted.absent, targets, name)
    if not keep:
        piece = _pooled(piece, wanted)
    rejected: list[Fault] = []
    while True:
        try:
            columns, target = _columns(piece, wanted)
            break
        except ValueError:
            most = None if skip else MOST + 1
            faults = pieces.faults(piece, wanted.row, wanted.targets, by_line=True, most=most)
            if not skip or not faults:
                raise told((fault for _, fault in faults), name) from None
            rejected += [fault for _, fault in faults]
            bad = {index for index, _ in faults}
            piece = piece.only([n for n in range(len(piece.lines)) if n not in bad])
    lines, cells = columnar.integers(piece.lines), piece.cells if keep else {}
    return Table(columns, target, (wanted.source,), lines, unused, cells, tuple(rejected))


def _pooled(piece: Piece, wanted: _Wanted) -> Piece:
    """The piece with equal words as one object, so that a large file takes little memory."""
    if not piece.text:
        return piece
    cells = dict(piece.cells)
    for part in (*fields(wanted.row), *wanted.targets):
        known = wanted.words.setdefault(part.key, {})
        if part.kind.base in ("str", "any") and len(known) < KNOWN_WORDS:
            cells[part.key] = [cell and known.setdefault(cell, cell) for cell in cells[part.key]]
    return piece._replace(cells=cells)


def _columns(piece: Piece, wanted: _Wanted) -> tuple[Columns, Any]:
    """The arrays of a piece. Raises ValueError where a cell does not fit."""
    if piece.faults:
        raise ValueError("A line is not a row")
    if hasattr(wanted.row, "__post_init__"):
        values = pieces.values(piece, wanted.row)
        columns = columnar.to_columns(pieces.rows(wanted.row, values), wanted.row)
    else:
        columns = {part.key: _array(part, piece) for part in fields(wanted.row)}
    goals = [_goal(part, piece) for part in wanted.targets]
    if wanted.several:
        return columns, columnar.side_by_side(goals)
    return columns, goals[0] if goals else None


def _array(part: Field, piece: Piece) -> Any:
    cells = piece.cells
    if isinstance(cells, arrow.Cells):
        found = arrow.array(cells.batch.column(part.key), part)
        if found is not None:
            return found
    return columnar.to_array(columnar.read(part, cells[part.key], piece.text), part)


def _goal(part: Field, piece: Piece) -> Any:
    cells = piece.cells[part.key]
    if any(pieces.is_gap(cell) for cell in cells):
        raise ValueError(f"{part.key} is missing")
    if part.kind.base == "any":
        return columnar.objects(cells)
    return columnar.to_array(columnar.read(part, cells, piece.text), part)


def _inferred(target: Any) -> Any:
    """A target of no given type: numbers where all are, true or false where all are, or else text."""
    if target.dtype != object:
        return target
    values = target.ravel().tolist()
    kinds = set(map(type, values))
    if kinds == {bool}:
        return target.astype(bool)
    number = field("target", "target", float)
    try:
        found = columnar.read(number, values, text=kinds == {str})
    except ValueError:
        return columnar.objects([str(v) for v in values]) if target.ndim == 1 else target
    return columnar.to_array(found, number).reshape(target.shape)
