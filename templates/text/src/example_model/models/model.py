"""The model: what goes in, what comes out, and how it predicts. This file is yours."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
from msgspec import Meta

from .. import manifest

# Words, and what else carries a mood: exclamation marks, hearts, faces.
WORD = re.compile(r"[a-z']+|[!?]+|[^\sa-z0-9'!?]+")
CHUNK = 500  # tweets whose counts are in memory at once


class Tweet(msgspec.Struct, forbid_unknown_fields=True):
    """A short text in English."""

    text: Annotated[str, Meta(min_length=1, max_length=1_000)]


class Prediction(msgspec.Struct):
    """The more probable mood, and how probable each one is."""

    sentiment: str
    probabilities: dict[str, float]


class Model:
    """Loads the trained artifacts once, then predicts as often as you like."""

    examples: ClassVar = [
        Tweet("Celebrating my wonderful husband. Happy birthday!"),
        Tweet("The train is late again, and I hate waiting in the cold."),
    ]
    """Texts for the documentation and for a first try."""

    def __init__(self) -> None:
        self.session = manifest.load("model.onnx")
        self.vocabulary: list[str] = manifest.load("vocabulary.json")
        self.classes: list[str] = manifest.load("classes.json")

    def predict(self, data: list[Tweet]) -> list[Prediction]:
        """One prediction for each tweet, in the same order."""
        predictions = []
        for start in range(0, len(data), CHUNK):
            texts = [tweet.text for tweet in data[start : start + CHUNK]]
            inputs = {"counts": count(texts, self.vocabulary)}
            labels, shares = self.session.run(["label", "probabilities"], inputs)
            shares = shares.astype(float)  # a sum of float32 is not quite 1
            probabilities = shares / shares.sum(axis=1, keepdims=True)
            predictions += [
                Prediction(label, dict(zip(self.classes, row, strict=True)))
                for label, row in zip(labels.tolist(), probabilities.tolist(), strict=True)
            ]
        return predictions


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return WORD.findall(text.lower())


def count(texts: Sequence[str], vocabulary: Sequence[str]) -> Any:
    """How often each word of the vocabulary is in each text: float32, of shape (texts, vocabulary)."""
    # Done here for training and for serving alike: ONNX's own way needs a locale that servers lack.
    column = {word: n for n, word in enumerate(vocabulary)}
    counts = np.zeros((len(texts), len(vocabulary)), np.float32)
    for row, text in enumerate(texts):
        for word in words(text):
            if word in column:
                counts[row, column[word]] += 1
    return counts
