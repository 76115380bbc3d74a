"""The rows that the model predicts, and its predictions. This file is yours.

What is said here is said nowhere else: requests, tables, the training's columns, the service's
documentation and its page all follow from these annotations.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

TARGET = "churned"
"""The column to predict, in the data and in Prediction."""


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """One customer."""

    contract: Literal["month", "year"]
    months: Annotated[int, Meta(ge=0, le=1_200)]
    paperless: bool | None = None


class Prediction(msgspec.Struct):
    """Whether the customer leaves, and how probable that is."""

    churned: bool
    probabilities: dict[str, float]


EXAMPLES = [
    Row("month", 2, True),
    Row("year", 50),
]
"""Rows for the documentation and for a first try."""
