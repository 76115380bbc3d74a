"""How a text of delimited values is written: found out with the standard library alone."""

import codecs
import csv
import difflib
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .errors import ProjectError

SAMPLE = 2_000  # rows that tell how a text is written
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
TEXTS = (".csv", ".tsv", ".txt", ".data", ".tab")
TYPED = (".jsonl", ".ndjson", ".parquet", ".xlsx")
WIDEST = 1024 * 1024  # characters of a cell
MOST_COLUMNS = 1_000
FEWEST_ROWS = 10


class Written(NamedTuple):
    """How a text is written."""

    encoding: str = "utf-8"
    delimiter: str = ","
    decimal: str = "."
    thousands: str = ""
    quote: str = '"'


def check_kind(path: Path) -> None:
    """Raise ProjectError where there is no file, or one of another kind than its name says."""
    if path.is_dir() or not path.exists():
        raise ProjectError(f"{path} is {'a folder' if path.is_dir() else 'missing'}.")
    if path.suffix not in (*TEXTS, *TYPED):
        known = ", ".join((*TEXTS, *TYPED))
        raise ProjectError(f"{path.name}: files of this kind are not read, only {known}.")
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise ProjectError(f"{path.name} cannot be read: {error.strerror}.") from error
    if problem := _problem(start, path.suffix):
        raise ProjectError(f"{path.name} {problem}.")


def check(path: Path, target: str | None) -> list[str]:
    """Return the columns of a text, after all that can be said against it with the standard library.

    Raises ProjectError.
    """
    check_kind(path)
    written = sniff(path)
    header = [name.strip() for name in header_of(path, written)]
    check_header(path.name, header, target)
    goal = header.index(target) if target is not None else None
    rows = 0
    values: set[str] = set()
    for line, cells in itertools.islice(records(path, written), 1, None):
        if len(cells) != len(header):
            raise ragged(path.name, line, len(cells), len(header))
        rows += 1
        if goal is not None and len(values) < 3:
            values.add(cells[goal].strip())
    check_rows(path.name, rows)
    if goal is not None and len(values - {""}) < 2:
        raise ProjectError(
            f"{path.name}, {target}: the target has {'one value' if values - {''} else 'no values'}, "
            "so there is nothing to learn."
        )
    return header


def check_rows(name: str, rows: int) -> None:
    """Raise ProjectError where there are too few rows."""
    if rows < FEWEST_ROWS:
        raise ProjectError(
            f"{name} has {rows} {'row' if rows == 1 else 'rows'}, and at least {FEWEST_ROWS} are needed "
            "to train and to judge a model."
        )


def ragged(name: str, line: int, cells: int, header: int) -> ProjectError:
    """Return the error of a row that is not as wide as the header."""
    many = f"{cells} cell" if cells == 1 else f"{cells} cells"
    return ProjectError(f"{name}, line {line}, has {many}, the header has {header}.")


def header_of(path: Path, written: Written) -> list[str]:
    """Return the names in the first line as they are."""
    return next(records(path, written), (0, []))[1]


def check_header(name: str, header: Sequence[str], target: str | None = None) -> None:
    """Raise ProjectError where the columns of the file `name` will not do, or the target is none of them."""
    if len(header) > MOST_COLUMNS:
        raise ProjectError(
            f"{name} has {len(header):,} columns, and at most {MOST_COLUMNS:,} are taken. "
            "Keep those that the target may depend on."
        )
    if len(header) < 2:
        many = "one column" if header else "no columns"
        raise ProjectError(
            f"{name} has {many}. A target and a column to predict it from are needed."
        )
    for column in header:
        if odd := re.search(r'["\\\x00-\x1f]', column):
            raise ProjectError(
                f"{name} has a column with {odd[0]!r} in its name. JSON would write that in another "
                "way: rename it."
            )
        if (count := header.count(column)) > 1:
            called = f'the column "{column}"' if column else "a column without a name"
            raise ProjectError(
                f"{name} has {called} {count} times. Give each one a name of its own."
            )
    if target is not None and target not in header:
        raise ProjectError(no_column(target, header, name))


def no_column(name: str, header: Sequence[str], source: str) -> str:
    """Say that a file has no such column, and which is the nearest."""
    folded = {column.casefold().strip(): column for column in header}
    near = difflib.get_close_matches(name.casefold().strip(), folded, 1, 0.6)
    listed = ", ".join(header[:30]) + (", …" if len(header) > 30 else "")
    hint = f'Did you mean "{folded[near[0]]}"?' if near else f"It has: {listed}."
    return " ".join(f'{source} has no column "{name}". {hint}'.split())


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
        return (
            "is a ZIP or Excel file by its content"
            if is_zip
            else "is not an Excel file by its content"
        )
    if (suffix == ".parquet") != is_parquet:
        return "is Parquet by its content" if is_parquet else "is not a Parquet file by its content"
    if start.startswith(b"\x1f\x8b"):
        return "is compressed. Unpack it first"
    if suffix in (".jsonl", ".ndjson") and text.startswith(b"["):
        return "holds one JSON array. Write one object a line"
    return None


def records(path: Path, written: Written) -> Iterator[tuple[int, list[str]]]:
    """Each record of a text with the number of its last line. Blank lines are none."""
    limit = csv.field_size_limit(WIDEST)
    try:
        with path.open(encoding=_codec(written.encoding), newline="") as file:
            reader = csv.reader(
                file, delimiter=written.delimiter, quotechar=written.quote, strict=True
            )
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
    except csv.Error as error:
        problem = "a quote is not closed" if "unexpected end" in str(error) else str(error)
        raise ProjectError(f"{path.name}, line {reader.line_num}: {problem}.") from error
    except UnicodeError as error:
        raise ProjectError(f"{path.name} is not {written.encoding}: {error}.") from error
    except OSError as error:
        raise ProjectError(f"{path.name} cannot be read: {error.strerror}.") from error
    finally:
        csv.field_size_limit(limit)


def sniff(path: Path) -> Written:
    """Find out how a text is written: encoding, delimiter, and what separates decimals and thousands.

    Raises ProjectError where that is not clear, or the text has no header.
    """
    encoding = _encoding(path)
    written = Written(encoding, _delimiter(path, encoding))
    if all(re.fullmatch(r"'.*'", name) for name in header_of(path, written)):
        written = written._replace(quote="'")
    some = itertools.islice(records(path, written), SAMPLE)
    rows = [[cell.strip() or None for cell in cells] for _, cells in some]
    if len(rows) < 2:
        raise ProjectError(f"{path.name} has no rows below its first line.")
    _check_first_line(path, rows)
    decimal, thousands = _marks(path, rows[0], rows[1:], written.delimiter)
    return written._replace(decimal=decimal, thousands=thousands)


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
            raise ProjectError(f"{path.name} is not text: it holds zero bytes.")
        file.seek(0)
        for encoding in ("utf-8", "cp1252"):
            if _decodes(file, encoding):
                return encoding
    return "latin-1"


def _codec(encoding: str) -> str:
    return (
        "utf-8-sig" if encoding == "utf-8" else encoding
    )  # which takes a byte order mark, or none


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
        (one, first), (other, second) = (
            seen["comma thousands"],
            seen.get("comma decimals", ("", "")),
        )
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
