"""The rows that the model predicts, and its predictions. This file is yours.

What is said here is said nowhere else: requests, tables, the training's columns, the service's
documentation and its page all follow from these annotations.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

TARGET = "quality"
"""The column to predict, in the data and in Prediction."""


class Row(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """One wine, as the laboratory names what it measures."""

    acidity: Annotated[float, Meta(ge=0, le=20)] = msgspec.field(name="fixed acidity")
    sulphur_dioxide: Annotated[float, Meta(ge=0, le=1_000)]
    wine_color: Literal["red", "white"]
    alcohol: Annotated[float, Meta(ge=0, le=100)] | None = msgspec.field(
        default=None, name="alcohol (%)"
    )


class Prediction(msgspec.Struct):
    """How well the wine is liked."""

    quality: float


EXAMPLES = [
    Row(7.4, 34, "red", 9.4),
    Row(6.1, 120.5, "white"),
]
"""Rows for the documentation and for a first try."""
