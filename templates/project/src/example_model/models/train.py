"""Fit the model, evaluate it, save it. This file is yours."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec
import numpy as np
import pandas as pd
from msgspec import Meta
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from .. import ProjectError, config, data, estimators, formats, manifest, package, project_dir
from .model import NUMBERS, WORDS, Model, Penguin

Echo = Callable[[str], None]
Metrics = dict[str, Any]


class TrainConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """configs/train.yaml."""

    data: str
    test_size: Annotated[float, Meta(gt=0, lt=1)]
    seed: int
    trees: Annotated[int, Meta(ge=1)]
    max_depth: Annotated[int, Meta(ge=1)] | None
    tolerance: Annotated[float, Meta(gt=0)]


def train(overrides: Mapping[str, str], echo: Echo) -> Metrics:
    """Fit on the training rows, save the model, and evaluate what was saved on the held-out rows."""
    settings = config.load("train", TrainConfig, overrides)
    features, held_out, species, held_out_species = split(settings, echo)
    pipeline = fit(settings, features, species)
    echo(f"Fitted a forest of {settings.trees} trees to {len(features)} rows.")
    export(pipeline, held_out, settings.tolerance, echo)
    metrics = evaluate(Model(), held_out, held_out_species)
    manifest.record(settings, [data.path(settings.data)], metrics, settings.seed)
    return report(metrics, echo)


def evaluate_saved(overrides: Mapping[str, str], echo: Echo) -> Metrics:
    """Evaluate the saved model on the rows that were held out of its training."""
    # What held rows out of the training decides, whatever the file says by now.
    decided = manifest.trained_with("data", "test_size", "seed")
    settings = config.load("train", TrainConfig, {**decided, **overrides})
    model = Model()
    _, held_out, _, species = split(settings, echo)
    metrics = evaluate(model, held_out, species)
    manifest.record_metrics(metrics)
    return report(metrics, echo)


def split(settings: TrainConfig, echo: Echo) -> list[Any]:
    """Training and held-out features, then training and held-out species: the same rows every time."""
    features, species = data.read(settings.data)
    echo(f"Read {len(features)} rows from {settings.data}.")
    shares = {"test_size": settings.test_size, "random_state": settings.seed}
    try:
        parts: list[Any] = train_test_split(features, species, stratify=species, **shares)
    except ValueError as error:
        raise ProjectError(f"The rows cannot be split by configs/train.yaml: {error}") from error
    return parts


def fit(settings: TrainConfig, features: pd.DataFrame, species: pd.Series) -> Pipeline:
    """A random forest on median-imputed numbers and one-hot words. Trees need no scaler."""
    prepare = ColumnTransformer(
        [
            ("numbers", SimpleImputer(strategy="median"), list(NUMBERS)),
            ("words", OneHotEncoder(handle_unknown="ignore"), list(WORDS)),
        ]
    )
    forest = RandomForestClassifier(
        n_estimators=settings.trees, max_depth=settings.max_depth, random_state=settings.seed
    )
    return Pipeline([("prepare", prepare), ("forest", forest)]).fit(features, species)


def export(pipeline: Pipeline, held_out: pd.DataFrame, tolerance: float, echo: Echo) -> None:
    """Save the model as ONNX, which needs no scikit-learn to serve, or else with skops, saying why."""
    made = estimators.export(pipeline, held_out, tolerance, package.name)
    for suffix in (".onnx", ".skops"):
        manifest.remove(f"model{suffix}")
    entry = manifest.save(f"model{made.suffix}", made.value)
    if made.reason:
        echo(f"ONNX export failed ({made.reason}); saved with skops instead.")
        echo(f"Serving it takes more packages. {formats.install(*manifest.pins(entry))}")
    else:
        echo(
            f"ONNX agrees with scikit-learn on {len(held_out)} held-out rows, to {made.difference:.0e}."
        )


def evaluate(model: Model, held_out: pd.DataFrame, species: pd.Series) -> Metrics:
    """How well the model that will be served predicts rows that it was not trained on."""
    rows = held_out.replace({"missing": None, np.nan: None}).to_dict("records")
    predictions = model.predict([Penguin(**row) for row in rows])
    labels = [prediction.species for prediction in predictions]
    probabilities = [[p.probabilities[name] for name in model.classes] for p in predictions]
    return {
        "rows": len(held_out),
        "accuracy": accuracy_score(species, labels),
        "f1_macro": f1_score(species, labels, average="macro"),
        "log_loss": log_loss(species, probabilities, labels=model.classes),
    }


def report(metrics: Metrics, echo: Echo) -> Metrics:
    """Write reports/metrics.json and say the accuracy."""
    assert project_dir is not None  # there was data to evaluate on
    path = project_dir / "reports" / "metrics.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(metrics)) + b"\n")
    echo(f"Accuracy on {metrics['rows']} held-out rows: {metrics['accuracy']:.3f}.")
    echo("Metrics are in reports/metrics.json and in the manifest.")
    return metrics
