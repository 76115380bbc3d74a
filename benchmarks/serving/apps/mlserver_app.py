# mypy: disable-error-code="import-not-found,import-untyped", allow-subclassing-any
"""The model on MLServer. Its own scikit-learn runtime would ask the model twice: for labels and for
probabilities."""

from __future__ import annotations

from typing import Any

import estimator
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Runtime(MLModel):
    """One tensor of rows in, a tensor of labels and one of probabilities out."""

    async def load(self) -> bool:
        """Once a worker."""
        self.model = estimator.load()
        return True

    async def predict(self, payload: Any) -> Any:
        """As many answers as rows: one row, or those of a batch."""
        rows = NumpyCodec.decode_input(payload.inputs[0])
        labels, shares = estimator.predict(self.model, rows)
        return InferenceResponse(
            model_name=self.name,
            outputs=[
                NumpyCodec.encode_output("label", labels.reshape(-1, 1)),
                NumpyCodec.encode_output("probabilities", shares),
            ],
        )
