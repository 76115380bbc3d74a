"""Inputs as parts: each is scored by itself, and again as a whole if that was cut short."""

import contextlib
import csv
import gzip
import io
import itertools
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

import msgspec

from .. import readers
from ..errors import ProjectError
from .places import BLOCK, File, place

KINDS = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
}
CODECS = {".gz": "gz", ".zst": "zst"}
PART_BYTES = 2**24  # of text, beyond which a file is cut: some 5 seconds of work
PART_ROWS = 2**19  # of Parquet, of which row groups are put together


class Make(NamedTuple):
    """What a file's name says of it."""

    stem: str
    suffix: str
    kind: str
    codec: str


class Part(msgspec.Struct, frozen=True):
    """A file, or some of its lines or row groups, and the file that its answers go to."""

    number: int
    url: str
    source: str  # as messages name it
    kind: str
    codec: str
    output: str  # below the output's folder
    weight: int  # bytes of input
    start: int = 0  # the first byte, or row group
    end: int | None = None  # the one after the last; None is the end
    head: int = 0  # bytes of the header, which belongs to every part
    skipped: int = 0  # lines between the header and the first one


def make(name: str) -> Make | None:
    """What a file is by its name, None where it is no table."""
    base, codec = name, ""
    for suffix, known in CODECS.items():
        if name.lower().endswith(suffix):
            base, codec = name[: -len(suffix)], known
    for suffix, kind in KINDS.items():
        if base.lower().endswith(suffix) and not (kind == "parquet" and codec):
            return Make(base[: -len(suffix)], name[len(base) - len(suffix) :], kind, codec)
    return None


def made(name: str) -> Make:
    """What a file of the output is, which has a name that was chosen here."""
    found = make(name)
    assert found is not None, name
    return found


@contextmanager
def reading(source: str) -> Iterator[None]:
    """Say which file it is that cannot be read. Raises ProjectError."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ProjectError(f"{source} is not a complete gzip file: {error}.") from error
    except OSError as error:
        raise ProjectError(f"{source} cannot be read: {reason(error)}.") from error


def reason(error: OSError) -> str:
    """Say in one line what the system said."""
    return error.strerror or " ".join(str(error).split()).rstrip(".")


def stream(file: BinaryIO, part: Part) -> BinaryIO:
    """The header and the lines of a part of text, unpacked, as one stream that the io module can read."""
    ranges = [(0, part.head), (part.start, part.end)] if part.start or part.end else []
    return io.BufferedReader(_Stream(unpacked(file, part.codec), ranges), BLOCK)


def unpacked(file: BinaryIO, codec: str) -> Any:
    """A file, or what was packed into it."""
    if codec == "gz":
        return gzip.open(file)
    if codec == "zst":
        try:
            import pyarrow
        except ModuleNotFoundError as error:
            raise ProjectError("A .zst file needs pyarrow. Run: poetry ml add parquet") from error
        return pyarrow.CompressedInputStream(file, "zstd")
    return file


class _Stream(io.RawIOBase):
    """Some ranges of a file one after the other; whatever the file is, the io module can read this."""

    def __init__(self, file: Any, ranges: Iterable[tuple[int, int | None]] = ()) -> None:
        self._file, self._ranges = file, iter(ranges)
        self._left: int | None = None
        self._next()

    def _next(self) -> bool:
        for start, end in self._ranges:
            self._file.seek(start)
            self._left = None if end is None else end - start
            return True
        return False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = len(buffer)
        while True:
            if self._left is not None:
                size = min(len(buffer), self._left)
            found = self._file.read(size) if size else b""
            if found or not self._next():
                break
            size = len(buffer)
        if self._left is not None:
            self._left -= len(found)
        buffer[: len(found)] = found
        return len(found)


def header(url: str, source: str, kind: str, codec: str) -> list[str]:
    """The names of a table's columns, as far as they are known before its rows."""
    with reading(source), place(url).open(url) as file:
        if kind == "parquet":
            with readers.parquet_file(file, source) as table:
                return list(table.schema_arrow.names)
        stream = io.BufferedReader(_Stream(unpacked(file, codec)), BLOCK)
        if kind == "csv":
            return readers.csv_header(stream, source)
        lines = readers.line_pieces(stream, 1, source) if kind == "jsonl" else iter(())
        return [name for piece in itertools.islice(lines, 1) for name in piece.cells]


def cut(file: File, kind: str, codec: str) -> list[dict[str, Any]]:
    """How a file is cut into parts: what of `Part` says so, for each. None of it depends on the engine."""
    if kind == "parquet":
        return list(_row_groups(file))
    # An object store is read once: its files of text are cut by whoever wrote them.
    is_large = file.size > PART_BYTES and not codec and "://" not in file.url
    return list(_lines(file, kind)) if is_large and kind != "json" else [{"weight": file.size}]


def _row_groups(file: File) -> Iterator[dict[str, Any]]:
    with (
        place(file.url).open(file.url) as opened,
        readers.parquet_file(opened, file.url) as table,
    ):
        groups = range(table.num_row_groups)
        counts = [table.metadata.row_group(n).num_rows for n in groups]
    starts, rows = [0], 0
    for n, count in enumerate(counts):
        if rows and rows + count > PART_ROWS:
            starts.append(n)
            rows = 0
        rows += count
    for start, end in zip(starts, [*starts[1:], len(counts)], strict=True):
        share = sum(counts[start:end]) / max(1, sum(counts))
        yield {"start": start, "end": end, "weight": round(file.size * share)}


def _lines(file: File, kind: str) -> Iterator[dict[str, Any]]:
    """Ranges of whole rows of at least PART_BYTES each."""
    with place(file.url).open(file.url) as opened:
        head = 0
        if kind == "csv":
            head = len(csv_head(opened))
        start, skipped = head, 0
        while start < file.size:
            rows = _whole_rows(opened, quoted=kind == "csv")
            end = start + len(rows) if rows else None
            weight = (end or file.size) - start
            yield {"start": start, "end": end, "head": head, "skipped": skipped, "weight": weight}
            start, skipped = end or file.size, skipped + rows.count(b"\n")


def buffered(file: BinaryIO) -> BinaryIO:
    """A file that has lines; those of object stores have none."""
    return io.BufferedReader(_Stream(file), BLOCK)


def csv_head(file: BinaryIO) -> bytes:
    """Read the header of a CSV file, as it is written there."""
    return b"".join(_header(file))


def _header(file: BinaryIO) -> list[bytes]:
    """The lines of the first row that is not empty."""
    taken: list[bytes] = []
    with contextlib.suppress(csv.Error, StopIteration):
        next(filter(None, csv.reader(_noted(file, taken), strict=True)))
    return taken


def _whole_rows(file: BinaryIO, quoted: bool) -> bytes:
    """PART_BYTES, and what is missing to the end of the row; nothing where no row can be told to end.

    Every line is a row, but where a cell is in quotes, which may have line breaks in it.
    """
    rows = file.read(PART_BYTES) + file.readline()
    if not quoted or b'"' not in rows:
        return rows
    file.seek(-len(rows), os.SEEK_CUR)
    taken: list[bytes] = []
    try:
        for _ in csv.reader(_noted(file, taken), strict=True):
            if len(taken) % 1_000 == 0 and sum(map(len, taken)) >= PART_BYTES:
                break
    except csv.Error:  # it will be told when the rows are scored
        return b""
    return b"".join(taken)


def _noted(file: BinaryIO, taken: list[bytes]) -> Iterator[str]:
    """The lines of a file, each of which is noted when csv takes it: it takes none before it needs it."""
    for line in iter(file.readline, b""):
        taken.append(line)
        yield line.decode("latin-1")
