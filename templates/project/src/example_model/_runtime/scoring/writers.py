"""Write columns of rows: CSV, JSON lines, Parquet."""

import csv
import gzip
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, BinaryIO, NamedTuple, Protocol

import msgspec

from .. import arrow
from .. import columns as columnar
from ..errors import ProjectError
from ..fields import kind_of
from .places import place

PLAIN = {str, int, float, bool, type(None)}
GROUP = 2**16  # rows of a row group in Parquet, which are in memory at once


class Column(NamedTuple):
    """A column of some rows: `values` are a list of cells, an array of numpy or one of Arrow."""

    name: str
    values: Any
    hint: Any = Any  # the annotation of a value
    typed: Any = None  # the same as an array of numpy, where `values` are text


class Writer(Protocol):
    """Takes the columns of some rows, which have the same names every time."""

    def write(self, columns: Sequence[Column]) -> None: ...

    def close(self) -> None: ...


class Csv:
    """A header, and a line for each row."""

    def __init__(self, file: BinaryIO) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        self._rows = csv.writer(self._text, lineterminator="\n")
        self._header: list[str] = []

    def write(self, columns: Sequence[Column]) -> None:
        header = [column.name for column in columns]
        if not self._header:
            self._rows.writerow(header)
            self._header = header
        _check(header, self._header)
        cells = [_cells(listed(column)) for column in columns]
        self._rows.writerows(zip(*cells, strict=True))

    def close(self) -> None:
        self._text.detach()


def _cells(values: Sequence[Any]) -> Sequence[Any]:
    """Values as CSV has them: lists and objects are JSON in a cell."""
    if set(map(type, values)).isdisjoint((list, dict)):
        return values
    encode = msgspec.json.Encoder(enc_hook=str).encode
    return [encode(v).decode() if isinstance(v, list | dict) else v for v in values]


class Lines:
    """An object on each line."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._encoder = file, msgspec.json.Encoder(enc_hook=str)

    def write(self, columns: Sequence[Column]) -> None:
        names = [column.name for column in columns]
        rows = zip(*map(listed, columns), strict=True)
        self._file.write(
            self._encoder.encode_lines(
                {n: v for n, v in zip(names, row, strict=True) if v is not msgspec.UNSET}
                for row in rows
            )
        )

    def close(self) -> None:
        pass


class Parquet:
    """Columns with types: those of a Parquet input as they were, others by the annotations."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._rows = file, 0
        self._writer: Any = None
        self._waiting: list[Any] = []

    def write(self, columns: Sequence[Column]) -> None:
        import pyarrow
        import pyarrow.parquet

        batch = pyarrow.RecordBatch.from_arrays(
            [_arrow(column) for column in columns], [column.name for column in columns]
        )
        if self._writer is None:
            self._writer = pyarrow.parquet.ParquetWriter(self._file, batch.schema)
        _check(batch.schema.names, self._writer.schema.names)
        try:
            self._waiting.append(batch.cast(self._writer.schema))
        except (pyarrow.ArrowException, ValueError) as error:
            raise _changed(error) from error
        self._rows += len(batch)
        if self._rows >= GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow

        if self._waiting:
            self._writer.write_table(pyarrow.Table.from_batches(self._waiting))
            self._waiting, self._rows = [], 0

    def close(self) -> None:
        self._flush()
        if self._writer is not None:
            self._writer.close()


def join_parquet(files: Sequence[str], file: BinaryIO) -> None:
    """Write the row groups of several Parquet files into one. Raises ProjectError where they differ."""
    import pyarrow.parquet

    with ExitStack() as stack:
        writer: Any = None
        for url in files:
            with place(url).open(url) as source:
                part = pyarrow.parquet.ParquetFile(source)
                if writer is None:
                    writer = pyarrow.parquet.ParquetWriter(file, part.schema_arrow)
                    stack.enter_context(writer)
                _check(part.schema_arrow.names, writer.schema.names)
                for group in range(part.num_row_groups):
                    try:
                        writer.write_table(part.read_row_group(group).cast(writer.schema))
                    except (pyarrow.ArrowException, ValueError) as error:
                        raise _changed(error) from error


def _changed(error: Exception) -> ProjectError:
    return ProjectError(
        f"A column of the output changes its type: {error}. Write .csv or .jsonl instead."
    )


WRITERS: dict[str, Callable[[BinaryIO], Writer]] = {"csv": Csv, "jsonl": Lines, "parquet": Parquet}


@contextmanager
def writing(file: BinaryIO, kind: str) -> Iterator[Writer]:
    """A writer of this kind, closed at the end."""
    writer = WRITERS[kind](file)
    try:
        yield writer
    except BaseException:
        with suppress(Exception):  # of what is not kept anyway
            writer.close()
        raise
    writer.close()


@contextmanager
def packed(file: BinaryIO, codec: str) -> Iterator[BinaryIO]:
    """What is written here is packed into `file`: equal bytes for equal content, whenever that is."""
    if codec == "gz":
        with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as pack:
            yield pack  # type: ignore[misc]
    elif codec == "zst":
        import pyarrow

        # Closing it closes the file, which is somebody else's.
        kept = open(file.fileno(), "wb", closefd=False)  # noqa: SIM115
        with kept, pyarrow.CompressedOutputStream(kept, "zstd") as pack:
            yield pack
    else:
        yield file


def _check(names: Sequence[str], before: Sequence[str]) -> None:
    if list(names) != list(before):
        differing = ", ".join(sorted({*names} ^ {*before})) or "the order"
        raise ProjectError(
            f"These columns are not the same for all rows: {differing}. Choose some with --keep."
        )


def listed(column: Column) -> Sequence[Any]:
    """The values of a column as JSON and CSV have them, None where one is missing."""
    values = column.values
    if isinstance(values, list | tuple):
        return values
    if not hasattr(values, "dtype"):
        found = arrow.cells(values)
        return found if set(map(type, found)) <= PLAIN else [_plain(value) for value in found]
    found = values.tolist() if hasattr(values, "tolist") else columnar.plain_list(values)
    if values.dtype.kind == "f" and values.ndim == 1:
        if kind_of(column.hint).base == "int":
            return [None if value != value else int(value) for value in found]
        # A sum is NaN where a value is.
        return [None if v != v else v for v in found] if values.sum() != values.sum() else found
    is_plain = set(map(type, found)) <= PLAIN
    return found if is_plain else [_plain(value) for value in columnar.plain_list(values)]


def _plain(value: Any) -> Any:
    if type(value) in PLAIN:
        return value
    return msgspec.to_builtins(value, enc_hook=columnar.hook)


def _arrow(column: Column) -> Any:
    import pyarrow

    values = column.values if column.typed is None else column.typed
    if hasattr(values, "null_count"):
        return values
    if isinstance(values, list | tuple):
        values = [None if value is msgspec.UNSET else value for value in values]
    elif getattr(values, "ndim", 1) == 2:
        values = list(values)
    kinds = {
        "float": pyarrow.float64(),
        "int": pyarrow.int64(),
        "bool": pyarrow.bool_(),
        "str": pyarrow.string(),
        "date": pyarrow.date32(),
        "datetime": pyarrow.timestamp("us"),
    }
    try:
        return pyarrow.array(values, kinds.get(kind_of(column.hint).base), from_pandas=True)
    except (pyarrow.ArrowException, TypeError, OverflowError) as error:
        raise ProjectError(
            f"The column {column.name} cannot be written as Parquet: {error}. "
            "Write .csv or .jsonl instead."
        ) from error
