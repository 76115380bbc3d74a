"""Estimators: what is loaded back answers as scikit-learn does, or training says in a sentence why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Churn, run

CASES = Path(__file__).with_name("estimators_cases.py")
BECOMES = {
    "boolean target": "onnx",
    "boolean target, forest": "onnx",
    "boolean target, LightGBM": "onnx",
    "boolean target, skops": "onnx skops",
    "integer classes": "onnx",
    "float classes": "onnx skops",
    "text classes": "onnx",
    "text classes of fixed width": "onnx",
    "numbers, words, missing ones": "onnx",
    "a category for missing words": "onnx skops",
    "no preparing step": "onnx",
    "no preparing step, mixed numbers": "onnx",
    "an array": "onnx",
    "vectors as a field": "onnx",
    "targets around 150": "onnx",
    "targets far from 0": "onnx skops",
    "large integers": "onnx skops",
    "two targets": "onnx",
    "two targets, forest": "onnx",
    "two targets, gradient boosting": "onnx",
    "two targets, XGBoost": "onnx skops",
    "one target in a column": "onnx",
    "two class targets": "onnx skops",
    "two class targets, forest": "onnx skops",
    "several labels": "onnx skops",
    "several labels, network": "onnx skops",
    "IsolationForest": "onnx",
    "IsolationForest, scaled": "onnx skops",
    "OneClassSVM": "onnx skops",
    "LocalOutlierFactor": "onnx skops",
    "KMeans": "onnx",
    "KMeans, scaled": "onnx",
    "GaussianMixture": "onnx skops",
    "a transformer": "onnx skops",
    "a sparse transformer": "skops",
    "SVC": "onnx skops",
    "LinearSVC": "onnx",
    "RidgeClassifier": "onnx",
    "gradient boosting": "onnx",
    "histogram boosting": "onnx skops",
    "TransformedTargetRegressor": "skops",
    "VotingClassifier": "onnx skops",
    "StackingClassifier": "onnx skops",
    "CalibratedClassifierCV": "onnx",
    "texts": "onnx",
    "an array of texts": "onnx",
    "letters": "onnx skops",
    "dates": "skops",
    "an own class": "skops",
    "a function": "skops",
    "LightGBM": "onnx",
    "LightGBM, a regression": "onnx",
    "LightGBM, categories": "skops",
    "XGBoost": "onnx",
    "XGBoost, a regression": "onnx",
    "XGBoost, categories": "skops",
    "XGBoost, numbers as categories": "skops",
    "histogram boosting, categories": "skops",
}
"""What each case may be saved as: some depend on the versions of the converters."""


def ask(project: Churn, script: str, *words: str | Path) -> Any:
    """What a script prints that runs beside the project's code, as JSON."""
    env = {"PYTHONPATH": str(project.root / "src")}
    done = run(project.python, "-c", script, *words, cwd=project.root, env=env)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def tried(extended: Churn) -> Any:
    """What became of every case: one process, since the libraries take long to import."""
    env = {"PYTHONPATH": str(extended.root / "src")}
    return json.loads(run(extended.python, CASES, cwd=extended.root, env=env).stdout)


@pytest.mark.parametrize("name", BECOMES)
def test_it_answers_rows_it_never_saw_as_scikit_learn_does(tried: Any, name: str) -> None:
    case = tried[name]
    assert case["wrong"] == []
    assert case["format"] in BECOMES[name].split(), case["reason"]
    assert (case["reason"] is None) == (case["format"] == "onnx")


def test_every_case_is_looked_at(tried: Any) -> None:
    assert tried.keys() == BECOMES.keys()


def test_what_serving_imports_is_recorded(tried: Any) -> None:
    for case in tried.values():
        assert case["needs"] == case["libraries"]
    assert tried["KMeans"]["needs"] == ["onnxruntime"]
    assert tried["a sparse transformer"]["needs"] == ["scikit-learn", "skops"]
    assert tried["dates"]["needs"] == ["pandas", "scikit-learn", "skops"]
    categories = tried["LightGBM, categories"]["needs"]
    assert categories == ["lightgbm", "pandas", "scikit-learn", "skops"]


SAID = """
import json, warnings
import numpy as np, pandas as pd, lightgbm, xgboost
from sklearn.cluster import DBSCAN
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
import churn
from churn import InvalidRow, ProjectError, formats, manifest, package
from churn._runtime import estimators
warnings.simplefilter("ignore")
chance = np.random.default_rng(7)
a, b = chance.normal(size=(2, 90))
rows = {"a": a, "b": b}
codes = {"id": chance.integers(0, 30, 90), "n": chance.integers(0, 3, 90).astype(float)}
table, target = estimators.frame(rows), a * 30 + 150

def saved(estimator, features=rows, tolerance=1e-5):
    return estimators.export(estimator, features, tolerance, "churn")

def loaded(made):
    packed = formats.pack("m" + made.suffix, made.value)
    return estimators.load(formats.unpack("m" + made.suffix, packed.content, packed.trusted))

def why(call, *words):
    try:
        call(*words)
    except (AttributeError, InvalidRow, ProjectError) as error:
        place = [error.row, error.field] if isinstance(error, InvalidRow) else []
        return [type(error).__name__, str(error), *place]

ridge, forest = Ridge().fit(table, target), RandomForestRegressor(9, random_state=1).fit(table, target)
parts = [("o", OneHotEncoder(handle_unknown="ignore"), ["id"])]
sparse = ColumnTransformer(parts, sparse_threshold=1.0, remainder="passthrough")
xgb = make_pipeline(sparse, xgboost.XGBClassifier(n_estimators=9))
xgb.fit(estimators.frame(codes), codes["id"] % 3)
codes_as_categories = estimators.frame(codes).astype({"id": "category"})
missing = {"a": np.array([0.0, np.nan]), "b": np.array([1.0, 2.0])}
model, shy = loaded(saved(forest)), loaded(saved(make_pipeline(FunctionTransformer(np.cbrt), Ridge()).fit(table, target)))
print(json.dumps({
    "no method": why(lambda: model.predict_proba(rows)),
    "no answers": why(saved, DBSCAN().fit(table)),
    "not fitted": why(saved, Ridge()),
    "no rows": why(saved, ridge, {name: values[:0] for name, values in rows.items()}),
    "no column": why(saved, ridge, {"a": a}),
    "no column later": why(model.predict, {"a": a}),
    "lengths": why(model.predict, {"a": a, "b": b[:3]}),
    "lambda": why(saved, make_pipeline(FunctionTransformer(lambda x: x), Ridge()).fit(table, target)),
    "categories": why(saved, lightgbm.LGBMRegressor(n_estimators=5, verbose=-1).fit(codes_as_categories, target), codes),
    "sparse": saved(xgb, codes).reason,
    "never missing": why(model.predict, missing),
    "never missing, skops": why(shy.predict, missing),
    "too strict": saved(make_pipeline(StandardScaler(), Ridge()).fit(table, target), tolerance=1e-17).reason,
    "far": float(np.abs(loaded(saved(Ridge().fit(table, a + 1e6))).predict(rows) - Ridge().fit(table, a + 1e6).predict(table)).max()),
    "nothing": [list(one.predict({"a": a[:0], "b": b[:0]}).shape) for one in (model, shy)],
    "order": bool((model.predict({"c": a, "b": b, "a": a}) == model.predict(rows)).all()),
    "not ours": why(estimators.load, formats.load_skops(formats.dump_skops({"a": 1}), [])),
    "both": why(estimators.artifact, "m", ["m.onnx", "m.skops"]),
    "neither": why(estimators.artifact, "m", ["other.onnx"]),
    "one": estimators.artifact("m", ["m.skops", "other.onnx"]),
}))
"""


@pytest.fixture(scope="module")
def said(extended: Churn) -> Any:
    """What is said of estimators and of rows that will not do."""
    return ask(extended, SAID)


def test_a_method_that_it_has_not_is_an_error_that_lists_those_it_has(said: Any) -> None:
    words = "This estimator offers predict, not predict_proba."
    assert said["no method"] == ["AttributeError", words]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("no answers", "DBSCAN cannot be saved as a model: it offers none of predict,"),
        ("not fitted", "Ridge cannot predict the held-out rows: This Ridge instance is not fitted"),
        ("no rows", "There are no held-out rows to compare the saved model on."),
        ("no column", "The estimator was fitted on columns that the features lack: b."),
        (
            "no column later",
            "The estimator was fitted on columns that are not there: b. There are: a.",
        ),
        ("lengths", "The columns differ in length: a 90, b 3."),
        pytest.param(
            "lambda",
            "__main__.<lambda> must stand in a module of the package to be loaded",
            id="lambda",
        ),
        ("categories", "LGBMRegressor cannot predict the held-out rows: "),
        ("not ours", "it was not saved as an estimator. "),
        ("both", "both m.onnx and m.skops are in the manifest."),
        ("neither", "neither m.onnx nor m.skops is in the manifest."),
    ],
)
def test_what_will_not_do_is_said_in_a_sentence(said: Any, case: str, words: str) -> None:
    kind, message = said[case]
    assert kind == "ProjectError"
    assert message.startswith(words)


def test_a_missing_value_that_onnx_would_answer_otherwise_is_refused_with_its_row(
    said: Any,
) -> None:
    refused = ["InvalidRow", "a must not be missing", 1, "a"]
    assert said["never missing"] == refused
    assert said["never missing, skops"] == refused  # as scikit-learn itself does


def test_xgboost_on_a_sparse_matrix_is_told_to_make_it_dense(said: Any) -> None:
    assert "make it dense, for example with OneHotEncoder(sparse_output=False)" in said["sparse"]


def test_the_tolerance_is_relative_and_does_not_hide_what_tells_numbers_apart(said: Any) -> None:
    assert "more than the tolerance of 1e-17" in said["too strict"]
    assert said["far"] < 0.01  # of numbers around a million that lie within a few units


def test_the_order_of_columns_and_further_ones_do_not_matter(said: Any) -> None:
    assert said["order"] is True
    assert said["nothing"] == [[0], [0]]
    assert said["one"] == "m.skops"
