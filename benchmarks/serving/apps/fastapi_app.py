# mypy: disable-error-code="import-not-found,import-untyped", allow-untyped-decorators, allow-subclassing-any
"""The model on FastAPI, in its thread pool and in its event loop."""

from __future__ import annotations

from typing import Any

import estimator
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = estimator.load()


class Row(BaseModel):
    """What comes in."""

    features: list[float]


class Prediction(BaseModel):
    """What goes out."""

    label: int
    probabilities: list[float]


@app.post("/sync", response_model=Prediction)
def in_threads(row: Row) -> Any:
    """One row in, one answer out."""
    return estimator.answers(model, [row.features])[0]


@app.post("/async", response_model=Prediction)
async def in_the_loop(row: Row) -> Any:
    """One row in, one answer out: no thread is changed, and nothing else is done meanwhile."""
    return estimator.answers(model, [row.features])[0]
