"""The rows that the model predicts, and its predictions. This file is yours.

What is said here is said nowhere else: requests, tables, the training's columns, the service's
documentation and its page all follow from these annotations.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

TARGET = None
"""The column to predict, in the data and in Prediction."""


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """One customer, by what they buy in a year."""

    orders: Annotated[int, Meta(ge=0)]
    spent: Annotated[float, Meta(ge=0, description="euros")]
    returned: Annotated[float, Meta(ge=0, le=1, description="share of the orders")]


class Prediction(msgspec.Struct):
    """The group that the customer is nearest to."""

    group: int


EXAMPLES = [
    Row(3, 90.5, 0),
    Row(60, 2_400, 0.3),
]
"""Rows for the documentation and for a first try."""
