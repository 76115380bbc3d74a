"""What is inferred from a file, and what is said of one that will not do."""

from __future__ import annotations

import datetime
import importlib
import random
import string
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pytest

pytest.importorskip("numpy")

RUNTIME = Path(__file__).resolve().parents[1] / "templates/project/src"


@pytest.fixture(scope="module", autouse=True)
def runtime() -> Iterator[None]:
    """The template's own package, which the modules under test lie in."""
    sys.path.insert(0, str(RUNTIME))
    yield
    sys.path.remove(str(RUNTIME))


def module(name: str) -> Any:
    return importlib.import_module(f"example_model._runtime.{name}")


def profile(path: Path, target: str | None = "y", **choices: Any) -> Any:
    inferred = module("profile")
    return inferred.profile(path, inferred.Choices(target=target, **choices))


def table(path: Path, columns: dict[str, list[Any]], delimiter: str = ",") -> Path:
    """A file with these columns, and a target of two words, y, where there is none."""
    count = len(next(iter(columns.values())))
    columns = {"y": [("no", "yes")[n % 3 == 0] for n in range(count)]} | columns
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    path.write_text("".join(delimiter.join(map(str, row)) + "\n" for row in rows))
    return path


def column(path: Path, values: list[Any], **choices: Any) -> Any:
    """What is inferred of a column x of these values."""
    found = profile(table(path, {"x": values, "other": [0.5, 1.5] * (len(values) // 2)}), **choices)
    return next(c for c in found.columns if c.name == "x")


def refused(path: Path, target: str | None = "y", **choices: Any) -> str:
    with pytest.raises(module("errors").ProjectError) as error:
        profile(path, target, **choices)
    said = str(error.value)
    assert "\n" not in said
    return said


def run(text: str) -> dict[str, Any]:
    """What the code of a schema defines."""
    space: dict[str, Any] = {"__name__": __name__}
    exec(compile(text, "schema.py", "exec", dont_inherit=True), space)
    return space


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


FORTY = list(range(40))
KINDS: dict[str, list[Any]] = {
    "float": [n / 4 for n in FORTY],
    "int": [n % 17 for n in FORTY],
    "bool": [("true", "false")[n % 2] for n in FORTY],
    "date": [f"2024-01-{n % 28 + 1:02}" for n in FORTY],
    "datetime": [f"2024-01-{n % 28 + 1:02}T10:20:00" for n in FORTY],
    "word": [f"town{n % 23}" for n in FORTY],
    "text": [f"one of the letters that came on day {n}" for n in FORTY],
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_has_the_kind_of_its_values(kind: str, path: Path) -> None:
    assert column(path, KINDS[kind]).kind == kind


def test_few_words_become_a_literal_in_the_order_of_the_data(path: Path) -> None:
    found = column(path, ["b", "a", "c", "a"] * 20)
    assert found.choices == ("b", "a", "c")
    assert found.counts == (("a", 40), ("b", 20), ("c", 20))


def test_two_whole_numbers_become_a_literal(path: Path) -> None:
    assert column(path, [1, 0] * 20).choices == (1, 0)


def test_numbers_with_leading_zeros_are_words(path: Path) -> None:
    found = column(path, [f"{n % 7:05}" for n in FORTY])
    assert (found.kind, found.order[:2]) == ("word", ("00000", "00001"))


def test_numbers_beyond_float64_are_words(path: Path) -> None:
    assert column(path, [2**60 + n % 9 for n in FORTY]).kind == "word"


@pytest.mark.parametrize(
    "word",
    ["", "NA", "N/A", "null", "?", "-", "NaN"],
    ids=["empty", "NA", "slash", "null", "question", "dash", "NaN"],
)
def test_words_for_a_missing_number_are_missing(word: str, path: Path) -> None:
    found = column(path, [word if n % 5 == 0 else n for n in FORTY])
    assert (found.kind, found.missing) == ("int", 8)


def test_a_dash_among_words_is_a_word(path: Path) -> None:
    assert column(path, ["-", "a", "b", "c"] * 10).missing == 0


def test_words_that_the_caller_names_are_missing(path: Path) -> None:
    values = ["unknown" if n % 5 == 0 else n for n in FORTY]
    assert column(path, values, missing=("unknown",)).missing == 8


DATES = {
    "%d.%m.%Y": "31.12.2023",
    "%Y/%m/%d": "2023/12/31",
    "%d/%m/%Y": "31/12/2023",
    "%m/%d/%Y": "12/31/2023",
    "%m/%d/%y %H:%M": "12/31/23 23:59",
    "%b %d %Y": "Dec 31 2023",
    "%d-%b-%Y": "31-Dec-2023",
    "%Y-%m-%d %H:%M": "",
}


@pytest.mark.parametrize("form", DATES, ids=[str(n) for n in range(len(DATES))])
def test_dates_of_other_forms_are_dates(form: str, path: Path) -> None:
    days = [datetime.datetime(2023, n % 12 + 1, n % 28 + 1, n % 24, 30) for n in FORTY]
    found = column(path, [day.strftime(form) for day in days])
    assert found.kind == ("datetime" if "%H" in form else "date")
    assert found.form in (form, "iso")
    assert found.low.startswith("2023-01-01")


def test_a_day_that_may_be_a_month_is_not_guessed(path: Path) -> None:
    table(path, {"x": [f"{n % 9 + 1:02}/{n % 11 + 1:02}/2020" for n in FORTY]})
    said = refused(path)
    assert 'x: "01/01/2020" may have the day or the month first' in said
    found = column(path, [f"{n % 9 + 1:02}/{n % 11 + 1:02}/2020" for n in FORTY], day_first=True)
    assert (found.kind, found.form) == ("date", "%d/%m/%Y")


LEFT_OUT = {
    "running": ([*range(1, 41)], "identifier"),
    "random": ([n * 7919 % 104_729 for n in range(1, 41)], "identifier"),
    "code": ([f"C-{n}" for n in FORTY], "identifier"),
    "constant": (["same"] * 40, "constant"),
    "empty": ([""] * 40, "empty"),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_column_that_tells_nothing_is_left_out(name: str, path: Path) -> None:
    values, reason = LEFT_OUT[name]
    assert reason in column(path, values).left_out


KEPT: dict[str, list[Any]] = {
    "floats": [n + 0.5 for n in FORTY],
    "dates": [f"2024-{n // 20 + 1:02}-{n % 20 + 1:02}" for n in FORTY],
    "names": [f"Mr. John {n} Smith" for n in FORTY],
    "long": ["x" * 50 + str(n) for n in FORTY],
}


@pytest.mark.parametrize("name", KEPT)
def test_what_is_all_different_and_no_identifier_is_kept(name: str, path: Path) -> None:
    assert column(path, KEPT[name]).left_out == ""


def test_a_column_that_gives_the_target_away_is_warned_of_and_kept(path: Path) -> None:
    table(path, {"x": [n % 3 for n in range(300)], "z": [n * 7 % 50 for n in range(300)]})
    found = profile(path)
    assert [c.name for c in found.fields] == ["x", "z"]
    assert any(
        warning.startswith("x: it predicts the target by itself") for warning in found.warnings
    )
    assert not any(warning.startswith("z:") for warning in found.warnings)


@pytest.mark.parametrize(
    "name, field",
    [
        ("fixed acidity", "fixed_acidity"),
        ("Sepal.Length", "sepal_length"),
        ("2nd floor (m²)", "n_2nd_floor_m2"),
        ("class", "class_"),
        ("date", "date_"),
        ("% unemployed", "percent_unemployed"),
        ("PassengerId", "PassengerId"),
        ("größe", "größe"),
        ("价格 €", "column"),
        ("__dunder", "dunder"),
        ("???", "column"),
    ],
    ids=[
        "blank",
        "point",
        "digit",
        "keyword",
        "type",
        "percent",
        "camel",
        "letters",
        "none",
        "dunder",
        "marks",
    ],
)
def test_names_are_readable(name: str, field: str) -> None:
    assert module("profile").field_name(name) == field


def test_names_that_would_be_alike_differ() -> None:
    names = module("profile").field_names(["a b", "a-b", "a_b"])
    assert names == {"a b": "a_b", "a-b": "a_b_2", "a_b": "a_b_3"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize(
    "delimiter", [",", ";", "\t", "|"], ids=["comma", "semicolon", "tab", "bar"]
)
def test_every_encoding_and_delimiter_is_read(encoding: str, delimiter: str, path: Path) -> None:
    table(path, {"größe": [n / 2 for n in FORTY], "stadt": ["Köln", "Zürich"] * 20}, delimiter)
    path.write_bytes(path.read_text("utf-8").encode(encoding))
    found = {c.name: c for c in profile(path).columns}
    assert found["größe"].kind == "float"
    assert found["stadt"].choices == ("Köln", "Zürich")


def test_single_quotes_are_quotes_where_all_names_have_them(path: Path) -> None:
    path.write_text("'x','y'\n" + "1,'a'\n2,'b'\n" * 9)
    found = profile(path)
    assert ([c.name for c in found.columns], found.dialect.quote) == (["x", "y"], "'")


NUMBERS = {
    "point": ("1234.5", ".", ""),
    "comma": ("1234,5", ",", ""),
    "points and comma": ("1.234,5", ",", "."),
    "commas and point": ("1,234.5", ".", ","),
    "blanks and comma": ("1 234,5", ",", " "),
    "commas alone": ("1,234", ".", ","),
    "no whole part": (".5", ".", ""),
    "a plus": ("+5", ".", ""),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_read_as_they_are_meant(name: str, path: Path) -> None:
    written, decimal, thousands = NUMBERS[name]
    cells = [f'"{written}"', f'"{written[:-1]}6"'] * 20
    found = profile(table(path, {"x": cells}))
    assert found.columns[1].kind in ("int", "float")
    assert (found.dialect.decimal, found.dialect.thousands) == (decimal, thousands)
    number = found.dialect.number(written)
    assert float(number) == found.columns[1].low
    assert float(number) in (1234.5, 1234.0, 0.5, 5.0)


def test_a_number_that_may_be_two_is_not_guessed(path: Path) -> None:
    table(path, {"price": [f"{n + 1},{n + 200}" for n in FORTY]}, ";")
    assert refused(path) == (
        'table.csv, price: "1,200" may be 1200 or 1.200. '
        "Write its numbers with a decimal point, and without marks for thousands."
    )


def test_json_lines_have_the_types_that_they_have(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = [
        f'{{"y": {n % 3 == 0!s}, "n": {n % 9}, "f": {n}.5, "code": "{n % 7}", "l": [1], "m": null}}'.replace(
            "True", "true"
        ).replace("False", "false")
        for n in FORTY
    ]
    path.write_text("\n".join(lines))
    found = profile(path)
    kinds = {c.name: c.kind for c in found.columns}
    assert kinds == {
        "y": "bool",
        "n": "int",
        "f": "float",
        "code": "word",
        "l": "nested",
        "m": "int",
    }
    assert [c.name for c in found.left_out] == ["l", "m"]


def test_a_column_of_several_types_is_refused_with_the_first_odd_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = [f'{{"y": {n % 3}, "x": {n % 5}}}' for n in FORTY]
    lines[7] = '{"y": 1, "x": "abc"}'
    path.write_text("\n".join(lines))
    assert refused(path) == (
        "rows.jsonl, line 8, x is text, and a number before. Write the column as one type."
    )


def test_parquet_has_the_types_that_it_has(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "rows.parquet"
    columns: dict[str, list[Any]] = {
        "y": [n % 3 == 0 for n in FORTY],
        "n": [None if n == 3 else n % 9 for n in FORTY],
        "day": [datetime.date(2024, 1, n % 28 + 1) for n in FORTY],
        "word": [("a", "b")[n % 2] for n in FORTY],
    }
    parquet.write_table(pyarrow.table(columns), path)
    kinds = {c.name: c.kind for c in profile(path).columns}
    assert kinds == {"y": "bool", "n": "int", "day": "date", "word": "word"}
    path.write_bytes(path.read_bytes()[:-100])
    assert refused(path).startswith("rows.parquet is not a complete Parquet file")


def test_excel_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.xlsx"
    book = openpyxl.Workbook()
    book.active.append(["y", "n", "day", "share", "flag"])
    for n in FORTY:
        day = datetime.date(2024, 1, n % 28 + 1)
        book.active.append([("no", "yes")[n % 2], n % 9, day, n / 4 if n else None, n % 3 == 0])
    book.save(path)
    found = {column.name: column for column in profile(path).columns}
    kinds = {"y": "word", "n": "int", "day": "date", "share": "float", "flag": "bool"}
    assert {name: column.kind for name, column in found.items()} == kinds
    assert found["share"].missing == 1
    path.write_bytes(path.read_bytes()[:-100])
    assert "rows.xlsx" in refused(path)


REFUSED = {
    "0 bytes": ("", "table.csv is empty."),
    "blank": (" \n\n", "table.csv is empty."),
    "HTML": ("<!DOCTYPE html><html></html>", "table.csv is HTML or XML, not a table."),
    "header only": ("x,y\n", "table.csv has no rows below its first line."),
    "one column": ("x\n1\n2\n", 'table.csv has one column, "x".'),
    "3 rows": ("x,y\n1,a\n2,b\n3,a\n", "table.csv has 3 rows, and at least 10 are needed"),
    "a doubled column": ("x,y,x\n1,a,2\n" * 1, 'table.csv has the column "x" 2 times.'),
    "no header": (
        "5.1,3.5,setosa\n" * 20,
        'table.csv has no header: its first line is "5.1, 3.5, setosa".',
    ),
    "words for a header": (
        "male,yes\nfemale,no\nmale,yes\n" * 9,
        'table.csv has no header: its first line is "male, yes".',
    ),
    "ragged": (
        "x,y\n" + "1,a\n" * 15 + "1,2,3\n",
        "table.csv, line 17, has 3 cells, the header has 2.",
    ),
    "an open quote": ("x,y\n" + "1,a\n" * 15 + '1,"b\n' * 1, "a quote is not closed"),
    "zero bytes": ("x,y\n1,\0\n", "table.csv is not text: it holds zero bytes."),
    "an LFS pointer": ("version https://git-lfs.github.com/spec/v1\n", "Run: git lfs pull"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_table_is_refused_in_a_sentence(name: str, path: Path) -> None:
    content, said = REFUSED[name]
    path.write_text(content)
    assert said in refused(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    assert "is missing" in refused(tmp_path / "none.csv")
    (tmp_path / "x.docx").write_text("x")
    assert "files of this kind are not read" in refused(tmp_path / "x.docx")
    (tmp_path / "x.csv").write_bytes(b"PK\x03\x04rest")
    assert "is a ZIP or Excel file" in refused(tmp_path / "x.csv")


def test_a_target_that_is_no_column_has_the_nearest_named(path: Path) -> None:
    table(path, {"churned": FORTY, "x": FORTY})
    assert refused(path, "Chruned") == 'table.csv has no column "Chruned". Did you mean "churned"?'
    assert refused(path, "zzz") == 'table.csv has no column "zzz". It has: y, churned, x.'


def test_a_target_with_one_value_is_refused(path: Path) -> None:
    table(path, {"t": ["a"] * 40, "x": [n / 2 for n in FORTY]})
    assert (
        refused(path, "t")
        == "table.csv, t: the target has one value, so there is nothing to learn."
    )


def test_a_target_of_too_many_words_is_refused(path: Path) -> None:
    table(path, {"t": [f"w{n}" for n in range(500)], "x": [n / 2 for n in range(500)]})
    assert "t: the target has 500 different values in 500 rows" in refused(path, "t")


def test_rows_without_a_target_are_left_out_and_counted(path: Path) -> None:
    table(path, {"t": [("a", "b", "")[n % 3] for n in range(90)], "x": [n / 2 for n in range(90)]})
    found = profile(path, "t")
    assert (found.rows, found.without_target, found.dialect.partial) == (60, 30, True)


def test_ten_thousand_columns_are_refused(path: Path) -> None:
    table(path, {f"c{n}": [n % 3] * 12 for n in range(10_000)})
    assert "has 10,001 columns, and at most 1,000 are taken" in refused(path)


def test_a_column_of_mixed_types_is_refused_with_the_line_of_the_first_odd_cell(path: Path) -> None:
    table(path, {"x": [*range(30), "abc", *range(9)]})
    assert refused(path) == (
        'table.csv, line 32, x: "abc" is not a number, as the 39 others are. If it stands for a missing '
        "value, say so: --missing abc; if the column holds words, --text x."
    )
    assert profile(path, text=("x",)).columns[1].kind == "word"


def test_many_different_words_are_one_column_of_words(path: Path) -> None:
    table(
        path, {"x": [f"w{n % 49_999}" for n in range(50_000)], "z": [n / 2 for n in range(50_000)]}
    )
    assert profile(path).columns[1].kind == "word"


TASKS: dict[str, tuple[list[Any], str]] = {
    "words": ([("a", "b")[n % 2] for n in FORTY], "classification"),
    "bools": ([("True", "False")[n % 2] for n in FORTY], "classification"),
    "few whole numbers": ([n % 4 for n in FORTY], "classification"),
    "whole floats": ([f"{n % 2}.0" for n in FORTY], "classification"),
    "many whole numbers": ([n % 20 for n in FORTY], "regression"),
    "floats": ([n / 3 for n in FORTY], "regression"),
}


@pytest.mark.parametrize("name", TASKS)
def test_the_task_follows_from_the_target(name: str, path: Path) -> None:
    values, task = TASKS[name]
    assert profile(table(path, {"t": values}), "t").task == task


def test_the_same_file_gives_the_same_schema(path: Path) -> None:
    rng = random.Random(0)
    words = ["".join(rng.choices(string.ascii_letters, k=3)) for _ in range(30)]
    columns: dict[str, list[Any]] = {
        "x": [rng.choice(words) for _ in range(400)],
        "z": [rng.random() for _ in range(400)],
    }
    table(path, columns)
    write = module("schema_writer")
    first = write.schema(profile(path)), write.data(profile(path))
    assert first == (write.schema(profile(path)), write.data(profile(path)))
    assert not any(map(write.is_edited, first))
    assert write.is_edited(first[0].replace("Row(", "Row( ", 1))


def test_a_schema_is_code_that_says_what_the_columns_hold(path: Path) -> None:
    columns: dict[str, list[Any]] = {
        "customer id": [f"C-{n}" for n in range(200)],
        "Fixed Acidity": [n * 7 % 50 / 10 for n in range(200)],
        "plan": [("basic", "free", "pro")[n % 3] for n in range(200)],
        "seats": ["" if n % 10 == 0 else n % 9 for n in range(200)],
        "since": [f"2024-01-{n % 28 + 1:02}" for n in range(200)],
    }
    text = module("schema_writer").schema(profile(table(path, columns)))
    space = run(text)
    assert space["TARGET"] == "y"
    assert list(space["Row"].__annotations__) == ["fixed_acidity", "plan", "seats", "since"]
    assert '"free",  # 67' in text
    assert 'Annotated[int, Meta(description="0 to 8, median 4")] | None = None' in text
    assert "# customer id: it is an identifier: a different word in each row" in text
    assert 'name="Fixed Acidity"' in text
    assert len(space["EXAMPLES"]) == 2


ODD = [
    'a"b',
    "a'b",
    "back\\slash",
    "new\nline",
    "{brace}",
    "percent %s",
    "ünï",
    "💥",
    '"""',
    "a'\"b",
]


def test_words_and_names_of_any_kind_become_valid_code(path: Path) -> None:
    import csv

    names = [name for name in ODD if not set(name) & {'"', "\\", "\n"}]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["y", *names])
        for n in range(300):
            writer.writerow(
                [ODD[n % 2], *("x" + ODD[(n * 7 + k) % len(ODD)] for k in range(len(names)))]
            )
    text = module("schema_writer").schema(profile(path))
    space = run(text)
    import msgspec

    assert [f.encode_name for f in msgspec.structs.fields(space["Row"])] == names


def test_a_name_that_json_would_write_in_another_way_is_refused(path: Path) -> None:
    path.write_text('y,"a\\b"\n' + "a,1\nb,2\n" * 9)
    assert "has a column with '\\\\' in its name" in refused(path)


def test_no_example_is_a_row_of_the_data(path: Path) -> None:
    rng = random.Random(1)
    rows = [(rng.randint(1, 9), rng.choice("abc"), rng.choice("xyz")) for _ in range(150)]
    names = ("n", "w", "v")
    table(path, {name: [row[k] for row in rows] for k, name in enumerate(names)})
    for example in profile(path).examples:
        assert tuple(example) not in rows or len(set(rows)) == 81
