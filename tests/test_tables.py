"""Rows mean the same in every format, wherever they are read: what one takes, all take, with equal values."""

from __future__ import annotations

import csv
import datetime
import enum
import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from falcon import App, testing
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from machinery import load
from msgspec import Meta

tables, columns, errors = load("tables"), load("columns"), load("errors")
exchange, signature = load("exchange"), load("signature")
oip, resources = load("service.oip"), load("service.resources")

PARQUET = "application/vnd.apache.parquet"
SPACED, MARKED, UMLAUT = "fixed acidity", "a; marked, 'name'", "Größe"


# The property: row types and rows are drawn, near misses among them.


class Color(enum.Enum):
    RED = "red"
    DARK_BLUE = "dark blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 9


class Sort(NamedTuple):
    """An annotation, values of it as JSON has them, and values that are almost such."""

    hint: Any
    values: st.SearchStrategy[Any]
    misses: st.SearchStrategy[Any]


WORDS = st.text(
    st.characters(codec="utf-8"), min_size=1, max_size=8
)
DAYS = st.dates().map(datetime.date.isoformat)
MOMENTS = st.datetimes().map(datetime.datetime.isoformat)
EXACT = st.integers(-(2**53), 2**53)
SORTS = {
    "float": Sort(
        float,
        st.floats(allow_nan=False, allow_infinity=False) | EXACT,
        st.sampled_from(["heavy", "1,5", "1_0", " 1", True]),
    ),
    "positive float": Sort(
        Annotated[float, Meta(gt=0, le=1000)],
        st.floats(0, 1000, exclude_min=True) | st.integers(1, 1000),
        st.sampled_from([0, -1, 0.0, 1000.5, 1001, "nan", "Infinity"]),
    ),
    "int": Sort(
        int,
        EXACT | st.integers(-999, 999).map(float),
        st.sampled_from([1.5, "x", "0x1", False, 1e300]),
    ),
    "bounded int": Sort(
        Annotated[int, Meta(ge=0, le=9)],
        st.integers(0, 9),
        st.sampled_from([-1, 10, 2.5, "null"]),
    ),
    "bool": Sort(bool, st.booleans(), st.sampled_from(["yes", "T", 2, 0.5])),
    "str": Sort(str, WORDS, st.nothing()),
    "short str": Sort(
        Annotated[str, Meta(max_length=3, pattern="^[a-c]+$")],
        st.text("abc", min_size=1, max_size=3),
        st.sampled_from(["abca", "d", " a", "A"]),
    ),
    "Literal of str": Sort(
        Literal["Biscoe", "North Dream"],
        st.sampled_from(["Biscoe", "North Dream"]),
        st.sampled_from(["biscoe", "Biscoe ", "North  Dream", "Mars"]),
    ),
    "Literal of int": Sort(
        Literal[1, 5], st.sampled_from([1, 5, 5.0]), st.sampled_from([2, 1.5, "one"])
    ),
    "Enum of str": Sort(
        Color, st.sampled_from(["red", "dark blue"]), st.sampled_from(["RED", "DARK_BLUE", "blue"])
    ),
    "Enum of int": Sort(Level, st.sampled_from([1, 9]), st.sampled_from([2, "LOW"])),
    "date": Sort(
        datetime.date, DAYS, st.sampled_from(["2024-13-01", "01.02.2024", "2024-1-1", "20240101"])
    ),
    "datetime": Sort(
        datetime.datetime,
        MOMENTS,
        st.sampled_from(["2024-01-01", "2024-01-01T25:00:00", "1704067200", "now"]),
    ),
}
KEYS = ["a", "b_c", SPACED, MARKED, UMLAUT]
Rows = list[dict[str, Any]]


@st.composite
def cases(draw: st.DrawFn) -> tuple[Any, Rows]:
    """A Row type, and rows as JSON has them: all right, or with near misses in one field."""
    keys = draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=4, unique=True))
    parts, strategies = [], {}
    bad = draw(st.none() | st.sampled_from(keys))
    for number, key in enumerate(keys):
        sort = SORTS[draw(st.sampled_from(list(SORTS)))]
        how = draw(st.sampled_from(["required", "nullable", "optional"]))
        hint = sort.hint if how == "required" else sort.hint | None
        default = msgspec.NODEFAULT if how != "optional" else None
        parts.append((f"f{number}", hint, msgspec.field(name=key, default=default)))
        values = sort.values if how == "required" else sort.values | st.none()
        if key == bad:
            values = values | sort.misses | (st.none() if how == "required" else st.nothing())
        strategies[key] = values
    forbid = draw(st.booleans())
    row = msgspec.defstruct("Row", parts, forbid_unknown_fields=forbid, kw_only=True)
    rows = draw(st.lists(st.fixed_dictionaries(strategies), min_size=1, max_size=4))
    return row, [{key: each[key] for key in keys} for each in rows]


def as_csv(rows: Rows) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(rows[0])
    words = {None: "", True: "true", False: "false"}
    for row in rows:
        cells = [words[v] if v is None or isinstance(v, bool) else v for v in row.values()]
        writer.writerow(cells)
    return out.getvalue().encode()


def typed(key: str, row: Any, values: list[Any]) -> pa.Array | None:
    """An Arrow array: of times where the field is one and all are; None where their types differ."""
    (hint,) = [part.kind.base for part in load("fields").fields(row) if part.key == key]
    kind = {"date": datetime.date, "datetime": datetime.datetime}.get(hint)
    try:
        if kind is not None:
            values = msgspec.convert(values, list[kind | None])
    except ValueError:
        pass
    kinds = {type(value) for value in values} - {type(None)}
    if len(kinds) > 1 and kinds != {int, float}:
        return None
    return pa.array([float(v) if kinds == {int, float} and v is not None else v for v in values])


def as_parquet(row: Any, rows: Rows) -> bytes | None:
    found = {key: typed(key, row, [each[key] for each in rows]) for key in rows[0]}
    if None in found.values():
        return None
    out = io.BytesIO()
    pq.write_table(pa.table(found), out)
    return out.getvalue()


DATATYPES = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES"}


def as_tensors(rows: Rows) -> dict[str, Any] | None:
    inputs = []
    for key in rows[0]:
        data = [row[key] for row in rows]
        kinds = {type(value) for value in data} - {type(None)}
        if len(kinds) > 1 and kinds != {int, float}:
            return None
        kind = float if len(kinds) > 1 else kinds.pop() if kinds else float
        inputs.append(
            {"name": key, "shape": [len(data)], "datatype": DATATYPES[kind], "data": data}
        )
    return {"inputs": inputs}


class Echo:
    """A model that keeps the rows that it is given."""

    def __init__(self, row: Any) -> None:
        self.rows: Any = None

        def predict(data: Any) -> list[int]:
            self.rows = data
            return [0] * len(data)

        predict.__annotations__ = {"data": list[row], "return": list[int]}
        self.predict = predict


def decoded(kind: str, row: Any, body: bytes) -> Any:
    """The rows, or None where they are refused."""
    try:
        return exchange.KINDS[kind](signature.Schema.of(Echo(row)), body)[0]
    except tables.InvalidTable as error:
        assert_readable(str(error))
        return None


def through_v2(row: Any, request: dict[str, Any]) -> Any:
    model = Echo(row)
    schema = signature.Schema.of(model)
    protocol = oip.Protocol("m", "1", schema, model.predict, resources.Status())
    app: Any = App()
    app.add_route("/infer", protocol)
    answer = testing.TestClient(app).simulate_post("/infer", json=request)
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 400:
        assert_readable(answer.json["description"])
    return model.rows


def read(path: Path, row: Any, body: bytes) -> Any:
    path.write_bytes(body)
    try:
        return tables.read(path, row).columns
    except tables.InvalidTable as error:
        assert_readable(str(error))
        return None


def assert_readable(message: str) -> None:
    assert "$." not in message and "$[" not in message and "`" not in message


def assert_equal(found: Any, expected: Any) -> None:
    assert (found is None) == (expected is None)
    if expected is not None:
        assert list(found) == list(expected)
        for key, values in expected.items():
            assert found[key].dtype == values.dtype
            np.testing.assert_array_equal(found[key], values)


# The same cases each time, so that a failure is a change's own fault; FUZZ=new looks for others.
HARD = settings(
    deadline=None,
    database=None,
    derandomize=os.environ.get("FUZZ") != "new",
    max_examples=300,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def test_every_format_takes_the_same_rows_with_equal_values(tmp_path: Path) -> None:
    seen: set[tuple[str, bool]] = set()

    @HARD
    @given(cases())
    def check(case: tuple[Any, Rows]) -> None:
        row, rows = case
        body = json.dumps(rows).encode()
        lines = "".join(json.dumps(each) + "\n" for each in rows).encode()
        expected = decoded("application/json", row, body)
        kept = expected is not None
        arrays = columns.to_columns(expected, row) if kept else None

        def compare(name: str, found: Any) -> None:
            assert found == expected, name
            seen.add((name, kept))

        compare("JSON lines", decoded("application/jsonlines", row, lines))
        compare("CSV", decoded("text/csv", row, as_csv(rows)))
        assert_equal(read(tmp_path / "t.csv", row, as_csv(rows)), arrays)
        assert_equal(read(tmp_path / "t.jsonl", row, lines), arrays)
        if (packed := as_parquet(row, rows)) is not None:
            compare("Parquet", decoded(PARQUET, row, packed))
            assert_equal(read(tmp_path / "t.parquet", row, packed), arrays)
            frame = pq.read_table(io.BytesIO(packed)).to_pandas()
            if kept and not any(rows[0][k] is None for k in rows[0]):
                assert_equal(columns.to_columns(frame, row), arrays)
        if (tensors := as_tensors(rows)) is not None:
            compare("tensors", through_v2(row, tensors))
        if kept:  # and back: rows are what their columns say
            assert columns.to_columns(columns.to_rows(arrays, row), row).keys() == arrays.keys()
            assert columns.to_rows(arrays, row) == expected

    check()
    names = ("JSON lines", "CSV", "Parquet", "tensors")
    assert seen == {(name, kept) for name in names for kept in (True, False)}
