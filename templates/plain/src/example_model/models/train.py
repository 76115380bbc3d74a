"""Fit the model, evaluate it, save it. This file is yours."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from .. import config, manifest, project_dir
from .model import Model

Echo = Callable[[str], None]
Metrics = dict[str, Any]


class TrainConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """configs/train.yaml."""

    factor: float


def train(overrides: Mapping[str, str], echo: Echo) -> Metrics:
    """Save what the model needs, and note what it was made from. There is nothing to learn from yet."""
    settings = config.load("train", TrainConfig, overrides)
    manifest.save("parameters.json", {"factor": settings.factor})
    metrics = evaluate(Model())
    manifest.record(settings, [], metrics)
    return report(metrics, echo)


def evaluate_saved(overrides: Mapping[str, str], echo: Echo) -> Metrics:
    """Evaluate the saved model."""
    config.load("train", TrainConfig, overrides)
    metrics = evaluate(Model())
    manifest.record_metrics(metrics)
    return report(metrics, echo)


def evaluate(model: Model) -> Metrics:
    """How well the model that will be served predicts: here, for how many rows it does at all."""
    return {"rows": len(model.predict(model.examples))}


def report(metrics: Metrics, echo: Echo) -> Metrics:
    """Write reports/metrics.json and say so."""
    assert project_dir is not None  # only a checkout is trained in
    path = project_dir / "reports" / "metrics.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(metrics)) + b"\n")
    echo("Metrics are in reports/metrics.json and in the manifest.")
    return metrics
