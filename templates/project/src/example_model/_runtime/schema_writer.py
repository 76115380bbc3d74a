"""Write models/schema.py and data.py from a profile: code that one would have written by hand."""

import ast
import datetime
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from .dialect import PLAIN
from .profile import CLASSIFICATION, FREQUENT, Column, Profile, field_name, is_plain

MARK = "# As inferred from the data. To infer it anew over edits: schema --write --force. "
WIDTH = 100


def schema(profile: Profile) -> str:
    """Return the text of models/schema.py. Equal profiles give equal texts."""
    assert profile.target is not None
    return signed(formatted("\n".join(_schema(profile, profile.target))))


def data(profile: Profile) -> str:
    """Return the text of data.py, which says how this file is written."""
    return signed(formatted("\n".join(_data(profile))))


def signed(text: str) -> str:
    """Add a last line that tells whether the text was edited."""
    return f"{text.rstrip()}\n\n\n{MARK}{_digest(text)}\n"


def is_edited(text: str) -> bool:
    """Whether a text is not as it was written here."""
    body, mark, digest = text.rstrip().rpartition(MARK)
    return not mark or digest != _digest(body)


def _digest(text: str) -> str:
    return hashlib.sha256(text.strip().replace("\r\n", "\n").encode()).hexdigest()[:12]


def formatted(text: str) -> str:
    """Return the code as ruff lays it out, where it is installed."""
    words = [
        "format",
        "--isolated",
        "--line-length",
        str(WIDTH),
        "--stdin-filename",
        "code.py",
        "-",
    ]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words], input=text.encode(), capture_output=True
        )
    except OSError:
        return text
    return done.stdout.decode() if done.returncode == 0 else text


def _schema(profile: Profile, target: Column) -> Iterator[str]:
    name = profile.source.name.replace("\\", "/").replace('"', "'")
    yield f'"""The rows that the model predicts, and its predictions. This file is yours.\n\nInferred from {name}.'
    yield "What is said here is said nowhere else: requests, tables, the training's columns, the service's"
    yield 'documentation and its page all follow from these annotations.\n"""\n'
    body = [
        *_row(profile),
        *_prediction(profile, target),
        *_text_fields(profile),
        *_examples(profile),
    ]
    yield from _imports("\n".join(body))
    yield f"TARGET = {quoted(target.name)}"
    yield '"""The column to predict, in the data and in Prediction."""\n\n'
    yield from body


def _imports(body: str) -> Iterator[str]:
    used = {node.id for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name)}
    modules = {
        "datetime": ("date", "datetime"),
        "typing": ("Annotated", "Literal"),
        "msgspec": ("Meta", "field"),
    }
    lines = {
        module: f"from {module} import {', '.join(name for name in names if name in used)}"
        for module, names in modules.items()
        if used.intersection(names)
    }
    yield from (lines[module] for module in ("datetime", "typing") if module in lines)
    yield ""
    yield "import msgspec"
    yield from (lines[module] for module in ("msgspec",) if module in lines)
    yield ""


def _row(profile: Profile) -> Iterator[str]:
    yield "class Row(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):"
    yield '    """One row to predict. A value that is null, or an empty cell, is missing."""\n'
    for column in profile.fields:
        yield _field(column)
    if profile.left_out:
        yield ""
        yield "    # Left out:"
    for column in profile.left_out:
        yield f"    # {plain(column.name)}: {plain(column.left_out)}"
    yield "\n"


def _field(column: Column) -> str:
    note = f"  # {plain(column.warning)}" if column.warning else ""
    missing = column.missing > 0
    hint = _hint(column)
    if missing:
        hint += " | None"
    given = [f"name={quoted(column.name)}"] if column.field != column.name else []
    if given:
        default = f" = field({', '.join(['default=None'] * missing + given)})"
    else:
        default = " = None" if missing else ""
    lines = f"    {column.field}: {hint}{default}"
    return f"    # Beware: {plain(column.warning)}.\n{lines}" if note else lines


def _hint(column: Column) -> str:
    if choices := column.choices:
        return literal(choices, dict(column.counts))
    kind = {"word": "str", "text": "str"}.get(column.kind, column.kind)
    about = description(column)
    return f"Annotated[{kind}, Meta(description={quoted(about)})]" if about else kind


def literal(choices: tuple[Any, ...], counts: dict[Any, int]) -> str:
    """Return a Literal with a line for each choice, and its count in a comment."""
    lines = [f"        {code(choice)},  # {counts[choice]:,}" for choice in choices]
    return "\n".join(["Literal[", *lines, "    ]"])


def description(column: Column) -> str:
    """Return the range of a column, or examples of its words."""
    if column.kind in ("int", "float"):
        return f"{number(column.low)} to {number(column.high)}, median {number(column.middle)}"
    if column.kind in ("date", "datetime"):
        return f"{column.low} to {column.high}".replace("T", " ")
    if column.kind == "bool":
        return ", ".join(f"{str(value).lower()} in {count:,}" for value, count in column.counts)
    if column.kind == "text":
        lengths = [len(value.split()) for value, _ in column.counts]
        least, most = min(lengths), max(lengths)
        return f"text of {f'{least:,} to ' if least < most else ''}{most:,} words"
    frequent = [word for word, count in column.counts[:3] if count >= FREQUENT]
    examples = f", such as {', '.join(word[:30] for word in frequent)}" if frequent else ""
    return f"one of {column.distinct:,} words{examples}"


def number(value: float | None) -> str:
    """Return a number as one reads it, with at most six digits that count."""
    if value is None:
        return ""
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}" if abs(value) >= 10_000 else str(int(value))
    return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"


def _prediction(profile: Profile, target: Column) -> Iterator[str]:
    name = plain(target.name).replace('"', "'").replace("\\", "/")
    own = field_name(target.name)
    given = f" = field(name={quoted(target.name)})" if own != target.name else ""
    yield "class Prediction(msgspec.Struct):"
    if profile.task != CLASSIFICATION:
        yield f'    """The expected {name}."""\n'
        span = f"{number(target.low)} to {number(target.high)}, median {number(target.middle)}"
        yield f"    {own}: Annotated[float, Meta(description={quoted(span)})]{given}\n\n"
        return
    yield f'    """The most probable {name}, and how probable each one is."""\n'
    kind = "bool" if target.kind == "bool" else literal(target.order, dict(target.counts))
    yield f"    {own}: {kind}{given}"
    yield "    probabilities: dict[str, float]\n\n"


def _text_fields(profile: Profile) -> Iterator[str]:
    names = [quoted(column.name) for column in profile.fields if column.kind == "text"]
    yield f"TEXT: tuple[str, ...] = ({', '.join(names)}{',' if len(names) == 1 else ''})"
    yield '"""The fields that hold sentences, of which each word counts. Another str is one of many words."""\n'


def _examples(profile: Profile) -> Iterator[str]:
    yield "EXAMPLES = ["
    for row in profile.examples:
        parts = (
            f"        {column.field}={code(value)},"
            for column, value in zip(profile.fields, row, strict=True)
        )
        yield "\n".join(["    Row(", *parts, "    ),"])
    yield "]"
    yield '"""Rows for the documentation and for a first try: frequent and rounded values, no rows of the data."""'


def _data(profile: Profile) -> Iterator[str]:
    simple = is_plain(profile)
    yield '"""Where rows come from, and how they are cleaned. This file is yours."""\n'
    yield "from pathlib import Path\n"
    yield f"from . import {'Table, package, tables' if simple else 'Dialect, Table, package'}"
    yield "from .models.schema import TARGET, Prediction, Row\n"
    if profile.missing:
        yield f"MISSING = {code(profile.missing)}"
        yield '"""Words that stand for a missing value in this data, besides an empty cell."""\n'
    if not simple:
        yield f"DIALECT = Dialect({', '.join(_differences(profile))})"
        yield '"""How the data is written, where that differs from what requests look like."""\n'
    yield "\ndef path(name: str) -> Path:"
    yield '    """Return the path of a file below data/. Raises ProjectError where there is no data/."""'
    yield "    return package.data(name)\n\n"
    yield "def read(name: str) -> Table:"
    yield '    """Read the rows of a file below data/, each held to the same annotations as a request\'s.\n'
    yield "    Raises ProjectError that names the file, and the row and column where one does not fit."
    yield '    """'
    reader = "tables" if simple else "DIALECT"
    missing = ", missing=MISSING" if profile.missing else ""
    yield f"    return {reader}.read(path(name), Row, target=TARGET, answer=Prediction{missing})"


def _differences(profile: Profile) -> Iterator[str]:
    for part in fields(PLAIN):
        value = getattr(profile.dialect, part.name)
        if value != getattr(PLAIN, part.name):
            yield f"{part.name}={code(value)}"


def code(value: Any) -> str:
    """Return a value as Python, with double quotes."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, datetime.datetime):
        parts = [value.year, value.month, value.day, value.hour, value.minute]
        return f"datetime({', '.join(map(str, parts))})"
    if isinstance(value, datetime.date):
        return f"date({value.year}, {value.month}, {value.day})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{quoted(k)}: {code(v)}' for k, v in value.items())}}}"
    if isinstance(value, tuple):
        return f"({', '.join(map(code, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


def quoted(text: str) -> str:
    """Return a text as a string of Python, in double quotes unless that takes more escapes."""
    shown = repr(text)
    if '"' in text:
        return shown
    inner = shown[1:-1].replace("\\'", "'")
    return f'"{inner}"'


def plain(text: str) -> str:
    """Return a text that fits into a comment."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
