"""The rows that the model predicts, and its predictions. This file is yours.

What is said here is said nowhere else: requests, tables, the training's columns, the service's
documentation and its page all follow from these annotations.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

TARGET = "median_house_value"
"""The column to predict, in the data and in Prediction."""

Count = Annotated[int, Meta(ge=0)]


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """One district. Its bedrooms may not have been counted."""

    longitude: Annotated[float, Meta(ge=-180, le=180)]
    latitude: Annotated[float, Meta(ge=-90, le=90)]
    housing_median_age: Count
    total_rooms: Count
    median_income: Annotated[float, Meta(ge=0, description="ten thousands of dollars")]
    ocean_proximity: Literal["<1H OCEAN", "INLAND", "ISLAND", "NEAR BAY", "NEAR OCEAN"]
    total_bedrooms: Count | None = None
    county: str | None = None


class Prediction(msgspec.Struct):
    """What half of the district's houses are worth at most."""

    median_house_value: float


EXAMPLES = [
    Row(-122.23, 37.88, 41, 880, 8.3252, "NEAR BAY", 129),
    Row(-118.4, 34.0, 12, 2_400, 2.5, "INLAND", None, "Los Ángeles, north"),
]
"""Rows for the documentation and for a first try."""
