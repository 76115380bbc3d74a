"""Fit the model, evaluate it, save it. This file is yours."""

from collections.abc import Callable, Mapping
from typing import Any

from .. import ProjectError

Echo = Callable[[str], None]


def train(overrides: Mapping[str, str], echo: Echo) -> dict[str, Any]:
    """Call here what trains the model."""
    raise ProjectError(f"Nothing says yet how existing_model is trained. Call it in {__file__}.")


def evaluate_saved(overrides: Mapping[str, str], echo: Echo) -> dict[str, Any]:
    """Call here what evaluates the model, and return its metrics."""
    raise ProjectError(f"Nothing says yet how existing_model is evaluated. Call it in {__file__}.")
