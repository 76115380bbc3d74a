"""Fit the model, judge it, save it. This file is yours."""

from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from .. import Columns, ProjectError, Table, data, manifest
from .model import Model, features
from .schema import TARGET


class TrainConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """configs/train.yaml."""

    test_size: Annotated[float, Meta(gt=0, lt=1)]
    seed: int
    neurons: Annotated[int, Meta(ge=1)]
    tolerance: Annotated[float, Meta(gt=0)]
    tracking: Literal["mlflow"] | None = None


def train(settings: TrainConfig) -> None:
    """Fit on the training rows, save the model, and judge what was saved on the held-out rows."""
    training, held_out = split(settings)
    estimator = pipeline(settings)
    estimator.fit(features(training.columns), training.target)
    print(f"Fitted a network of {settings.neurons} neurons to {len(training):,} images.")
    with manifest.run(settings) as run:
        run.save_estimator("model", estimator, features(held_out.columns), settings.tolerance)
        run.judge(Model(), held_out, metrics)


def split(settings: TrainConfig) -> tuple[Table, Table]:
    """Return the training rows and the held-out rows: the same ones every time."""
    rows = data.read()
    shares: dict[str, Any] = {"test_size": settings.test_size, "random_state": settings.seed}
    try:
        training, held_out = train_test_split(np.arange(len(rows)), stratify=rows.target, **shares)
    except ValueError as error:
        raise ProjectError(f"The rows cannot be split by configs/train.yaml: {error}") from error
    return rows.take(training), rows.take(held_out)


def pipeline(settings: TrainConfig) -> Pipeline:
    """Return a small neural network on scaled pixels."""
    network = MLPClassifier([settings.neurons], random_state=settings.seed, max_iter=300)
    return Pipeline([("scale", StandardScaler()), ("network", network)])


def metrics(truth: Any, predicted: Columns) -> dict[str, Any]:
    """Measure how good predictions are: the columns of Prediction, beside the true labels."""
    shares = np.column_stack(list(predicted["probabilities"].values()))
    return {
        "accuracy": accuracy_score(truth, predicted[TARGET]),
        "log_loss": log_loss(truth, shares),
        "confusion": confusion_matrix(truth, predicted[TARGET]),
    }
