"""Read pieces of a table from bytes: CSV, JSON lines, Parquet."""

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, BinaryIO

import msgspec

from . import arrow
from .errors import ProjectError
from .faults import Fault, InvalidRows, shown
from .pieces import Piece

Words = Collection[str]
BOMS = (b"\xff\xfe", b"\xfe\xff")


def csv_pieces(
    file: BinaryIO, size: int, missing: Words = (), source: str = "", skipped: int = 0
) -> Iterator[Piece]:
    """Pieces of a CSV file with a header, of at most `size` rows: cells are text, None where empty.

    `skipped` is how many lines are left out after the header. Raises InvalidRows where it is no CSV, or not UTF-8.
    """
    records = _records(file, source, skipped)
    _, header = next(records, (0, []))
    if not header:
        raise InvalidRows([Fault("the table is empty")], source)
    while found := list(islice(records, size)):
        yield csv_piece(header, found, missing)


def csv_header(file: BinaryIO, source: str = "") -> list[str]:
    """The header of a CSV file. Raises InvalidRows where there is none."""
    for _, header in _records(file, source):
        return header
    raise InvalidRows([Fault("the table is empty")], source)


def csv_piece(
    header: Sequence[str], records: Sequence[tuple[int, list[str]]], missing: Words = ()
) -> Piece:
    """A piece of such lines, with their numbers."""
    width, faults = len(header), []
    if {len(row) for _, row in records} != {width}:
        for n, (line, row) in enumerate(records):
            if len(row) != width:
                said = f"{len(row)} cells, where the header has {width}"
                faults.append((n, Fault(said, line=line)))
        records = [(line, (row + [""] * width)[:width]) for line, row in records]
    lines, rows = zip(*records, strict=True)
    cells = {
        name: _gaps(column, missing)
        for name, column in zip(header, zip(*rows, strict=True), strict=True)
    }
    return Piece(cells, lines, header=header, faults=tuple(faults))


def _gaps(column: Sequence[str], missing: Words) -> Sequence[str | None]:
    if missing:
        return [None if not cell or cell in missing else cell for cell in column]
    return [cell or None for cell in column] if "" in column else column


def records(body: bytes) -> list[tuple[int, list[str]]]:
    """All lines of a CSV table that are not empty, and their numbers. Raises InvalidRows."""
    return list(_records(io.BytesIO(body), ""))


def _records(file: BinaryIO, source: str, skipped: int = 0) -> Iterator[tuple[int, list[str]]]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    reader, line = csv.reader(text, strict=True), 1
    try:
        for row in reader:
            if row:
                yield line, row
            line = reader.line_num + 1 + skipped
    except UnicodeDecodeError as error:
        hint = (
            "UTF-16" if error.object[:2] in BOMS else f"the byte 0x{error.object[error.start]:02x}"
        )
        said = f"this is not text in UTF-8, but has {hint}: save it as UTF-8"
        raise InvalidRows([Fault(said, line=line)], source) from error
    except csv.Error as error:
        said = f"a quoted cell does not end well, or is too long ({error})"
        raise InvalidRows([Fault(said, line=line)], source) from error
    finally:
        text.detach()


def line_pieces(
    file: Iterable[bytes], size: int, source: str = "", skipped: int = 0
) -> Iterator[Piece]:
    """Pieces of a file with an object in JSON on each line, after `skipped` others. Raises InvalidRows."""
    numbered = ((n, line) for n, line in enumerate(file, 1 + skipped) if line.strip())
    while found := list(islice(numbered, size)):
        objects, lines, faults = [], [], []
        for n, (number, line) in enumerate(found):
            value, said = _object(line)
            objects.append(value)
            lines.append(number)
            if said:
                faults.append((n, Fault(said, line=number)))
        yield object_piece(objects, lines, faults)


def _object(line: bytes) -> tuple[dict[str, Any], str]:
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        return {}, str(error).rstrip(".")
    return (value, "") if isinstance(value, dict) else ({}, f"{shown(value)} is not an object")


def object_piece(
    objects: Sequence[dict[str, Any]],
    lines: Sequence[int],
    faults: Iterable[tuple[int, Fault]] = (),
) -> Piece:
    """A piece of objects; a column that an object does not have is UNSET there."""
    names = dict.fromkeys(name for value in objects for name in value)
    cells = {name: [value.get(name, msgspec.UNSET) for value in objects] for name in names}
    return Piece(cells, lines, text=False, partial=True, faults=tuple(faults))


def json_pieces(file: BinaryIO, size: int, source: str = "") -> Iterator[Piece]:
    """Pieces of a file with one list of objects, which is read at once. Raises InvalidRows."""
    try:
        found = msgspec.json.decode(file.read())
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRows([Fault(str(error).rstrip("."))], source) from error
    if isinstance(found, dict) and list(found) == ["data"]:
        found = found["data"]
    if not isinstance(found, list):
        raise InvalidRows([Fault("the rows must be a list")], source)
    for start in range(0, len(found), size):
        part = found[start : start + size]
        said = "is not an object"
        faults = [
            (n, Fault(f"{shown(value)} {said}", row=start + n + 1))
            for n, value in enumerate(part)
            if not isinstance(value, dict)
        ]
        objects = [value if isinstance(value, dict) else {} for value in part]
        yield object_piece(objects, range(start + 1, start + len(part) + 1), faults)


def parquet_pieces(
    file: BinaryIO,
    size: int,
    source: str = "",
    check: Callable[[int], None] = lambda number: None,
    most: int = 2**63,
    groups: range | None = None,
) -> Iterator[Piece]:
    """Pieces of a Parquet file, or of some row groups of it.

    `check` is called with the number of rows before they are read. Raises InvalidRows where it is no
    such file, or unpacks to more than `most` bytes.
    """
    for batch in parquet_batches(file, size, source, check, most, groups):
        yield batch[1]


def parquet_batches(
    file: BinaryIO,
    size: int,
    source: str = "",
    check: Callable[[int], None] = lambda number: None,
    most: int = 2**63,
    groups: range | None = None,
) -> Iterator[tuple[Any, Piece]]:
    """Pieces as `parquet_pieces` gives them, each with the batch that it was made from."""
    with parquet_file(file, source) as opened:
        counts = [opened.metadata.row_group(n).num_rows for n in range(opened.num_row_groups)]
        groups = range(len(counts)) if groups is None else groups
        check(sum(counts[groups.start : groups.stop]))
        start, total = 1 + sum(counts[: groups.start]), 0
        # Without threads: one that still reads when another has failed would abort Python as it ends.
        for batch in opened.iter_batches(size, groups, use_threads=False):
            total += batch.nbytes
            if total > most:
                raise InvalidRows([Fault(f"the table unpacks to more than {most:,} bytes")], source)
            lines = range(start, start + batch.num_rows)
            start += batch.num_rows
            yield batch, batch_piece(batch, lines)


@contextmanager
def parquet_file(file: BinaryIO, source: str = "") -> Iterator[Any]:
    """A pyarrow.parquet.ParquetFile to read from. Raises InvalidRows where it is none."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise ProjectError("Parquet needs pyarrow. Run: poetry ml add parquet") from error
    try:
        yield pyarrow.parquet.ParquetFile(file)
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        why = " ".join(str(error).split()).rstrip(".")
        raise InvalidRows([Fault(f"this is not a complete Parquet file: {why}")], source) from error


def batch_piece(batch: Any, lines: Sequence[int]) -> Piece:
    """A piece of an Arrow batch, whose rows have these numbers."""
    names = batch.schema.names
    if len(set(names)) == len(names):
        return Piece(arrow.Cells(batch), lines, text=False, header=names)
    columns = zip(names, batch.columns, strict=True)  # the header is refused
    return Piece({n: arrow.cells(c) for n, c in columns}, lines, text=False, header=names)
