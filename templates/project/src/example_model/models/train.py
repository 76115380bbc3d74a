"""Fit the model, judge it, save it. This file is yours."""

from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from .. import Columns, ProjectError, Table, data, manifest, to_frame
from .model import Model, features
from .schema import TARGET


class TrainConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """configs/train.yaml."""

    data: str
    test_size: Annotated[float, Meta(gt=0, lt=1)]
    seed: int
    trees: Annotated[int, Meta(ge=1)]
    max_depth: Annotated[int, Meta(ge=1)] | None
    tolerance: Annotated[float, Meta(gt=0)]
    tracking: Literal["mlflow"] | None = None


def train(settings: TrainConfig) -> None:
    """Fit on the training rows, save the model, and judge what was saved on the held-out rows."""
    training, held_out = split(settings)
    estimator = pipeline(settings)
    estimator.fit(to_frame(features(training.columns)), training.target)
    print(f"Fitted {type(estimator[-1]).__name__} to {len(training):,} rows.")
    with manifest.run(settings, data=training.sources) as run:
        run.save_estimator("model", estimator, features(held_out.columns), settings.tolerance)
        run.judge(Model(), held_out, metrics)


def split(settings: TrainConfig) -> tuple[Table, Table]:
    """Return the training rows and the held-out rows: the same ones every time."""
    rows = data.read(settings.data)
    shares: dict[str, Any] = {"test_size": settings.test_size, "random_state": settings.seed}
    try:
        training, held_out = train_test_split(np.arange(len(rows)), stratify=rows.target, **shares)
    except ValueError as error:
        raise ProjectError(f"The rows cannot be split by configs/train.yaml: {error}") from error
    return rows.take(training), rows.take(held_out)


def pipeline(settings: TrainConfig) -> Pipeline:
    """Return a random forest on median-imputed numbers and one-hot words. Trees need no scaler."""
    numbers = make_column_selector(dtype_include="number")
    words = make_column_selector(dtype_exclude="number")
    prepare = ColumnTransformer(
        [
            ("numbers", SimpleImputer(strategy="median"), numbers),
            ("words", OneHotEncoder(handle_unknown="ignore"), words),
        ]
    )
    forest = RandomForestClassifier(
        n_estimators=settings.trees, max_depth=settings.max_depth, random_state=settings.seed
    )
    return Pipeline([("prepare", prepare), ("forest", forest)])


def metrics(truth: Any, predicted: Columns) -> dict[str, Any]:
    """Measure how good predictions are: the columns of Prediction, beside the true labels."""
    probabilities = predicted["probabilities"]
    shares = np.column_stack(list(probabilities.values()))
    return {
        "accuracy": accuracy_score(truth, predicted[TARGET]),
        "f1_macro": f1_score(truth, predicted[TARGET], average="macro"),
        "log_loss": log_loss(truth, shares, labels=list(probabilities)),
    }
