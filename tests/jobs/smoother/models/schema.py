"""The rows that the model predicts, and its predictions. This file is yours.

What is said here is said nowhere else: requests, tables, the training's columns, the service's
documentation and its page all follow from these annotations.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

TARGET = "smooth"
"""The column to predict, in the data and in Prediction."""


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """One reading of a series, in the order of time."""

    reading: Annotated[float, Meta(ge=-1_000, le=1_000)]


class Prediction(msgspec.Struct):
    """The reading without its noise."""

    smooth: float


EXAMPLES = [
    Row(1.5),
    Row(3.5),
    Row(2),
]
"""Rows for the documentation and for a first try."""
