# mypy: ignore-errors
"""Estimators of every kind, saved by a project's own machinery and asked about rows they never saw.

Run by the project's Python: prints for each case how it was saved, or why not.
"""

from __future__ import annotations

import json
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import xgboost
from sklearn import cluster, ensemble, linear_model, mixture, multioutput, neighbors, svm
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

churn = __import__("churn")
estimators = __import__("churn._runtime.estimators", fromlist=["estimators"])
formats, InvalidRow = churn.formats, churn.InvalidRow
frame = estimators.frame
warnings.simplefilter("ignore")

ROWS = 240
chance = np.random.default_rng(7)
words = np.array(["x", "y", "z"], object)[chance.integers(0, 3, ROWS)]
numbers = chance.normal(size=(ROWS, 4))
columns = {f"size {i}": numbers[:, i] for i in range(4)}
mixed = {
    "age": np.where(chance.random(ROWS) < 0.1, np.nan, numbers[:, 0]),
    "count": chance.integers(0, 9, ROWS),
    "member": numbers[:, 1] > 0,
    "word": words,
    "sometimes": np.where(chance.random(ROWS) < 0.2, None, words[::-1]),
}
texts = np.array(
    [" ".join(chance.choice(["good", "bad", "caf\u00e9", "ok", "a"], 4)) for _ in range(ROWS)],
    object,
)
days = np.datetime64("2020-01-01", "us") + chance.integers(0, 900, ROWS).astype("m8[D]")
flags = numbers[:, 0] + 0.3 * numbers[:, 1] > 0
counts = np.digitize(numbers[:, 0] + 0.2 * numbers[:, 2], [-0.5, 0.5])
labels = np.array(["low", "middle", "high"], object)[counts]
values = numbers[:, 0] * 30 + 150
pairs = np.c_[values, numbers[:, 1] - 2]
categories = {"word": "category", "sometimes": "category"}


class Year(TransformerMixin, BaseEstimator):
    """A transformer of the user's own, on a column of dates."""

    def fit(self, table: Any, target: Any = None) -> Year:
        return self

    def transform(self, table: Any) -> Any:
        return np.c_[table["day"].dt.year, table["size"]]


class Constant:
    """An estimator that is not scikit-learn's and only quacks."""

    def fit(self, table: Any, target: Any) -> Constant:
        self.value = float(np.mean(target))
        return self

    def predict(self, table: Any) -> Any:
        return np.full(len(table), self.value)


# Where a project has them: classes of the script itself could not be loaded elsewhere.
module = types.ModuleType("churn.own")
module.Year, module.Constant = Year, Constant
Year.__module__ = Constant.__module__ = "churn.own"
sys.modules["churn.own"] = module


def prepared(last: Any, **options: Any) -> Any:
    """A pipeline that imputes, encodes and hands on to its last step."""
    parts = [
        ("numbers", SimpleImputer(), ["age", "count", "member"]),
        ("words", OneHotEncoder(handle_unknown="ignore", **options), ["word"]),
    ]
    return make_pipeline(ColumnTransformer(parts), last)


def scaled(last: Any) -> Any:
    return make_pipeline(StandardScaler(), last)


def forest(kind: str, **options: Any) -> Any:
    return getattr(ensemble, kind)(n_estimators=9, random_state=1, **options)


def boosted(library: Any, kind: str, **options: Any) -> Any:
    quiet = {"verbose": -1, "min_child_samples": 5} if library is lightgbm else {}
    return getattr(library, kind)(n_estimators=9, **quiet, **options)


vote = [("a", linear_model.LogisticRegression()), ("b", forest("RandomForestClassifier"))]
as_is: Callable[[Any], Any] = lambda rows: rows  # noqa: E731
table: Callable[[Any], Any] = frame


def categorical(rows: Any) -> Any:
    """A table with pandas' category dtype, its categories those of the training."""
    kind = pd.CategoricalDtype(["x", "y", "z"])
    return frame(rows).astype({"word": kind, "sometimes": kind})


array = numbers
# name: estimator, rows, how they are shown to fit, target
Case = tuple[Any, Any, Callable[[Any], Any], Any]
CASES: dict[str, Case] = {
    "boolean target": (linear_model.LogisticRegression(), columns, table, flags),
    "boolean target, forest": (forest("RandomForestClassifier"), columns, table, flags),
    "boolean target, LightGBM": (
        boosted(lightgbm, "LGBMClassifier"),
        columns,
        table,
        flags,
    ),
    "boolean target, skops": (
        CalibratedClassifierCV(prepared(MLPClassifier(max_iter=9))),
        mixed,
        table,
        flags,
    ),
    "integer classes": (
        forest("RandomForestClassifier"),
        columns,
        table,
        counts.astype(np.int32) + 5,
    ),
    "float classes": (
        linear_model.LogisticRegression(),
        columns,
        table,
        counts * 1.0,
    ),
    "text classes": (scaled(linear_model.LogisticRegression()), columns, table, labels),
    "text classes of fixed width": (
        linear_model.LogisticRegression(),
        array,
        as_is,
        labels.astype(str),
    ),
    "numbers, words, missing ones": (
        prepared(forest("RandomForestClassifier")),
        mixed,
        table,
        labels,
    ),
    "a category for missing words": (
        make_pipeline(
            ColumnTransformer([("w", OneHotEncoder(handle_unknown="ignore"), ["sometimes"])]),
            linear_model.LogisticRegression(),
        ),
        mixed,
        table,
        labels,
    ),
    "no preparing step": (forest("RandomForestRegressor"), columns, table, values),
    "no preparing step, mixed numbers": (
        forest("RandomForestRegressor"),
        {"n": mixed["count"], "b": flags, "a": numbers[:, 1]},
        table,
        values,
    ),
    "an array": (linear_model.Ridge(), array, as_is, values),
    "vectors as a field": (
        linear_model.LogisticRegression(),
        {"v": numbers[:, :3], "u": numbers[:, 3]},
        table,
        labels,
    ),
    "targets around 150": (scaled(linear_model.Ridge()), columns, table, values),
    "targets far from 0": (linear_model.Ridge(), columns, table, numbers[:, 0] + 1e6),
    "large integers": (
        make_pipeline(
            ColumnTransformer([("o", OneHotEncoder(handle_unknown="ignore"), ["id"])]),
            linear_model.LogisticRegression(),
        ),
        {"id": mixed["count"] + 2**24},
        table,
        labels,
    ),
    "two targets": (linear_model.Ridge(), columns, table, pairs),
    "two targets, forest": (forest("RandomForestRegressor"), columns, table, pairs),
    "two targets, gradient boosting": (
        multioutput.MultiOutputRegressor(forest("GradientBoostingRegressor")),
        columns,
        table,
        pairs,
    ),
    "two targets, XGBoost": (boosted(xgboost, "XGBRegressor"), columns, table, pairs),
    "one target in a column": (linear_model.Ridge(), columns, table, pairs[:, :1]),
    "two class targets": (
        multioutput.MultiOutputClassifier(linear_model.LogisticRegression()),
        columns,
        table,
        np.c_[flags * 1, counts],
    ),
    "two class targets, forest": (
        forest("RandomForestClassifier"),
        columns,
        table,
        np.c_[flags * 1, counts],
    ),
    "several labels": (
        OneVsRestClassifier(linear_model.LogisticRegression()),
        columns,
        table,
        np.c_[flags * 1, counts > 1],
    ),
    "several labels, network": (
        MLPClassifier(max_iter=9),
        columns,
        table,
        np.c_[flags * 1, counts > 1],
    ),
    "IsolationForest": (forest("IsolationForest"), columns, table, None),
    "IsolationForest, scaled": (
        scaled(forest("IsolationForest")),
        columns,
        table,
        None,
    ),
    "OneClassSVM": (svm.OneClassSVM(), columns, table, None),
    "LocalOutlierFactor": (
        neighbors.LocalOutlierFactor(novelty=True),
        columns,
        table,
        None,
    ),
    "KMeans": (cluster.KMeans(3, random_state=1), columns, table, None),
    "KMeans, scaled": (scaled(cluster.KMeans(3, random_state=1)), array, as_is, None),
    "GaussianMixture": (
        mixture.GaussianMixture(2, random_state=1),
        columns,
        table,
        None,
    ),
    "a transformer": (scaled(PCA(2)), columns, table, None),
    "a sparse transformer": (
        TfidfVectorizer(),
        {"text": texts},
        lambda rows: rows["text"],
        None,
    ),
    "SVC": (svm.SVC(), columns, table, labels),
    "LinearSVC": (svm.LinearSVC(), columns, table, flags),
    "RidgeClassifier": (linear_model.RidgeClassifier(), columns, table, labels),
    "gradient boosting": (forest("GradientBoostingClassifier"), columns, table, flags),
    "histogram boosting": (
        ensemble.HistGradientBoostingClassifier(max_iter=9),
        columns,
        table,
        labels,
    ),
    "TransformedTargetRegressor": (
        TransformedTargetRegressor(linear_model.Ridge(), func=np.log1p, inverse_func=np.expm1),
        columns,
        table,
        values,
    ),
    "VotingClassifier": (
        ensemble.VotingClassifier(vote, voting="soft"),
        columns,
        table,
        labels,
    ),
    "StackingClassifier": (ensemble.StackingClassifier(vote), columns, table, labels),
    "CalibratedClassifierCV": (
        CalibratedClassifierCV(svm.LinearSVC()),
        columns,
        table,
        labels,
    ),
    "texts": (
        make_pipeline(TfidfVectorizer(), linear_model.LogisticRegression()),
        {"text": texts},
        lambda rows: rows["text"],
        labels,
    ),
    "an array of texts": (
        make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), linear_model.LogisticRegression()),
        texts,
        as_is,
        labels,
    ),
    "letters": (
        make_pipeline(TfidfVectorizer(analyzer="char"), linear_model.LogisticRegression()),
        {"text": texts},
        lambda rows: rows["text"],
        labels,
    ),
    "dates": (
        make_pipeline(Year(), linear_model.Ridge()),
        {"day": days, "size": numbers[:, 0]},
        table,
        values,
    ),
    "an own class": (Constant(), columns, table, values),
    "a function": (
        make_pipeline(FunctionTransformer(np.cbrt), linear_model.Ridge()),
        columns,
        table,
        values,
    ),
    "LightGBM": (prepared(boosted(lightgbm, "LGBMClassifier")), mixed, table, labels),
    "LightGBM, a regression": (boosted(lightgbm, "LGBMRegressor"), columns, table, values),
    "LightGBM, categories": (
        boosted(lightgbm, "LGBMClassifier"),
        mixed,
        categorical,
        labels,
    ),
    "XGBoost": (
        prepared(boosted(xgboost, "XGBClassifier"), sparse_output=False),
        mixed,
        table,
        counts,
    ),
    "XGBoost, a regression": (boosted(xgboost, "XGBRegressor"), columns, table, values),
    "XGBoost, categories": (
        boosted(xgboost, "XGBClassifier", enable_categorical=True),
        mixed,
        categorical,
        counts,
    ),
    "XGBoost, numbers as categories": (
        boosted(xgboost, "XGBRegressor", enable_categorical=True),
        {"day": mixed["count"], "size": numbers[:, 0]},
        lambda rows: frame(rows).astype({"day": pd.CategoricalDtype(range(9))}),
        values,
    ),
    "histogram boosting, categories": (
        ensemble.HistGradientBoostingClassifier(max_iter=9),
        mixed,
        categorical,
        counts,
    ),
}


def part(rows: Any, which: Any) -> Any:
    return (
        rows[which] if isinstance(rows, np.ndarray) else {name: rows[name][which] for name in rows}
    )


def same(got: Any, expected: Any) -> bool:
    """Whether two answers are the same: type, shape, labels, and numbers to 1e-5 of their scale."""
    if isinstance(expected, list):
        return len(got) == len(expected) and all(map(same, got, expected))
    if hasattr(expected, "toarray"):
        return same(got.toarray(), expected.toarray())
    if got.shape != expected.shape or got.dtype != expected.dtype:
        return False
    if expected.dtype.kind != "f":
        return got.tolist() == expected.tolist()
    return bool(np.allclose(got, expected, 2e-5, 2e-5 * np.abs(expected).max()))


def is_lightgbm(estimator: Any) -> bool:
    """Whether an estimator, or the last step of a pipeline, is one of LightGBM's."""
    last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    return type(last).__module__.startswith("lightgbm.")


def tried(case: Case) -> dict[str, Any]:
    """Fit on a third of the rows, save with another, compare on the last, at once and row by row."""
    estimator, rows, shown, target = case
    fitted, held_out, new = (part(rows, slice(start, None, 3)) for start in range(3))
    given = [shown(fitted)] if target is None else [shown(fitted), target[::3]]
    estimator.fit(*given)
    # Not the categories of these rows, which may lack one: those of the training.
    made = estimators.export(estimator, held_out, 1e-5, "churn")
    packed = formats.pack(f"model{made.suffix}", made.value, "churn")
    loaded = estimators.load(formats.unpack(f"model{made.suffix}", packed.content, packed.trusted))
    offered = [
        name
        for name in ("predict", "predict_proba", "decision_function", "transform", "score_samples")
        if hasattr(estimator, name)
        # Raw scores of LightGBM do not become ONNX, and so are offered in neither format.
        and not (name == "decision_function" and is_lightgbm(estimator))
    ]
    wrong = [] if list(loaded.methods) == offered else ["methods"]
    for method in offered:
        expected = getattr(estimator, method)(shown(new))
        wrong += [] if same(getattr(loaded, method)(new), expected) else [method]
        if isinstance(expected, np.ndarray):
            ones = [getattr(loaded, method)(part(new, slice(i, i + 1))) for i in range(20)]
            wrong += [] if same(np.concatenate(ones), expected[:20]) else [f"{method}, row by row"]
    classes = getattr(estimator, "classes_", None)
    if (classes is None) == hasattr(loaded, "classes_") or (
        classes is not None and not same(loaded.classes_, classes)
    ):
        wrong.append("classes_")
    return {
        "format": packed.format,
        "wrong": wrong,
        "reason": made.reason,
        "needs": packed.needs,
        "libraries": list(made.libraries),
        "refuses": dict(made.refuses),
    }


if __name__ == "__main__":
    print(json.dumps({name: tried(case) for name, case in CASES.items()}))
