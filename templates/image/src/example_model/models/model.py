"""The model: what goes in, what comes out, and how it predicts. This file is yours."""

from typing import Annotated, ClassVar

import msgspec
import numpy as np
from msgspec import Meta

from .. import manifest

SIDE = 8  # pixels
INK = 16  # of a black pixel
Pixel = Annotated[float, Meta(ge=0, le=INK)]


class Image(msgspec.Struct, forbid_unknown_fields=True):
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


def drawn(*lines: str) -> Image:
    """An image from eight lines of eight characters: a space is paper, # is ink, + is in between."""
    return Image([{" ": 0.0, "+": INK / 2, "#": INK}[character] for character in "".join(lines)])


class Model:
    """Loads the trained artifact once, then predicts as often as you like."""

    examples: ClassVar = [
        drawn(
            "  +#+   ",
            "  ##+#+ ",
            "  #  ++ ",
            " +#  ++ ",
            " ++  ++ ",
            " ++  #+ ",
            "  #++#  ",
            "  +#+   ",
        ),
        drawn(
            "   ##+  ",
            "   +#+  ",
            "   ##+  ",
            " +###   ",
            "   ##   ",
            "   ##+  ",
            "   ##+  ",
            "   +#+  ",
        ),
    ]
    """A nought and a one, for the documentation and for a first try."""

    def __init__(self) -> None:
        self.session = manifest.load("model.onnx")

    def predict(self, data: list[Image]) -> list[Prediction]:
        """One prediction for each image, in the same order."""
        pixels = np.array([image.pixels for image in data], np.float32)
        labels, shares = self.session.run(["label", "probabilities"], {"pixels": pixels})
        shares = shares.astype(float)  # a sum of float32 is not quite 1
        probabilities = shares / shares.sum(axis=1, keepdims=True)
        return [
            Prediction(label, {str(digit): share for digit, share in enumerate(row)})
            for label, row in zip(labels.tolist(), probabilities.tolist(), strict=True)
        ]
