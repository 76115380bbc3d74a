"""What a training measures is what is served, whichever way a model predicts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
from machinery import load
from msgspec import Meta

columns, errors, evaluation = load("columns"), load("errors"), load("evaluation")
tables = load("tables")


class Row(msgspec.Struct):
    size: float


class Prediction(msgspec.Struct):
    label: Literal["large", "small"]
    shares: dict[str, float]


class Pair(msgspec.Struct, rename="camel"):
    first_one: float
    second_one: int


class Vector(msgspec.Struct):
    values: Annotated[list[float], Meta(min_length=2, max_length=2)]


def judged(data: list[Row]) -> list[Prediction]:
    return [
        Prediction("large" if row.size > 1 else "small", {"large": np.float32(row.size / 4)})  # type: ignore[dict-item]
        for row in data
    ]


def table(*sizes: float) -> Any:
    return tables.of({"size": np.array(sizes)}, Row, None)


class Model:
    """Predicts with functions that are given, as a user's Model does with methods."""

    def __init__(self, predict: Any, predict_columns: Any = None) -> None:
        self.predict = predict
        if predict_columns:
            self.predict_columns = predict_columns


# Columns of predictions.


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (np.array([1.5, 2.5]), msgspec.defstruct("One", [("a", float)]), {"a": [1.5, 2.5]}),
        (np.array([[1.5], [2.5]]), msgspec.defstruct("One", [("a", float)]), {"a": [1.5, 2.5]}),
        (np.array([[1.5, 2], [3.5, 4]]), Pair, {"firstOne": [1.5, 3.5], "secondOne": [2, 4]}),
        (np.array([[1.5, 2], [3.5, 4]]), Vector, {"values": [[1.5, 2], [3.5, 4]]}),
        (np.array([[1.5, 2]]), list[float], {"prediction": [[1.5, 2]]}),
        (np.array(["a", "b"], object), str, {"prediction": ["a", "b"]}),
        (pd.Series([1, 2]), int, {"prediction": [1, 2]}),
    ],
    ids=["one", "one of two dimensions", "several", "vector", "no fields", "words", "Series"],
)
def test_an_array_has_a_column_for_each_field(values: Any, kind: Any, expected: Any) -> None:
    found = columns.to_columns(values, kind)
    assert {name: column.tolist() for name, column in found.items()} == expected


@pytest.mark.parametrize("shape", [(2,), (2, 3), (2, 1)], ids=["flat", "three", "one"])
def test_an_array_of_another_width_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(errors.ProjectError, match="one column for each of firstOne, secondOne"):
        columns.to_columns(np.zeros(shape), Pair)


def test_an_array_of_records_is_rows() -> None:
    rows = np.array([Pair(1, 2), Pair(3, 4)], object)
    assert columns.to_columns(rows, Pair)["secondOne"].tolist() == [2, 4]


@pytest.mark.parametrize(
    ("answers", "kind", "expected"),
    [
        (judged([Row(2)]), Prediction, {"label": ["large"], "shares": {"large": [0.5]}}),
        ([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}], Any, {"a": [1, 2], "b": ["x", "y"]}),
        ([{"a": 1}, {"b": 2}], Any, {"prediction": [{"a": 1}, {"b": 2}]}),
        ([True, False], Any, {"prediction": [True, False]}),
        ([1, 2.5], Any, {"prediction": [1.0, 2.5]}),
        ([1.5, None], float | None, {"prediction": [1.5, math.nan]}),
        (["a", None], Any, {"prediction": ["a", None]}),
    ],
    ids=["shares", "objects", "other keys", "flags", "numbers", "gaps", "words"],
)
def test_predictions_are_columns(answers: Any, kind: Any, expected: Any) -> None:
    found = columns.answer_columns(answers, kind)
    assert repr(_listed(found)) == repr(expected)


def _listed(found: Any) -> Any:
    return {k: _listed(v) if isinstance(v, dict) else v.tolist() for k, v in found.items()}


def test_untyped_numbers_are_an_array_of_numbers() -> None:
    assert columns.answer_columns([1, 2.5], Any)["prediction"].dtype == np.float64
    assert columns.answer_columns([True], Any)["prediction"].dtype == np.bool_


@pytest.mark.parametrize("keys", [[True, False], [np.True_, np.False_], ["true", "false"]], ids=str)
def test_classes_that_are_true_and_false_are_named_as_json_names_them(keys: list[Any]) -> None:
    kind = msgspec.defstruct("Shares", [("shares", dict[str, float])])
    shares = dict(zip(keys, np.array([[0.25], [0.75]]), strict=True))
    (row,) = columns.to_rows({"shares": shares}, kind)
    assert row.shares == {"true": 0.25, "false": 0.75}


# Models without predict_columns.


def framed(data: pd.DataFrame) -> pd.Series:
    assert isinstance(data, pd.DataFrame)
    return data["size"] * 2


def listed(data: list[Row]) -> list[float]:
    return np.array([row.size for row in data])  # type: ignore[return-value]


def untyped(data):  # type: ignore[no-untyped-def]
    return [row["size"] for row in data]


@pytest.mark.parametrize(
    ("predict", "expected"),
    [(framed, [4.0, 1.0]), (listed, [2.0, 0.5]), (untyped, [2.0, 0.5])],
    ids=["DataFrame", "array for a list", "untyped"],
)
def test_a_model_is_measured_by_what_its_predict_takes(predict: Any, expected: Any) -> None:
    model = Model(predict)
    evaluation.check_rows(model, table(2, 0.5))
    assert evaluation.predict(model, table(2, 0.5))["prediction"].tolist() == expected


def test_shares_of_a_model_without_columns_are_columns() -> None:
    shares = evaluation.predict(Model(judged), table(2, 0.5))["shares"]
    assert _listed(shares) == {"large": [0.5, 0.125]}


# What a training refuses.


def other_label(data: list[Row]) -> list[Prediction]:
    made = columns.to_rows({"label": ["medium"] * len(data), "shares": {"a": [1.0]}}, Prediction)
    return list(made)


def other_name(data: list[Row]) -> list[Prediction]:
    return list(columns.to_rows({"species": ["large"] * len(data)}, Prediction))


def not_a_number(data: list[Row]) -> list[float]:
    return [math.nan for _ in data]


def too_few(data: list[Row]) -> list[float]:
    return []


def picky(data: list[Row]) -> list[float]:
    raise errors.InvalidRow("too small", row=1, field="size")


@pytest.mark.parametrize(
    ("predict", "said"),
    [
        (other_label, '"medium" is not one of large, small'),
        (other_name, "There is no column label for Prediction, only species"),
        (not_a_number, "Answer 1, prediction: nan is not a finite number"),
        (too_few, "predict gave 0 answers for 1 rows"),
        (picky, "The model refuses a held-out row: row 2, size: too small"),
    ],
    ids=["label", "name", "NaN", "too few", "InvalidRow"],
)
def test_a_model_that_could_not_answer_is_not_trained(predict: Any, said: str) -> None:
    with pytest.raises(errors.ProjectError, match="held-out row") as caught:
        evaluation.check_rows(Model(predict), table(2))
    assert said in str(caught.value)


def test_predict_and_predict_columns_must_agree() -> None:
    def doubled(given: Any) -> Any:
        return {"prediction": given["size"] * 2}

    evaluation.check_rows(Model(listed, lambda given: {"prediction": given["size"]}), table(2))
    with pytest.raises(errors.ProjectError, match="predict differently"):
        evaluation.check_rows(Model(listed, doubled), table(2))


def test_a_column_that_refuses_a_row_is_an_error_in_one_sentence() -> None:
    def refusing(given: Any) -> Any:
        raise errors.InvalidRow("too small", row=0)

    with pytest.raises(errors.ProjectError, match="refuses a held-out row: row 1: too small"):
        evaluation.predict(Model(listed, refusing), table(2))


# Metrics.


def test_rows_without_a_target_are_counted_too() -> None:
    assert evaluation.seen(table(1, 2, 3), table(3, 4)) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, np.float32("nan")], ids=str)
def test_a_metric_that_is_not_finite_is_said_to_be_undefined(value: Any) -> None:
    metrics = evaluation.plain({"auc": value, "r2": np.float64(0.5)})
    assert metrics == {"auc": None, "r2": 0.5}
    assert evaluation.summary({"rows": 4, **metrics}) == "auc undefined, r2 0.5, on 4 held-out rows"


def test_a_manifest_says_whether_rows_are_independent(tmp_path: Path) -> None:
    manifest, package = load("manifest"), load("package")
    found = manifest.Manifest(package.Package("p", "p", tmp_path), tmp_path)
    assert found.independent is None
    for recorded in (True, False, None):
        content = msgspec.json.encode({"run": {"independent": recorded}})
        (tmp_path / "manifest.json").write_bytes(content)
        assert found.independent is recorded
