"""The rows that the model predicts, and its predictions. This file is yours.

What is said here is said nowhere else: requests, tables, the training's columns, the service's
documentation and its page all follow from these annotations.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

TARGET = "species"
"""The column to predict, in the data and in Prediction."""

Centimetres = Annotated[float, Meta(gt=0, le=100, description="centimetres")]


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """One iris."""

    sepal_length: Centimetres
    sepal_width: Centimetres
    petal_length: Centimetres
    petal_width: Centimetres


class Prediction(msgspec.Struct):
    """The most probable species, and how probable each one is."""

    species: Literal["setosa", "versicolor", "virginica"]
    probabilities: dict[str, float]


EXAMPLES = [
    Row(5.1, 3.5, 1.4, 0.2),
    Row(6.3, 3.3, 6.0, 2.5),
]
"""Rows for the documentation and for a first try."""
