# mypy: disable-error-code="import-not-found,import-untyped"
"""Fit one of the models, save it for every stack, and note what it says of one row.

    train.py NAME FOLDER

It runs twice: beside the generated project that gets the ONNX model, and beside the other one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np
from bench import artifacts_dir, manifest
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

MODELS = {
    "forest": RandomForestClassifier(n_estimators=100, random_state=0),
    "logistic": LogisticRegression(max_iter=10_000),
}


def main(name: str, folder: Path) -> None:
    """Fit and save."""
    features, target = load_breast_cancer(return_X_y=True)
    model = MODELS[name].fit(features, target)
    joblib.dump(model, folder / f"{name}.joblib")
    row = doubtful(model, features)
    shares = model.predict_proba(row.reshape(1, -1))[0]
    label = int(model.classes_[shares.argmax()])
    answer = {"label": label, "probabilities": shares.tolist()}
    (folder / f"{name}.row.json").write_text(json.dumps(row.tolist()))
    (folder / f"{name}.answer.json").write_text(json.dumps(answer))
    save(model)


def doubtful(model: Any, features: Any) -> Any:
    """A row whose probabilities are neither 0 nor 1, which shows a wrong answer best."""
    shares = model.predict_proba(features)[:, 1]
    return features[np.abs(shares - 0.8).argmin()]


def save(model: Any) -> None:
    """Into the project's artifacts: the model as ONNX, or the classes of the estimator beside it."""
    with manifest.run(msgspec.defstruct("Settings", [])()) as run:
        run.independent = True  # else each request would be predicted by itself
        if artifacts_dir.parents[2].name.startswith("onnx"):
            types = [("X", FloatTensorType([None, model.n_features_in_]))]
            options = {id(model): {"zipmap": False}}
            manifest.save("model.onnx", to_onnx(model, initial_types=types, options=options))
        else:
            manifest.save("classes.json", model.classes_.tolist())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
