"""Rows mean the same in every format, wherever they are read: what one takes, all take, with equal values."""

from __future__ import annotations

import csv
import datetime
import enum
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
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


WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
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
    kind: Any = {"date": datetime.date, "datetime": datetime.datetime}.get(hint)
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
        arrays: Any = columns.to_columns(expected, row) if kept else None

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


# Headers.


class Penguin(msgspec.Struct):
    island: Literal["Biscoe", "Dream"]
    bill_length_mm: Annotated[float, Meta(gt=0)] | None = None
    body_mass_g: float | None = None


HEADER = "island,bill_length_mm,body_mass_g"


def table(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def refusal(call: Callable[..., Any], *words: Any, **options: Any) -> str:
    with pytest.raises(tables.InvalidTable) as caught:
        call(*words, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("island, bill_length_mm,body_mass_g", '" bill_length_mm" is nearly "bill_length_mm"'),
        ("island,bill_length_mm,Body_Mass_g", '"Body_Mass_g" is nearly "body_mass_g"'),
        ("island,bill_length_mm,body_mass", '"body_mass" is nearly "body_mass_g"'),
        ("island,bill_length_mm,body mass (g)", '"body mass (g)" is nearly "body_mass_g"'),
        ("island,bill_length_mm,body_mass_g,Island", '"Island" is nearly "island"'),
        ("island,bill_length_mm,body_mass_g,island", '"island" comes 2 times'),
        ("island,bill_length_mm,body_mass_g,id,id", '"id" comes 2 times'),
        (
            "island,bill_length_mm",
            'no column "body_mass_g". If that is meant, say so: --missing body_mass_g',
        ),
        ("bill_length_mm,body_mass_g", 'there is no column "island"'),
        ("Dream,1,2", 'there is no column "island"'),
        ("island;bill_length_mm;body_mass_g", "the header has semicolons where commas belong"),
        pytest.param(
            "island\tbill_length_mm\tbody_mass_g",
            "the header has tabs where commas belong",
            id="tabs",
        ),
        (f"{HEADER},prediction.species", "has the name of an answer"),
    ],
)
def test_a_header_is_taken_for_nothing_that_it_does_not_say(
    tmp_path: Path, header: str, said: str
) -> None:
    rows = table(tmp_path / "t.csv", header, ",".join(["Dream", *"1" * header.count(",")]))
    assert said in refusal(tables.read, rows, Penguin)
    schema = signature.Schema.of(Echo(Penguin))
    assert said in refusal(lambda: exchange.KINDS["text/csv"](schema, rows.read_bytes()))
    if "," in header:
        frame = pd.DataFrame([[1] * len(header.split(","))], columns=header.split(","))
        assert said in refusal(lambda: columns.to_columns(frame, Penguin))


def test_columns_are_absent_only_where_the_caller_says_so(tmp_path: Path) -> None:
    rows = table(tmp_path / "t.csv", "island,id", "Dream,7")
    absent = ("bill_length_mm", "body_mass_g")
    found = tables.read(rows, Penguin, columns_missing=absent)
    assert found.unused == ("id",)
    assert np.isnan(found.columns["body_mass_g"]).all()
    for wrong, said in [
        (("island",), '"island" is there, and said to be missing'),
        (("body_mas_g",), 'is not a field. Did you mean "body_mass_g"?'),
    ]:
        assert said in refusal(tables.read, rows, Penguin, columns_missing=wrong)
    without = table(tmp_path / "w.csv", "bill_length_mm,body_mass_g", "1,2")
    again = refusal(tables.read, without, Penguin, columns_missing=("island",))
    assert '"island" must not be missing' in again


def test_a_column_like_another_field_that_is_there_is_carried_along(tmp_path: Path) -> None:
    rows = table(tmp_path / "t.csv", f"{HEADER},body_mass_kg", "Dream,1,2,3")
    assert tables.read(rows, Penguin).unused == ("body_mass_kg",)


# Faults, and what is missing.


def test_faults_are_named_with_line_column_and_value(tmp_path: Path) -> None:
    lines = [f"{HEADER},note", 'Dream,1,2,"a', 'b"', "", "Mars,0,x,", ",NA,,", "Dream,1,2"]
    rows = table(tmp_path / "rows.csv", *lines)
    said = refusal(tables.read, rows, Penguin).split("; ")
    assert said == [
        'rows.csv, line 5, island: "Mars" is not one of Biscoe, Dream',
        'rows.csv, line 5, bill_length_mm: "0" is not a number above 0',
        'rows.csv, line 5, body_mass_g: "x" is not a number',
        "rows.csv, line 6, island is missing",
        'rows.csv, line 6, bill_length_mm: "NA" is not a number above 0',
        "rows.csv, line 7: 3 cells, where the header has 4",
    ]
    many = table(tmp_path / "many.csv", HEADER, *["Mars,1,2"] * 30)
    assert refusal(tables.read, many, Penguin).endswith("line 11, island: \"Mars\" is not one of Biscoe, Dream; and more")  # fmt: skip


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("a.csv", b"", "a.csv: the table is empty"),
        ("a.csv", HEADER.encode(), "a.csv: there are no rows"),
        ("a.csv", HEADER.encode() + b'\n"Dream,1,2\n', "line 2: a quoted cell does not end well"),
        ("a.csv", HEADER.encode() + b"\nDr\xe9am,1,2\n", "has the byte 0xe9: save it as UTF-8"),
        ("a.csv", HEADER.encode("utf-16"), "has UTF-16: save it as UTF-8"),
        ("a.jsonl", b'{"island": "Dream"}\n{"island"\n', "a.jsonl, line 2: Input data was"),
        ("a.jsonl", b"[1]\n", "a.jsonl, line 1: [1] is not an object"),
        ("a.jsonl", b'{"island": "Dream", "Body_Mass_g": 1}\n', 'nearly "body_mass_g"'),
        ("a.json", b'[{"island": "Dream"}, 3]', "3 is not an object"),
        ("a.json", b"3", "the rows must be a list"),
        ("a.parquet", b"PAR1", "this is not a complete Parquet file"),
    ],
    ids=[
        "empty",
        "header",
        "quote",
        "Latin-1",
        "UTF-16",
        "cut",
        "list",
        "near",
        "three",
        "number",
        "magic",
    ],
)
def test_what_is_no_table_is_one_sentence(
    tmp_path: Path, name: str, body: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(body)
    assert said in refusal(tables.read, tmp_path / name, Penguin)


def test_what_is_no_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name, said in [
        ("none.csv", "is missing"),
        ("folder.csv", "cannot be read"),
        ("a.xlsx", "is not a table"),
    ]:
        if name == "a.xlsx":
            (tmp_path / name).touch()
        with pytest.raises(errors.ProjectError, match=said):
            tables.read(tmp_path / name, Penguin)


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(f"\ufeff{HEADER}\r\nDream,1,\r\n".encode())
    found = tables.read(tmp_path / "t.csv", Penguin)
    assert found.columns["island"].tolist() == ["Dream"]


class Place(msgspec.Struct):
    country: str
    code: str | None
    area: float | None


def test_words_are_missing_values_only_where_they_are_named(tmp_path: Path) -> None:
    rows = table(tmp_path / "t.csv", "country,code,area", "NA,nan,1.5", "null,,2")
    found = tables.read(rows, Place)
    assert found.columns["country"].tolist() == ["NA", "null"]
    assert found.columns["code"].tolist() == ["nan", None]
    for word in ("NA", "nan", "null", "None", "N/A", "inf"):
        path = table(tmp_path / "w.csv", "country,code,area", f"x,y,{word}")
        assert f'line 2, area: "{word}" is not a number' in refusal(tables.read, path, Place)
        found = tables.read(path, Place, missing=(word,))
        assert np.isnan(found.columns["area"]).all()


# What `read` and `scan` give.


class Sick(msgspec.Struct):
    sick: bool
    score: float


GOALS = ["Dream,1,2,yes,1", "Biscoe,,3,no,0", "Dream,2,,no,1.5"]


def test_the_target_has_the_type_that_the_prediction_says(tmp_path: Path) -> None:
    rows = table(tmp_path / "t.csv", f"{HEADER},species,grade", *GOALS)
    words = tables.read(rows, Penguin, "species")
    assert (words.target.dtype, words.target.tolist()) == (object, ["yes", "no", "no"])
    assert tables.read(rows, Penguin, "grade").target.tolist() == [1.0, 0.0, 1.5]
    bools = table(tmp_path / "b.csv", f"{HEADER},sick,score", "Dream,1,2,true,1", "Dream,1,2,False,2")  # fmt: skip
    found = tables.read(bools, Penguin, "sick", answer=Sick)
    assert (found.target.dtype, found.target.tolist()) == (bool, [True, False])
    pair = tables.read(bools, Penguin, ["score", "sick"], answer=Sick).target
    assert pair.tolist() == [[1.0, 1.0], [2.0, 0.0]]
    assert 'line 2, sick: "yes"' in refusal(
        lambda: tables.read(
            table(tmp_path / "c.csv", f"{HEADER},sick", "Dream,1,2,yes"),
            Penguin,
            "sick",
            answer=Sick,
        )
    )


def test_a_missing_target_is_named_with_its_row(tmp_path: Path) -> None:
    rows = table(tmp_path / "t.csv", f"{HEADER},species", "Dream,1,2,a", "Dream,1,2,")
    assert refusal(tables.read, rows, Penguin, "species") == ("t.csv, line 3, species is missing")
    assert 'no column "grade"' in refusal(tables.read, rows, Penguin, "grade")
    assert '"species" is nearly "Species"' in refusal(tables.read, rows, Penguin, "Species")


def test_a_table_gives_rows_and_parts_of_itself(tmp_path: Path) -> None:
    rows = table(tmp_path / "t.csv", f"{HEADER},species", "Dream,1,2,a", "", "Biscoe,,3,b")
    found = tables.read(rows, Penguin, "species")
    assert (len(found), found.lines.tolist()) == (2, [2, 4])
    part = found.take(np.array([1]))
    assert (part.target.tolist(), part.lines.tolist()) == (["b"], [4])
    assert part.rows(Penguin) == [Penguin("Biscoe", None, 3.0)]


def test_a_file_is_scanned_in_pieces_that_leave_out_what_does_not_fit(tmp_path: Path) -> None:
    lines = [f"{'Mars' if n % 7 == 3 else 'Dream'},1,{n},id{n}" for n in range(100)]
    rows = table(tmp_path / "t.csv", f"{HEADER},id", *lines)
    pieces = list(tables.scan(rows, Penguin, skip=True, size=30))
    assert [len(piece) + len(piece.rejected) for piece in pieces] == [30, 30, 30, 10]
    kept = [int(mass) for piece in pieces for mass in piece.columns["body_mass_g"]]
    assert kept == [n for n in range(100) if n % 7 != 3]
    assert [name for piece in pieces for name in piece.cells["id"]] == [f"id{n}" for n in kept]
    faults = [fault for piece in pieces for fault in piece.rejected]
    assert [fault.line for fault in faults] == [n + 2 for n in range(100) if n % 7 == 3]
    assert str(faults[0]) == 'line 5, island: "Mars" is not one of Biscoe, Dream'


class Checked(msgspec.Struct):
    low: float
    high: float

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


def test_a_rows_own_check_holds_everywhere(tmp_path: Path) -> None:
    rows = table(tmp_path / "t.csv", "low,high", "1,2", "3,2")
    assert refusal(lambda: tables.read(rows, Checked)) == "t.csv, line 3: low is above high"
    schema = signature.Schema.of(Echo(Checked))
    for kind, body in [
        ("text/csv", rows.read_bytes()),
        ("application/json", b'[{"low": 1, "high": 2}, {"low": 3, "high": 2}]'),
        ("application/jsonlines", b'{"low": 1, "high": 2}\n{"low": 3, "high": 2}\n'),
    ]:
        said = refusal(exchange.KINDS[kind], schema, body)
        assert said == "row 2: low is above high"


# Columns.


class Everything(msgspec.Struct):
    a: float
    b: int | None
    c: bool
    d: bool | None
    e: datetime.date | None
    f: datetime.datetime
    g: Annotated[list[float], Meta(min_length=2, max_length=2)]
    h: dict[str, int]
    i: Color | None
    j: Annotated[datetime.datetime, Meta(tz=True)] | None
    k: Annotated[int, Meta(ge=0)] = 0


NOON = datetime.datetime(2024, 1, 2, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))


def test_dtypes_follow_the_annotations_and_not_the_values() -> None:
    rows = [
        Everything(1, 2, True, True, datetime.date(2024, 1, 2), NOON, [1, 2], {}, Color.RED, NOON),
        Everything(1, None, False, None, None, NOON, [3, 4], {"x": 1}, None, None, 2**64 - 1),
    ]
    kinds = ["f8", "f8", "?", "O", "M8[D]", "M8[us]", "f8", "O", "O", "O"]
    for few in (rows, rows[:1], []):
        arrays = columns.to_columns(few, Everything)
        assert [array.dtype for array in arrays.values()][:-1] == [np.dtype(k) for k in kinds]
        assert arrays["g"].shape == (len(few), 2)
    arrays = columns.to_columns(rows, Everything)
    assert arrays["f"][0] == np.datetime64("2024-01-02T10:00")
    assert arrays["d"].tolist() == [True, None]
    assert arrays["i"].tolist() == ["red", None]
    assert arrays["k"].tolist() == [0, 2**64 - 1]
    assert columns.to_columns(arrays, Everything).keys() == arrays.keys()
    frame = pd.DataFrame({key: list(array) for key, array in arrays.items()})
    for key, array in columns.to_columns(frame, Everything).items():
        np.testing.assert_array_equal(array, arrays[key])


class Answer(msgspec.Struct, rename="camel"):
    top_label: str
    is_sure: bool
    probabilities: dict[str, float]
    spread: float | None = None


def test_columns_become_predictions_of_pythons_own_values() -> None:
    found = columns.to_rows(
        {
            "topLabel": np.array(["a", "b"]),
            "is_sure": np.array([1, 0]),
            "probabilities": {
                "a": np.array([0.25, 1], np.float32),
                "b": np.array([0.75, 0], np.float32),
            },
            "spread": np.array([np.nan, 2]),
        },
        Answer,
    )
    assert found == [
        Answer("a", True, {"a": 0.25, "b": 0.75}, None),
        Answer("b", False, {"a": 1.0, "b": 0.0}, 2.0),
    ]
    assert {type(found[0].top_label), type(found[0].is_sure)} == {str, bool}
    assert columns.to_rows({"prediction": np.array([0.5], np.float32)}, float) == [0.5]
    assert columns.to_rows(np.array([[1, 2], [3, 4]]), list[int]) == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"topLabel": ["a"]}, "There is no column isSure for Answer, only topLabel."),
        (
            {"topLabel": [1], "isSure": [True], "probabilities": {"a": [1.0]}},
            "Row 1, topLabel: 1 is not text",
        ),
        (
            {"topLabel": ["a"], "isSure": [True, True], "probabilities": {"a": [1.0]}},
            "differ in their number of rows",
        ),
    ],
    ids=["absent", "of another type", "of another length"],
)
def test_columns_that_are_no_predictions_are_an_error(given: Any, said: str) -> None:
    with pytest.raises(errors.ProjectError, match=said):
        columns.to_rows(given, Answer)


# The exceptions that the reference lists, in its order.


class One(msgspec.Struct):
    text: str = "unset"
    flag: bool = False
    number: int = 0


def through(kind: str, body: str) -> One:
    (found,) = exchange.KINDS[kind](signature.Schema.of(Echo(One)), body.encode())[0]
    assert isinstance(found, One)
    return found


def test_the_exceptions_are_those_of_the_reference() -> None:
    def in_csv(text: str = "x", flag: str = "", number: str = "") -> One:
        return through("text/csv", f"text,flag,number\n{text},{flag},{number}\n")

    assert in_csv(text="3").text == "3"  # text has no types
    assert in_csv(number="3").number == 3
    assert [in_csv(flag=word).flag for word in ("TRUE", "True", "1", "0")] == [True, True, True, False]  # fmt: skip
    assert in_csv(text='""') == One("unset")  # an empty text is missing
    assert "row 1, flag is missing" in refusal(lambda: through("application/json", '[{"flag": null}]'))  # fmt: skip
    assert through("application/json", "[{}]") == One()  # objects may leave out, tables may not
    assert 'no column "flag"' in refusal(lambda: through("text/csv", "text,number\nx,1\n"))
    assert "unknown field" in refusal(lambda: through("application/json", '[{"id": 1}]'))
    assert through("text/csv", "text,flag,number,id\nx,,,7\n") == One("x")
