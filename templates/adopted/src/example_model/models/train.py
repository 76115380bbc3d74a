"""Fit the model, judge it, save it. This file is yours."""

from typing import Any

import msgspec

from .. import ProjectError


class TrainConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """configs/train.yaml, where there is one."""


def train(settings: TrainConfig) -> None:
    """Call here what trains the model, within `with manifest.run(settings) as run`."""
    raise ProjectError(f"{__file__} does not say yet how existing_model is trained. Call it there.")


def evaluate(model: Any) -> dict[str, Any]:
    """Return the metrics of the model."""
    raise ProjectError(
        f"{__file__} does not say yet how existing_model is evaluated. Do it there."
    )
