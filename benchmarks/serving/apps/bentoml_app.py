# mypy: disable-error-code="import-not-found,import-untyped", allow-untyped-decorators
"""The model on BentoML, with adaptive batching."""

from __future__ import annotations

import os
from typing import Annotated, Any

import bentoml
import estimator
import numpy as np
from bentoml.validators import ContentType, DType, Shape

Rows = Annotated[np.ndarray, Shape((-1, 30)), DType("float64")]
# An array is sent faster than objects are, and with its content type told, BentoML does not derive
# that from a JSON schema for every answer.
Answers = Annotated[np.ndarray, ContentType("application/json")]

batching = bentoml.api(
    batchable=True,
    max_batch_size=int(os.environ["BENCH_BATCH"]),
    max_latency_ms=int(os.environ["BENCH_WAIT"]),
)
service = bentoml.service(
    name="bench",
    workers=int(os.environ["BENCH_WORKERS"]),
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
)


def answer(model: Any, rows: Any) -> Any:
    """The label and the probabilities of each row."""
    labels, shares = estimator.predict(model, rows)
    return np.column_stack([labels, shares])


class InThreads:
    """Predicts in a thread, so that the event loop goes on."""

    def __init__(self) -> None:
        self.model = estimator.load()

    @batching
    def predict(self, rows: Rows) -> Answers:
        """A batch of rows in, as many answers out."""
        return answer(self.model, rows)


class InTheLoop:
    """Predicts in the event loop, so that no thread is changed."""

    def __init__(self) -> None:
        self.model = estimator.load()

    @batching
    async def predict(self, rows: Rows) -> Answers:
        """A batch of rows in, as many answers out."""
        return answer(self.model, rows)


Service = service(InThreads if os.environ["BENCH_DEFINE"] == "sync" else InTheLoop)
