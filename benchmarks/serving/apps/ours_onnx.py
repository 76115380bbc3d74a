# mypy: disable-error-code="import-not-found,import-untyped", allow-subclassing-any
"""models/model.py of a generated project that serves ONNX."""

from __future__ import annotations

import os
import time

import msgspec
import numpy as np
from bench import manifest

PAUSE = float(os.environ.get("BENCH_PAUSE", "0"))  # seconds that each call takes longer


class Prediction(msgspec.Struct):
    """The label, and how probable each one is."""

    label: int
    probabilities: list[float]


class Model:
    """Loads the trained artifact once, then predicts."""

    def __init__(self) -> None:
        self.session = manifest.load("model.onnx")

    def predict(self, data: list[list[float]]) -> list[Prediction]:
        """One prediction for each row, in the same order."""
        if PAUSE:
            time.sleep(PAUSE)
        inputs = {"X": np.array(data, np.float32)}
        labels, shares = self.session.run(["label", "probabilities"], inputs)
        return [
            Prediction(label, row)
            for label, row in zip(labels.tolist(), shares.tolist(), strict=True)
        ]
