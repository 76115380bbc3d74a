"""The rows that the model predicts, and its predictions. This file is yours.

What is said here is said nowhere else: requests, tables, the training's columns, the service's
documentation and its page all follow from these annotations.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

TARGET = "sentiment"
"""What to predict: a field of Prediction."""


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """A short text in English."""

    text: Annotated[str, Meta(min_length=1, max_length=1_000)]


class Prediction(msgspec.Struct):
    """The more probable mood, and how probable each one is."""

    sentiment: Literal["negative", "positive"]
    probabilities: dict[str, float]
