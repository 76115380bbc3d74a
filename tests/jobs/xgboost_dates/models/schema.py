"""The rows that the model predicts, and its predictions. This file is yours.

What is said here is said nowhere else: requests, tables, the training's columns, the service's
documentation and its page all follow from these annotations.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

TARGET = "price"
"""The column to predict, in the data and in Prediction."""


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """One delivery."""

    carrier: Literal["bike", "train", "van"]
    kilometres: Annotated[float, Meta(ge=0, le=20_000)]
    ordered: datetime
    fragile: bool = False
    note: str | None = None


class Prediction(msgspec.Struct):
    """What the delivery costs."""

    price: Annotated[float, Meta(description="euros")]


EXAMPLES = [
    Row("van", 61.4, datetime(2024, 5, 6, 9, 30), True, "ring twice"),
    Row("bike", 3, datetime(2024, 12, 1, 17, 45)),
]
"""Rows for the documentation and for a first try."""
