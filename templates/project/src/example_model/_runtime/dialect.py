"""How a file of data is written, and its rows as cells of text: CSV of any make, JSON lines, Parquet, Excel.

Nothing is taken for what it might not be: a file that can be read in two ways is an error that says so.
"""

import codecs
import csv
import dataclasses
import datetime
import io
import itertools
import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from . import tables
from .errors import ProjectError
from .fields import fields

PIECE = 16_384  # rows that are read at once
SAMPLE = 2_000  # rows that tell how a text is written
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
SPACES = " \u00a0\u202f"  # that stand between thousands
SUFFIXES = (".csv", ".tsv", ".txt", ".data", ".tab", ".jsonl", ".ndjson", ".parquet", ".xlsx")
WIDEST = 1024 * 1024  # characters of a cell

Cells = Sequence[Any]
"""The cells of a row or a column: text or None in a table of text, otherwise values that have types."""


@dataclass(frozen=True)
class Dialect:
    """How a file is written, where it is not as JSON and RFC 4180 would have it."""

    encoding: str = "utf-8"
    delimiter: str = ","
    decimal: str = "."
    thousands: str = ""
    loose: bool = False  # blanks around cells, numbers such as .5, 5. and +5
    dates: dict[str, str] = field(default_factory=dict)  # the format of a column, as strptime has it
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
            self._rewrite(path, plain, row, target, answer, tuple(missing))
            table = tables.read(plain, row, target=target, answer=answer)
        return dataclasses.replace(table, source=path)

    def _rewrite(
        self,
        path: Path,
        plain: Path,
        row: Any,
        target: str,
        answer: Any,
        missing: tuple[str, ...],
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
        self._check_kind()
        self.blanks = False  # whether there are some around a name
        self.typed = path.suffix in (".jsonl", ".ndjson", ".parquet", ".xlsx")
        self.dialect = dialect or (PLAIN if self.typed else sniff(path))
        self.header = self._header()
        self._check_header()

    def rows(self) -> Iterator[tuple[int, Cells]]:
        """Each row's last line (or its number from 1, in Parquet) and cells: as they are, "" where empty."""
        width = len(self.header)
        for line, cells in self._rows():
            if len(cells) != width:
                raise self.error(
                    f"has {_cells(len(cells))}, the header has {width}", f", line {line},"
                )
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
        return itertools.islice(_records(self.path, self.dialect), 1, None)

    def _header(self) -> list[str]:
        kind = self.path.suffix
        if kind in (".jsonl", ".ndjson"):
            names: dict[str, None] = {}
            for _, value in self._objects():
                names.update(dict.fromkeys(value))
            return list(names)
        if kind == ".parquet":
            return [str(name) for name in self._open_parquet().schema_arrow.names]
        if kind == ".xlsx":
            first = next(self._sheet(), ())
            return ["" if cell is None else str(cell).strip() for cell in first]
        first: list[str] = next(_records(self.path, self.dialect), (0, []))[1]
        stripped = [cell.strip() for cell in first]
        self.blanks = stripped != first
        return stripped

    def _check_kind(self) -> None:
        name = self.path.name
        if self.path.is_dir() or not self.path.exists():
            raise ProjectError(f"{self.path} is {'a folder' if self.path.is_dir() else 'missing'}.")
        if self.path.suffix not in SUFFIXES:
            known = ", ".join(SUFFIXES)
            raise ProjectError(f"{name}: files of this kind are not read, only {known}.")
        try:
            with self.path.open("rb") as file:
                start = file.read(4096)
        except OSError as error:
            raise ProjectError(f"{name} cannot be read: {error.strerror}.") from error
        if problem := _problem(start, self.path.suffix):
            raise ProjectError(f"{name} {problem}.")

    def _check_header(self) -> None:
        if not self.header:
            raise self.error("has no columns")
        for name in self.header:
            if odd := re.search(r'["\\\x00-\x1f]', name):
                raise self.error(
                    f"has a column with {odd[0]!r} in its name. JSON would write that in another way: rename it"
                )
            if (count := self.header.count(name)) > 1:
                called = f'the column "{name}"' if name else "a column without a name"
                raise self.error(f"has {called} {count} times. Give each one a name of its own")
            if len(self.header) > 5_000:
                return  # far too many, which is said by whoever asked

    def _objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    value = msgspec.json.decode(line.removeprefix(codecs.BOM_UTF8))
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    raise self.error(f"is no JSON: {error}".rstrip("."), f", line {number},") from error
                if not isinstance(value, dict):
                    raise self.error("is no JSON object", f", line {number},")
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
                f"Reading {self.path.name} needs pyarrow. Run: poetry add pyarrow"
            ) from error
        try:
            return parquet.ParquetFile(self.path)
        except (pyarrow.ArrowException, OSError) as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> ProjectError:
        reason = str(error).partition("\n")[0].rstrip(".")
        return self.error(f"is no Parquet file that can be read, or a part of one: {reason}")

    def _parquet(self) -> Iterator[tuple[int, Cells]]:
        import pyarrow

        number = 0
        try:
            for batch in self._open_parquet().iter_batches(PIECE):
                for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    number += 1
                    yield number, [None if cell != cell else cell for cell in cells]
        except (pyarrow.ArrowException, OSError) as error:
            raise self._broken(error) from error

    def _sheet(self) -> Iterator[tuple[Any, ...]]:
        try:
            import openpyxl
        except ModuleNotFoundError as error:
            raise ProjectError(
                f"Reading {self.path.name} needs openpyxl. Run: poetry add openpyxl, "
                "or save the sheet as CSV."
            ) from error
        try:
            book = openpyxl.load_workbook(self.path, read_only=True, data_only=True)
        except Exception as error:
            raise self.error("is no Excel file that can be read, or a part of one") from error
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


def _problem(start: bytes, suffix: str) -> str | None:
    """Say what a file is that is not what its name says."""
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not text:
        return "is empty"
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body", b"<table")):
        return "is HTML or XML, not a table"
    if start.startswith(b"version https://git-lfs.github.com/spec/"):
        return "is a Git LFS pointer, not the file itself. Run: git lfs pull"
    is_zip, is_parquet = start.startswith(b"PK\x03\x04"), start.startswith(b"PAR1")
    if (suffix == ".xlsx") != is_zip:
        return "is a ZIP or Excel file by its content" if is_zip else "is no Excel file by its content"
    if (suffix == ".parquet") != is_parquet:
        return "is Parquet by its content" if is_parquet else "is no Parquet file by its content"
    if start.startswith(b"\x1f\x8b"):
        return "is compressed. Unpack it first"
    if suffix in (".jsonl", ".ndjson") and text.startswith(b"["):
        return "holds one JSON array. Write one object a line"
    return None


def _cells(count: int) -> str:
    return f"{count} cell" if count == 1 else f"{count} cells"


def _records(path: Path, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Each record of a text with the number of its last line. Blank lines are none."""
    limit = csv.field_size_limit(WIDEST)
    try:
        with path.open(encoding=_codec(dialect.encoding), newline="") as file:
            reader = csv.reader(file, delimiter=dialect.delimiter, strict=True)
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
    except csv.Error as error:
        problem = "a quote is not closed" if "unexpected end" in str(error) else str(error)
        raise ProjectError(f"{path.name}, line {reader.line_num}: {problem}.") from error
    except UnicodeError as error:
        raise ProjectError(f"{path.name} is not {dialect.encoding}: {error}.") from error
    except OSError as error:
        raise ProjectError(f"{path.name} cannot be read: {error.strerror}.") from error
    finally:
        csv.field_size_limit(limit)


def sniff(path: Path) -> Dialect:
    """Find out how a text is written: encoding, delimiter, and what separates decimals and thousands.

    Raises ProjectError where that is not clear, or the text has no header.
    """
    encoding = _encoding(path)
    dialect = Dialect(encoding, _delimiter(path, encoding))
    records = itertools.islice(_records(path, dialect), SAMPLE)
    rows = [[cell.strip() or None for cell in cells] for _, cells in records]
    if len(rows) < 2:
        raise ProjectError(f"{path.name} has no rows below its first line.")
    _check_first_line(path, rows)
    decimal, thousands = _marks(path, rows[0], rows[1:], dialect.delimiter)
    return dataclasses.replace(dialect, decimal=decimal, thousands=thousands)


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4096)
        if start.startswith(codecs.BOM_UTF8):
            return "utf-8"
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        for encoding, odd in (("utf-16-le", start[1::2]), ("utf-16-be", start[::2])):
            if start and odd.count(0) > 0.7 * len(odd):
                return encoding
        if b"\0" in start:
            raise ProjectError(f"{path.name} is no text: it has zero bytes.")
        file.seek(0)
        for encoding in ("utf-8", "cp1252"):
            if _decodes(file, encoding):
                return encoding
    return "latin-1"


def _codec(encoding: str) -> str:
    return "utf-8-sig" if encoding == "utf-8" else encoding  # which takes a byte order mark, or none


def _decodes(file: Any, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    file.seek(0)
    try:
        while block := file.read(1 << 20):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _delimiter(path: Path, encoding: str) -> str:
    """The delimiter that gives rows as wide as the header; the one with the most columns."""
    with path.open(encoding=_codec(encoding), newline="") as file:
        text = file.read(1 << 20)
    whole = len(text) < 1 << 20
    scores = {mark: _width(text, mark, whole) for mark in DELIMITERS}
    best = max(scores, key=lambda mark: scores[mark])
    if scores[best][1] < 2:
        if path.suffix in (".tsv", ".tab"):
            return "\t"
        first = " ".join(text.partition("\n")[0].split())[:60]
        if all(mark not in first for mark in DELIMITERS):
            raise ProjectError(
                f'{path.name} has one column, "{first}". A target and a column to predict it from are needed.'
            )
        return max(DELIMITERS, key=first.count)
    return best


def _width(text: str, mark: str, whole: bool) -> tuple[float, int]:
    """How often rows are as wide as the header, in tenths, and how wide that is."""
    limit = csv.field_size_limit(WIDEST)
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
        widths = [len(row) for row in itertools.islice(rows, 200) if row]
    except csv.Error:
        return 0.0, 0
    finally:
        csv.field_size_limit(limit)
    body = widths[1:] if whole or len(widths) < 3 else widths[1:-1]
    if not body or widths[0] < 2:
        return 0.0, 0
    return round(sum(width == widths[0] for width in body) / len(body), 1), widths[0]


def _check_first_line(path: Path, rows: list[list[str | None]]) -> None:
    """Raise ProjectError where the first line holds values, not names."""
    header, body = rows[0], rows[1:]
    named = [name for name in header if name]
    numbers = [name for name in named if re.fullmatch(r"[+-]?\d*[.,]?\d+([eE][+-]?\d+)?", name)]
    years = all(re.fullmatch(r"(1[6-9]|2[01])\d\d", name) for name in numbers)
    wide = [row for row in body if len(row) == len(header)]
    repeated = [
        name
        for n, name in enumerate(header)
        if name and sum(row[n] == name for row in wide) > 0 and name not in numbers
    ]
    words = [name for name in named if name not in numbers]
    if (
        not named
        or (numbers and not years and 2 * len(numbers) >= len(named))
        or (words and len(words) > 1 and 2 * len(repeated) > len(words))
    ):
        shown = " ".join(", ".join(name or "" for name in header).split())[:80]
        raise ProjectError(
            f'{path.name} has no header: its first line is "{shown}". Put the names of the columns there.'
        )


_SHAPES = {
    "comma decimals": re.compile(
        r"[+-]?(?:\d{1,3}(?:[.'\u00a0\u202f ]\d{3})+,\d+|0,\d+|\d{4,},\d+|\d+,(?:\d{1,2}|\d{4,}))"
    ),
    "point decimals": re.compile(r"[+-]?(?:\d{1,3}(?:[,'\u00a0\u202f ]\d{3})+\.\d+|\d*\.(?:\d{1,2}|\d{4,})|0\.\d+)"),
    "comma thousands": re.compile(r"[+-]?\d{1,3}(?:,\d{3}){2,}(?:\.\d+)?|[+-]?\d{1,3}(?:,\d{3})+\.\d+"),
    "point thousands": re.compile(r"[+-]?\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?|[+-]?\d{1,3}(?:\.\d{3})+,\d+"),
    "space thousands": re.compile(r"[+-]?\d{1,3}(?:[\u00a0\u202f ]\d{3})+(?:[.,]\d+)?"),
    "apostrophes": re.compile(r"[+-]?\d{1,3}(?:'\d{3})+(?:[.,]\d+)?"),
    "one comma": re.compile(r"[+-]?\d{1,3},\d{3}"),
}  # fmt: skip
_NUMBERS = re.compile(r"[+-]?[\d.,'\u00a0\u202f ]*\d[.,]?(?:[eE][+-]?\d+)?")


def _marks(
    path: Path, header: list[str | None], body: list[list[str | None]], delimiter: str
) -> tuple[str, str]:
    """What separates decimals, and thousands, in the columns that hold numbers."""
    seen: dict[str, tuple[str, str]] = {}
    for name, cells in zip(header, itertools.zip_longest(*body), strict=False):
        known = [cell for cell in cells if cell]
        numbers = [cell for cell in known if _NUMBERS.fullmatch(cell)]
        if not numbers or 10 * len(numbers) < 9 * len(known):
            continue
        if all(re.fullmatch(r"\d{1,4}[.]\d{1,2}[.]\d{1,4}", cell) for cell in numbers):
            continue  # dates
        for shape, pattern in _SHAPES.items():
            if shape not in seen and (cell := next(filter(pattern.fullmatch, numbers), None)):
                seen[shape] = (name or "", cell)
    comma = "comma decimals" in seen or "point thousands" in seen
    point = "comma thousands" in seen or ("point decimals" in seen and not comma)
    if comma and "comma thousands" in seen:
        (one, first), (other, second) = seen["comma thousands"], seen.get("comma decimals", ("", ""))
        if second:
            raise ProjectError(
                f'{path.name} has commas for thousands ({one}: "{first}") and for decimals '
                f'({other}: "{second}"). Write its numbers in one way.'
            )
    if "one comma" in seen and not comma and not point and delimiter != ",":
        name, cell = seen["one comma"]
        raise ProjectError(
            f'{path.name}, {name}: "{cell}" may be {cell.replace(",", "")} or {cell.replace(",", ".")}. '
            "Write its numbers with a decimal point, and without marks for thousands."
        )
    spaced = " " if "space thousands" in seen else "'" if "apostrophes" in seen else ""
    if comma:
        return ",", spaced or ("." if "point thousands" in seen else "")
    return ".", spaced or ("," if "one comma" in seen or "comma thousands" in seen else "")
