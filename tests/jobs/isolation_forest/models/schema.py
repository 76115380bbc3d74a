"""The rows that the model predicts, and its predictions. This file is yours.

What is said here is said nowhere else: requests, tables, the training's columns, the service's
documentation and its page all follow from these annotations.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

TARGET = None
"""The column to predict, in the data and in Prediction."""


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """One minute of a pump."""

    pressure: Annotated[float, Meta(ge=0, description="bar")]
    vibration: Annotated[float, Meta(ge=0, description="millimetres a second")]
    temperature: Annotated[float, Meta(ge=-60, le=500, description="degrees Celsius")]


class Prediction(msgspec.Struct):
    """Whether the minute is like the others (1) or not (-1)."""

    normal: Literal[-1, 1]


EXAMPLES = [
    Row(4.1, 1.9, 61),
    Row(9.5, 14, 140),
]
"""Rows for the documentation and for a first try."""
