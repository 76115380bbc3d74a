"""Fit the model, judge it, save it. This file is yours."""

from typing import Any, Literal

import msgspec

from .. import manifest
from .model import Model


class TrainConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """configs/train.yaml."""

    factor: float
    tracking: Literal["mlflow"] | None = None


def train(settings: TrainConfig) -> None:
    """Save what the model needs, and note what it was made from. There is nothing to learn from yet."""
    with manifest.run(settings) as run:
        manifest.save("parameters.json", {"factor": settings.factor})
        run.metrics = evaluate(Model())


def evaluate(model: Model) -> dict[str, Any]:
    """Measure how good the model is that will be served: here, for how many rows it predicts at all."""
    return {"examples": len(model.predict(model.examples))}
