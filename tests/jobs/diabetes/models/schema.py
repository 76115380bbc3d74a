"""The rows that the model predicts, and its predictions. This file is yours.

What is said here is said nowhere else: requests, tables, the training's columns, the service's
documentation and its page all follow from these annotations.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

TARGET = "progression"
"""The column to predict, in the data and in Prediction."""


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """One patient at the first visit."""

    age: Annotated[float, Meta(ge=0, le=130)]
    sex: Literal[1, 2]
    bmi: Annotated[float, Meta(gt=0, le=100)]
    bp: Annotated[float, Meta(gt=0, le=300)]
    s1: float
    s2: float
    s3: float
    s4: float
    s5: float
    s6: float


class Prediction(msgspec.Struct):
    """How far the disease has got a year later."""

    progression: float


EXAMPLES = [
    Row(59, 2, 32.1, 101, 157, 93.2, 38, 4, 4.86, 87),
    Row(48, 1, 21.6, 87, 183, 103.2, 70, 3, 3.89, 69),
]
"""Rows for the documentation and for a first try."""
