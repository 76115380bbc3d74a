"""The model: what goes in, what comes out, and how it predicts. This file is yours."""

from typing import Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np
from msgspec import Meta

from .. import manifest

Millimetres = Annotated[float, Meta(gt=0, le=1_000, description="millimetres")]
Grams = Annotated[float, Meta(gt=0, le=100_000, description="grams")]


class Penguin(msgspec.Struct, forbid_unknown_fields=True):
    """One penguin as it was measured. A measurement that is left out, or null, is a missing value."""

    island: Literal["Biscoe", "Dream", "Torgersen"]
    bill_length_mm: Millimetres | None = None
    bill_depth_mm: Millimetres | None = None
    flipper_length_mm: Millimetres | None = None
    body_mass_g: Grams | None = None
    sex: Literal["female", "male"] | None = None


class Prediction(msgspec.Struct):
    """The most probable species, and how probable each one is."""

    species: str
    probabilities: dict[str, float]


NUMBERS = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")
WORDS = ("island", "sex")


class Model:
    """Loads the trained artifacts once, then predicts as often as you like."""

    examples: ClassVar = [
        Penguin("Torgersen", 39.1, 18.7, 181, 3750, "male"),
        Penguin("Biscoe", 46.1, 13.2, 211, 4500, "female"),
    ]
    """Real rows, for the documentation and for a first try."""

    def __init__(self) -> None:
        self.estimator = manifest.load_model("model")
        self.classes: list[str] = self.estimator.classes_.tolist()

    def predict(self, data: list[Penguin]) -> list[Prediction]:
        """One prediction for each penguin, in the same order."""
        probabilities = self.estimator.predict_proba(columns(data))
        return [
            Prediction(self.classes[best], dict(zip(self.classes, row, strict=True)))
            for best, row in zip(
                probabilities.argmax(1).tolist(), probabilities.tolist(), strict=True
            )
        ]


def columns(data: list[Penguin]) -> dict[str, Any]:
    """The estimator's columns: for each field an array of n values, float32 or str."""
    inputs: dict[str, Any] = {}
    for name in NUMBERS:
        inputs[name] = np.array(
            [getattr(one, name) for one in data], np.float32
        )  # None becomes NaN
    for name in WORDS:
        inputs[name] = np.array([getattr(one, name) or "missing" for one in data], object)
    return inputs
