"""The rows that the model predicts, and its predictions. This file is yours.

What is said here is said nowhere else: requests, tables, the training's columns, the service's
documentation and its page all follow from these annotations.
"""

from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

TARGET = "miles_per_gallon"
"""The column to predict, in the data and in Prediction."""


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """One model of a car. A horsepower that is null, or an empty cell, is not known."""

    cylinders: Annotated[int, Meta(ge=1, le=16)]
    displacement: Annotated[float, Meta(gt=0, le=1_000, description="cubic inches")]
    weight: Annotated[float, Meta(gt=0, le=20_000, description="pounds")]
    acceleration: Annotated[float, Meta(gt=0, le=60, description="seconds from 0 to 60 mph")]
    introduced: date
    origin: Literal["Europe", "Japan", "USA"]
    horsepower: Annotated[float, Meta(gt=0, le=2_000)] | None = None


class Prediction(msgspec.Struct):
    """How far the car goes on a gallon of petrol."""

    miles_per_gallon: float


EXAMPLES = [
    Row(4, 97.0, 2130.0, 14.5, date(1971, 1, 1), "Japan", 88.0),
    Row(8, 350.0, 4100.0, 12.0, date(1976, 1, 1), "USA", 165.0),
]
"""Rows for the documentation and for a first try."""
