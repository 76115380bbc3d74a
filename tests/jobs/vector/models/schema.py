"""The rows that the model predicts, and its predictions. This file is yours.

What is said here is said nowhere else: requests, tables, the training's columns, the service's
documentation and its page all follow from these annotations.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

TARGET = [f"hour {n}" for n in range(24)]
"""The column to predict, in the data and in Prediction."""


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """One day."""

    temperature: Annotated[float, Meta(ge=-60, le=60, description="degrees Celsius")]
    weekday: Annotated[int, Meta(ge=1, le=7)]
    holiday: bool = False


class Prediction(msgspec.Struct):
    """The load of the grid in each hour of the day."""

    load: Annotated[list[float], Meta(min_length=24, max_length=24)]


EXAMPLES = [
    Row(-3.5, 1),
    Row(24, 7, True),
]
"""Rows for the documentation and for a first try."""
