"""How the model predicts. This file is yours."""

from typing import Any, ClassVar

import numpy as np

from .. import Columns, manifest, to_columns, to_rows
from .schema import EXAMPLES, TARGET, Prediction, Row


class Model:
    """Loads the trained artifacts once, then predicts as often as you like."""

    examples: ClassVar = EXAMPLES
    """Rows for the documentation and for a first try."""

    def __init__(self) -> None:
        self.network = manifest.load("net.onnx")
        self.species = np.array(manifest.load("species.json"), object)

    def predict(self, data: list[Row]) -> list[Prediction]:
        """Predict each row, in the same order."""
        return to_rows(self.predict_columns(to_columns(data, Row)), Prediction)

    def predict_columns(self, columns: Columns) -> Columns:
        """Predict rows that are given as columns: a field of Row each, and of Prediction."""
        (probabilities,) = self.network.run(["probabilities"], {"rows": features(columns)})
        return {
            TARGET: self.species[probabilities.argmax(axis=1)],
            "probabilities": dict(zip(self.species, probabilities.T, strict=True)),
        }


def features(columns: Columns) -> Any:
    """Return what the network takes: float32, of shape (rows, 4)."""
    return np.column_stack(list(columns.values())).astype(np.float32)
