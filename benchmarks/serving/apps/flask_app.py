# mypy: disable-error-code="import-not-found,import-untyped", allow-untyped-decorators
"""The model on Flask."""

from __future__ import annotations

from typing import Any

import estimator
from flask import Flask, request

app = Flask(__name__)
model = estimator.load()


@app.post("/predict")
def predict() -> Any:
    """One row in, one answer out."""
    return estimator.answers(model, [request.get_json()["features"]])[0]
