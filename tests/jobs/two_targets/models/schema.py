"""The rows that the model predicts, and its predictions. This file is yours.

What is said here is said nowhere else: requests, tables, the training's columns, the service's
documentation and its page all follow from these annotations.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

TARGET = ["heating", "cooling"]
"""The column to predict, in the data and in Prediction."""


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """One building."""

    compactness: Annotated[float, Meta(gt=0, le=1)]
    glazing: Annotated[float, Meta(ge=0, le=1)]
    floors: Annotated[int, Meta(ge=1, le=100)]


class Prediction(msgspec.Struct):
    """What it takes to keep the building warm, and cool."""

    heating: float
    cooling: float


EXAMPLES = [
    Row(0.98, 0.1, 2),
    Row(0.62, 0.4, 7),
]
"""Rows for the documentation and for a first try."""
