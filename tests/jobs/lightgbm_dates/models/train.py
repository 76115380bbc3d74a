"""Fit the model, judge it, save it. This file is yours."""

from typing import Annotated, Any

import msgspec
import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from msgspec import Meta
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.model_selection import train_test_split

from .. import Columns, ProjectError, Table, data, manifest
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


def train(settings: TrainConfig) -> None:
    """Fit on the training rows, save the model, and judge what was saved on the held-out rows."""
    training, held_out = split(settings)
    estimator = LGBMClassifier(
        n_estimators=settings.trees, random_state=settings.seed, verbose=-1, n_jobs=1
    )
    estimator.fit(table(features(training.columns)), training.target)
    print(f"Fitted {type(estimator).__name__} to {len(training):,} rows.")
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


def table(columns: Columns) -> pd.DataFrame:
    """Return columns as LightGBM takes them: words are categories."""
    frame = pd.DataFrame(columns)
    words = frame.select_dtypes(exclude="number")
    return frame.astype(dict.fromkeys(words, "category"))


def metrics(truth: Any, predicted: Columns) -> dict[str, Any]:
    """Measure how good predictions are: the columns of Prediction, beside the true labels."""
    probabilities = predicted["probabilities"]
    shares = np.column_stack(list(probabilities.values()))
    return {
        "accuracy": accuracy_score(truth, predicted[TARGET]),
        "f1_macro": f1_score(truth, predicted[TARGET], average="macro"),
        "log_loss": log_loss(truth, shares, labels=list(probabilities)),
    }
