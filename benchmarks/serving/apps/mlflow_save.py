# mypy: disable-error-code="import-not-found,import-untyped"
"""Save the estimator as MLflow logs one, to be served by `mlflow models serve`."""

from __future__ import annotations

import sys

import estimator
import mlflow.sklearn

if __name__ == "__main__":
    # Labels and probabilities of one call would need a model of Python code around the estimator;
    # the probabilities alone are what MLflow gives fastest, and the label follows from them.
    mlflow.sklearn.save_model(
        estimator.load(),
        sys.argv[1],
        pyfunc_predict_fn="predict_proba",
        serialization_format="cloudpickle",
        pip_requirements=[],
    )
