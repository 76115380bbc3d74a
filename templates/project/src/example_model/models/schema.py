"""The rows that the model predicts, and its predictions. This file is yours.

What is said here is said nowhere else: requests, tables, the training's columns, the service's
documentation and its page all follow from these annotations.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

TARGET = "species"
"""The column to predict, in the data and in Prediction."""

Millimetres = Annotated[float, Meta(gt=0, le=1_000, description="millimetres")]
Grams = Annotated[float, Meta(gt=0, le=100_000, description="grams")]


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """One penguin as it was measured. A measurement that is null, or an empty cell, is missing."""

    island: Literal["Biscoe", "Dream", "Torgersen"]
    bill_length_mm: Millimetres | None = None
    bill_depth_mm: Millimetres | None = None
    flipper_length_mm: Millimetres | None = None
    body_mass_g: Grams | None = None
    sex: Literal["female", "male"] | None = None


class Prediction(msgspec.Struct):
    """The most probable species, and how probable each one is."""

    species: Literal["Adelie", "Chinstrap", "Gentoo"]
    probabilities: dict[str, float]


EXAMPLES = [
    Row("Torgersen", 39.1, 18.7, 181, 3750, "male"),
    Row("Biscoe", 46.1, 13.2, 211, 4500, "female"),
]
"""Rows for the documentation and for a first try."""
