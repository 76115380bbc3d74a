"""The rows that the model predicts, and its predictions. This file is yours.

What is said here is said nowhere else: requests, tables, the training's columns, the service's
documentation and its page all follow from these annotations.
"""

from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

TARGET = "status"
"""The column to predict, in the data and in Prediction."""


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """One customer."""

    plan: Literal["basic", "family", "premium"]
    joined: date
    calls: Annotated[int, Meta(ge=0, le=1_000, description="to the hotline, in a year")]
    region: Literal["north", "south"] | None = None
    last_bill: date | None = None


class Prediction(msgspec.Struct):
    """Whether the customer leaves, and how probable that is."""

    status: Literal["left", "stays"]
    probabilities: dict[str, float]


EXAMPLES = [
    Row("basic", date(2023, 5, 1), 7, "north", date(2023, 9, 1)),
    Row("premium", date(2019, 2, 3), 0),
]
"""Rows for the documentation and for a first try."""
