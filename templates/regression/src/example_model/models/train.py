"""Fit the model, judge it, save it. This file is yours."""

from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from .. import Columns, ProjectError, Table, data, manifest, to_frame
from .model import Model, features


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
        training, held_out = train_test_split(np.arange(len(rows)), **shares)
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
    forest = RandomForestRegressor(
        n_estimators=settings.trees, max_depth=settings.max_depth, random_state=settings.seed
    )
    return Pipeline([("prepare", prepare), ("forest", forest)])


def metrics(truth: Any, predicted: Columns) -> dict[str, Any]:
    """Measure how good predictions are: the columns of Prediction, beside the true values."""
    values = np.column_stack(list(predicted.values()))
    return {
        "r2": r2_score(truth, values),
        "mean_absolute_error": mean_absolute_error(truth, values),
        "root_mean_squared_error": root_mean_squared_error(truth, values),
    }
