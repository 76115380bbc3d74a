"""Rows from text and predictions to text: JSON, JSON lines and CSV, each answered in kind."""

import csv
import io
from collections.abc import Callable
from typing import Any

import msgspec

from .signature import Schema

Render = Callable[[Any], bytes]
Decode = Callable[[Schema, bytes], tuple[Any, Render]]


def from_request(schema: Schema, body: bytes) -> tuple[Any, Render]:
    """Rows as {"data": rows}, predictions as {"predictions": predictions}."""
    return schema.decode_request(body), lambda answers: schema.encode({"predictions": answers})


def from_json(schema: Schema, body: bytes) -> tuple[Any, Render]:
    """Rows in one JSON list, bare or as {"data": rows}; predictions as one JSON list."""
    return schema.decode_rows(body), schema.encode


def from_lines(schema: Schema, body: bytes) -> tuple[Any, Render]:
    """A line of JSON for each row, and for each prediction."""
    rows = [msgspec.json.decode(line) for line in body.splitlines() if line.strip()]
    return schema.convert(rows), lambda answers: b"".join(schema.encode(a) + b"\n" for a in answers)


def from_csv(schema: Schema, body: bytes) -> tuple[Any, Render]:
    """A table, and the same table with the predictions as further columns.

    Columns that are no field are kept, unused. Where the first line names no field it is a row, with
    its cells in the order of the fields.
    """
    table = list(csv.reader(io.StringIO(body.decode("utf-8-sig")), strict=True))
    names = table[0] if table else []
    if not set(names) & set(schema.fields):
        names = list(schema.fields) or [f"column {n}" for n, _ in enumerate(names, 1)]
        table.insert(0, names)
    rows = [row for row in table[1:] if row]
    for n, row in enumerate(rows):
        if len(row) != len(names):
            wanted = f"{len(names)} cells ({', '.join(names)})"
            raise ValueError(f"Expected {wanted}, got {len(row)} - at `$[{n}]`")
    cells = [dict(zip(names, row, strict=True)) for row in rows]
    return schema.convert_cells(cells), lambda answers: _to_csv(cells, answers)


KINDS: dict[str, Decode] = {
    "application/json": from_json,
    "application/jsonlines": from_lines,
    "text/csv": from_csv,
}
SUFFIXES = {
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".csv": "text/csv",
}


def _to_csv(cells: list[dict[str, str]], answers: Any) -> bytes:
    rows = [
        row | _flat("prediction", msgspec.to_builtins(answer))
        for row, answer in zip(cells, answers, strict=True)
    ]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _flat(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    return {k: v for key in value for k, v in _flat(f"{name}.{key}", value[key]).items()}
