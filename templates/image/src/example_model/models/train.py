"""Fit the model, evaluate it, save it. This file is yours."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from .. import ProjectError, config, data, formats, manifest, project_dir
from .model import SIDE, Image, Model

Echo = Callable[[str], None]
Metrics = dict[str, Any]


class TrainConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """configs/train.yaml."""

    test_size: Annotated[float, Meta(gt=0, lt=1)]
    seed: int
    neurons: Annotated[int, Meta(ge=1)]
    tolerance: Annotated[float, Meta(gt=0)]


def train(overrides: Mapping[str, str], echo: Echo) -> Metrics:
    """Fit on the training images, save the model, and evaluate what was saved on the held-out ones."""
    settings = config.load("train", TrainConfig, overrides)
    images, held_out, digits, held_out_digits = split(settings, echo)
    pipeline = fit(settings, images, digits)
    echo(f"Fitted a network of {settings.neurons} neurons to {len(images)} images.")
    onnx = export(pipeline)
    difference = check(onnx, pipeline, held_out, settings.tolerance)
    echo(f"ONNX agrees with scikit-learn on {len(held_out)} held-out images, to {difference:.0e}.")
    manifest.save("model.onnx", onnx)
    metrics = evaluate(Model(), held_out, held_out_digits)
    manifest.record(settings, [], metrics, settings.seed)
    return report(metrics, echo)


def evaluate_saved(overrides: Mapping[str, str], echo: Echo) -> Metrics:
    """Evaluate the saved model on the images that were held out of its training."""
    # What held rows out of the training decides, whatever the file says by now.
    decided = manifest.trained_with("test_size", "seed")
    settings = config.load("train", TrainConfig, {**decided, **overrides})
    model = Model()
    _, held_out, _, digits = split(settings, echo)
    metrics = evaluate(model, held_out, digits)
    manifest.record_metrics(metrics)
    return report(metrics, echo)


def split(settings: TrainConfig, echo: Echo) -> list[Any]:
    """Training and held-out images, then training and held-out digits: the same ones every time."""
    images, digits = data.read()
    echo(f"Read {len(images)} images.")
    shares = {"test_size": settings.test_size, "random_state": settings.seed}
    try:
        parts: list[Any] = train_test_split(images, digits, stratify=digits, **shares)
    except ValueError as error:
        raise ProjectError(f"The images cannot be split by configs/train.yaml: {error}") from error
    return parts


def fit(settings: TrainConfig, images: Any, digits: Any) -> Pipeline:
    """A small neural network on scaled pixels."""
    network = MLPClassifier([settings.neurons], random_state=settings.seed, max_iter=300)
    return Pipeline([("scale", StandardScaler()), ("network", network)]).fit(images, digits)


def export(pipeline: Pipeline) -> Any:
    """The pipeline as an ONNX model of pixels: no scikit-learn is needed to serve it."""
    return to_onnx(
        pipeline,
        initial_types=[("pixels", FloatTensorType([None, SIDE * SIDE]))],
        options={id(pipeline): {"zipmap": False}},
    )


def check(onnx: Any, pipeline: Pipeline, held_out: Any, tolerance: float) -> float:
    """The largest difference of a probability between ONNX and scikit-learn.

    Raises ProjectError where it is above the tolerance.
    """
    session = formats.load_onnx(onnx.SerializeToString())
    (probabilities,) = session.run(["probabilities"], {"pixels": held_out})
    difference = float(np.abs(probabilities - pipeline.predict_proba(held_out)).max())
    if difference > tolerance:
        raise ProjectError(
            f"The ONNX model differs from the trained one by {difference:.1g} in a probability, "
            f"more than the tolerance of {tolerance:g} in configs/train.yaml. Nothing was saved."
        )
    return difference


def evaluate(model: Model, held_out: Any, digits: Any) -> Metrics:
    """How well the model that will be served predicts images that it was not trained on."""
    predictions = model.predict([Image(pixels) for pixels in held_out.tolist()])
    labels = [prediction.digit for prediction in predictions]
    probabilities = [list(prediction.probabilities.values()) for prediction in predictions]
    return {
        "rows": len(held_out),
        "accuracy": accuracy_score(digits, labels),
        "log_loss": log_loss(digits, probabilities),
        "confusion": confusion_matrix(digits, labels).tolist(),
    }


def report(metrics: Metrics, echo: Echo) -> Metrics:
    """Write reports/metrics.json and say the accuracy."""
    assert project_dir is not None  # only a checkout has what training needs
    path = project_dir / "reports" / "metrics.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(metrics)) + b"\n")
    echo(f"Accuracy on {metrics['rows']} held-out images: {metrics['accuracy']:.3f}.")
    echo("Metrics are in reports/metrics.json and in the manifest.")
    return metrics
