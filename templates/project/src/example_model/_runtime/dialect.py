"""How a file of data is written, and its rows as cells of text: CSV of any make, JSON lines, Parquet, Excel.

Nothing is taken for what it might not be: a file that can be read in two ways is an error that says so.
"""

import codecs
import csv
import dataclasses
import datetime
import itertools
import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from . import delimited, tables
from .errors import ProjectError
from .fields import fields

PIECE = 16_384  # rows that are read at once
SPACES = " \u00a0\u202f"  # that stand between thousands

Cells = Sequence[Any]
"""The cells of a row or a column: text or None in a table of text, otherwise values that have types."""


@dataclass(frozen=True)
class Dialect:
    """How a file is written, where it is not as JSON and RFC 4180 would have it."""

    encoding: str = "utf-8"
    delimiter: str = ","
    decimal: str = "."
    thousands: str = ""
    quote: str = '"'
    loose: bool = False  # blanks around cells, numbers such as .5, 5. and +5
    dates: dict[str, str] = field(
        default_factory=dict
    )  # the format of a column, as strptime has it
    whole: tuple[str, ...] = ()  # columns of whole numbers that are written as 1.0
    partial: bool = False  # whether rows without a target are left out

    def read(
        self,
        path: Path,
        row: Any,
        target: str,
        *,
        answer: Any = None,
        missing: Collection[str] = (),
    ) -> tables.Table:
        """Read a file as tables.read does, after its cells have been put into the words of JSON.

        Raises ProjectError that names the file, and the row and column where one does not fit.
        """
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder, path.with_suffix(".csv").name)
            self.rewrite(path, plain, row, target, answer, missing)
            table = tables.read(plain, row, target=target, answer=answer)
        return dataclasses.replace(table, sources=(path,))

    def rewrite(
        self,
        path: Path,
        plain: Path,
        row: Any,
        target: str,
        answer: Any,
        missing: Collection[str],
    ) -> None:
        """Write a table of text as it should have been, each row in the line that it has in `path`."""
        source = Source(path, self)
        kinds = {part.key: part.kind.base for part in (*fields(answer), *fields(row))}
        convert = [self._converter(name, kinds.get(name)) for name in source.header]
        goal = source.header.index(target) if target in source.header else None
        with plain.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(source.header)
            line = 1 + sum(name.count("\n") for name in source.header)
            for number, cells in source.rows():
                stripped = [c.strip() if isinstance(c, str) else c for c in cells]
                words = [
                    "" if cell in (None, "") or cell in missing else to_word(cell)
                    for cell, to_word in zip(stripped, convert, strict=True)
                ]
                if self.partial and goal is not None and not words[goal]:
                    continue
                file.write("\n" * max(number - line - 1, 0))
                writer.writerow(words)
                line = max(number, line + 1)

    def _converter(self, name: str, kind: str | None) -> Callable[[Any], str]:
        if name in self.dates:
            return self._dated(self.dates[name])
        if name in self.whole:
            return lambda cell: _whole(self.number(_text(cell)))
        if kind in ("float", "int"):
            return lambda cell: self.number(_text(cell))
        return _text

    def _dated(self, form: str) -> Callable[[Any], str]:
        known: dict[Any, str] = {}

        def to_date(cell: Any) -> str:
            if cell not in known:
                known[cell] = as_iso(_text(cell), form)
            return known[cell]

        return to_date

    @property
    def written(self) -> delimited.Written:
        """How a text is written, as far as that concerns its cells."""
        return delimited.Written(
            self.encoding, self.delimiter, self.decimal, self.thousands, self.quote
        )

    def number(self, text: str) -> str:
        """Return a number as JSON has it, or the text as it is where it is no number."""
        if not (found := self._number.fullmatch(text)):
            return text
        sign, whole, part, exponent = found.groups(default="")
        whole = re.sub(r"\D", "", whole) or "0"
        rest = f".{part}" if part else ""
        return f"{sign.replace('+', '')}{whole}{rest}{exponent}"

    @property
    def _number(self) -> re.Pattern[str]:
        return _pattern(self.decimal, self.thousands)


PLAIN = Dialect()


def _pattern(decimal: str, thousands: str) -> re.Pattern[str]:
    """The numbers of a dialect: sign, whole part, decimals, exponent."""
    point = re.escape(decimal)
    mark = f"[{re.escape(SPACES if thousands == ' ' else thousands)}]" if thousands else ""
    whole = rf"\d{{1,3}}(?:{mark}\d{{3}})+|\d+" if mark else r"\d+"
    return re.compile(rf"([+-]?)({whole}|(?={point}\d))(?:{point}(\d*))?([eE][+-]?\d+)?")


def as_iso(text: str, form: str) -> str:
    """Return a date, or a date and time, as RFC 3339 has it; the text as it is where it has another form."""
    try:
        if form == "iso":
            moment = datetime.datetime.fromisoformat(text)
        else:
            moment = datetime.datetime.strptime(text, form)
    except ValueError:
        return text
    with_time = form == "iso" or "%H" in form or "%I" in form
    return moment.isoformat() if with_time else moment.date().isoformat()


def _whole(text: str) -> str:
    return re.sub(r"\.0*$", "", text)


def _text(cell: Any) -> str:
    """A cell as text, whichever type it has."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, datetime.date):
        return cell.isoformat()
    if isinstance(cell, list | dict):
        return msgspec.json.encode(cell).decode()
    return str(cell)


class Source:
    """A file of rows: its header, and its cells.

    Raises ProjectError where it is no table that can be read in one way.
    """

    def __init__(self, path: Path, dialect: Dialect | None = None) -> None:
        self.path = path
        delimited.check_kind(path)
        self.blanks = False  # whether there are some around a name
        self.typed = path.suffix in delimited.TYPED
        self.dialect = dialect or (PLAIN if self.typed else Dialect(*delimited.sniff(path)))
        self.header = self._header()
        delimited.check_header(path.name, self.header)

    def rows(self) -> Iterator[tuple[int, Cells]]:
        """Each row's last line (or its number from 1, in Parquet) and cells: as they are, "" where empty."""
        width = len(self.header)
        for line, cells in self._rows():
            if len(cells) != width:
                raise delimited.ragged(self.path.name, line, len(cells), width)
            yield line, cells

    def error(self, problem: str, place: str = "") -> ProjectError:
        """Return an error about this file."""
        return ProjectError(" ".join(f"{self.path.name}{place} {problem}.".split()))

    def _rows(self) -> Iterator[tuple[int, Cells]]:
        kind = self.path.suffix
        if kind in (".jsonl", ".ndjson"):
            return self._json_lines()
        if kind == ".parquet":
            return self._parquet()
        if kind == ".xlsx":
            return self._excel()
        return itertools.islice(delimited.records(self.path, self.dialect.written), 1, None)

    def _header(self) -> list[str]:
        kind = self.path.suffix
        if kind in (".jsonl", ".ndjson"):
            keys: dict[str, None] = {}
            for _, value in self._objects():
                keys.update(dict.fromkeys(value))
            return list(keys)
        if kind == ".parquet":
            return [str(name) for name in self._open_parquet().schema_arrow.names]
        if kind == ".xlsx":
            first = next(self._sheet(), ())
            return ["" if cell is None else str(cell).strip() for cell in first]
        names = delimited.header_of(self.path, self.dialect.written)
        stripped = [name.strip() for name in names]
        self.blanks = stripped != names
        return stripped

    def _objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    value = msgspec.json.decode(line.removeprefix(codecs.BOM_UTF8))
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    raise self.error(
                        f"is not JSON: {error}".rstrip("."), f", line {number},"
                    ) from error
                if not isinstance(value, dict):
                    raise self.error("is not a JSON object", f", line {number},")
                yield number, value

    def _json_lines(self) -> Iterator[tuple[int, Cells]]:
        for number, value in self._objects():
            yield number, [value.get(name) for name in self.header]

    def _open_parquet(self) -> Any:
        try:
            import pyarrow
            from pyarrow import parquet
        except ModuleNotFoundError as error:
            raise ProjectError(
                f"Reading {self.path.name} needs pyarrow. Run: poetry ml add parquet"
            ) from error
        try:
            return parquet.ParquetFile(self.path)
        except (pyarrow.ArrowException, OSError) as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> ProjectError:
        reason = str(error).partition("\n")[0].rstrip(".")
        return self.error(f"is not a complete Parquet file: {reason}")

    def _parquet(self) -> Iterator[tuple[int, Cells]]:
        import pyarrow

        number = 0
        try:
            for batch in self._open_parquet().iter_batches(PIECE, use_threads=False):
                for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    number += 1
                    yield number, [None if cell != cell else cell for cell in cells]
        except (pyarrow.ArrowException, OSError) as error:
            raise self._broken(error) from error

    def _sheet(self) -> Iterator[tuple[Any, ...]]:
        try:
            import openpyxl  # type: ignore[import-untyped,unused-ignore]
        except ModuleNotFoundError as error:
            raise ProjectError(
                f"Reading {self.path.name} needs openpyxl. Run: poetry add openpyxl, "
                "or save the sheet as CSV."
            ) from error
        try:
            book = openpyxl.load_workbook(self.path, read_only=True, data_only=True)
        except Exception as error:
            raise self.error("is not a complete Excel file") from error
        if len(book.sheetnames) > 1:
            sheets = ", ".join(book.sheetnames)
            raise self.error(f"has {len(book.sheetnames)} sheets ({sheets}). Save one by itself")
        yield from book.worksheets[0].iter_rows(values_only=True)

    def _excel(self) -> Iterator[tuple[int, Cells]]:
        for number, cells in enumerate(itertools.islice(self._sheet(), 1, None), 2):
            values = [_cell(cell) for cell in cells]
            if any(value is not None for value in values):
                yield number, values


def _cell(value: Any) -> Any:
    """A cell of Excel, which has neither dates without a time nor whole numbers."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value
