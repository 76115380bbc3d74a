"""The rows that the model predicts, and its predictions. This file is yours.

What is said here is said nowhere else: requests, tables, the training's columns, the service's
documentation and its page all follow from these annotations.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

TARGET = "digit"
"""What to predict: a field of Prediction."""

SIDE = 8  # pixels
INK = 16  # of a black pixel

Pixel = Annotated[float, Meta(ge=0, le=INK)]


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """A handwritten digit of 8 × 8 pixels."""

    pixels: Annotated[
        list[Pixel],
        Meta(
            min_length=SIDE * SIDE,
            max_length=SIDE * SIDE,
            description="64 numbers, row by row, from 0 for paper to 16 for ink",
        ),
    ]


class Prediction(msgspec.Struct):
    """The most probable digit, and how probable each one is."""

    digit: int
    probabilities: dict[str, float]
