"""The estimators that a training chooses from. This file is yours.

Each is a pipeline that converts to ONNX. None grows with the data beyond what is set here, so that the
saved model stays below 20 MB.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

from .schema import TEXT

try:
    import lightgbm
except (ImportError, OSError):  # small systems lack the OpenMP library that it needs, libgomp
    lightgbm = None  # type: ignore[assignment]

FEW = 12  # words of a column that get a column each
MOST = 2_000  # words of a column that are told apart; the rest count as unknown
TERMS = 1_000  # words of all texts of a field that are counted
TREES = 200  # at most
MANY_ROWS = 20_000  # from which so many trees do not learn the noise
LEAVES = 60_000  # of all trees of a forest


def linear(table: pd.DataFrame, target: Any, seed: int) -> Pipeline:
    """Return a linear model on scaled numbers and one-hot words."""
    numbers = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()
    )
    last = LogisticRegression(max_iter=1_000) if is_classes(target) else Ridge()
    return Pipeline([("prepare", prepare(table, numbers, one_hot, TERMS)), ("linear", last)])


def forest(table: pd.DataFrame, target: Any, seed: int) -> Pipeline:
    """Return a random forest of bounded depth."""
    numbers = SimpleImputer(strategy="median", keep_empty_features=True)
    classes = len(np.unique(target)) if is_classes(target) else 1
    kind = RandomForestClassifier if is_classes(target) else RandomForestRegressor
    trees = kind(
        n_estimators=100,
        max_depth=12,
        max_leaf_nodes=max(LEAVES // 100 // classes, 16),
        min_samples_leaf=2,
        n_jobs=threads(table),
        random_state=seed,
    )
    return Pipeline(
        [("prepare", prepare(table, numbers, encoded(target, seed), 200)), ("forest", trees)]
    )


def boosting(table: pd.DataFrame, target: Any, seed: int) -> Pipeline:
    """Return gradient-boosted trees, which take missing numbers as they are."""
    classes = len(np.unique(target)) if is_classes(target) else 1
    kind = lightgbm.LGBMClassifier if is_classes(target) else lightgbm.LGBMRegressor
    most = TREES if len(table) >= MANY_ROWS else TREES // 2
    trees = kind(
        n_estimators=most if classes <= 2 else max(min(most, 1_500 // classes), 20),
        learning_rate=0.08 if classes <= 5 else 0.1,
        min_child_samples=min(20, max(len(table) // 20, 2)),
        n_jobs=threads(table),
        random_state=seed,
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )
    return Pipeline(
        [
            ("prepare", prepare(table, "passthrough", encoded(target, seed), 200)),
            ("boosting", trees),
        ]
    )


CANDIDATES: dict[str, Callable[[pd.DataFrame, Any, int], Pipeline]] = {
    "linear": linear,
    "forest": forest,
    **({"boosting": boosting} if lightgbm else {}),
}
"""By the name that `estimator` in configs/train.yaml has for one."""


def is_classes(target: Any) -> bool:
    """Whether a target holds classes; a number to predict is a float."""
    return bool(target.dtype.kind != "f")


def threads(table: pd.DataFrame) -> int:
    """Return how many threads to fit with: on few rows they wait for each other longer than they work."""
    return -1 if len(table) > 50_000 else 1


def prepare(
    table: pd.DataFrame, numbers: Any, words: Callable[[list[Any]], Any], terms: int
) -> ColumnTransformer:
    """Return the preparation of a table: numbers, words and texts, each in its way."""
    columns = list(table.columns)
    numeric = [name for name in columns if table[name].dtype.kind == "f"]
    steps: list[tuple[str, Any, Any]] = [("numbers", numbers, numeric)] if numeric else []
    for name in columns:
        if name in TEXT:
            steps.append((f"text {name}", TfidfVectorizer(max_features=terms), name))
        elif name not in numeric:
            steps.append((f"words {name}", words(frequent(table[name])), [name]))
    return ColumnTransformer(steps, sparse_threshold=0)


def frequent(words: "pd.Series[Any]") -> list[str]:
    """Return the most frequent words of a column, in alphabetical order."""
    counts = words.value_counts()
    ranked = sorted(counts.index, key=lambda word: (-counts[word], word))
    return sorted(ranked[:MOST])


def one_hot(words: list[str]) -> OneHotEncoder:
    """Return an encoder with a column for each word; unknown words have none."""
    return OneHotEncoder(categories=[words], handle_unknown="ignore", sparse_output=False)


def encoded(target: Any, seed: int) -> Callable[[list[str]], Any]:
    """Return an encoder of words: a column each where they are few, else what the target is with each."""
    several = is_classes(target) and len(np.unique(target)) > 2
    kind = StratifiedKFold if is_classes(target) else KFold
    folds = kind(5, shuffle=True, random_state=seed)

    def encoder(words: list[str]) -> Any:
        if len(words) <= FEW:
            return one_hot(words)
        if several:  # the encoder by the target converts for two classes and for numbers
            return OrdinalEncoder(
                categories=[words], handle_unknown="use_encoded_value", unknown_value=-1
            )
        return TargetEncoder(categories=[words], cv=folds)

    return encoder
