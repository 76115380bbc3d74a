"""Fit the model, evaluate it, save it. This file is yours."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import Normalizer

from .. import ProjectError, config, data, formats, manifest, project_dir
from .model import Model, Tweet, count, words

Echo = Callable[[str], None]
Metrics = dict[str, Any]


class TrainConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """configs/train.yaml."""

    data: str
    test_size: Annotated[float, Meta(gt=0, lt=1)]
    seed: int
    rarest: Annotated[int, Meta(ge=1)]
    strength: Annotated[float, Meta(gt=0)]
    tolerance: Annotated[float, Meta(gt=0)]


def train(overrides: Mapping[str, str], echo: Echo) -> Metrics:
    """Fit on the training tweets, save the model, and evaluate what was saved on the held-out ones."""
    settings = config.load("train", TrainConfig, overrides)
    texts, held_out, moods, held_out_moods = split(settings, echo)
    vocabulary = common_words(texts, settings.rarest)
    pipeline = fit(settings, count(texts, vocabulary), moods)
    echo(f"Fitted a logistic regression on {len(vocabulary)} words to {len(texts)} tweets.")
    onnx = export(pipeline, len(vocabulary))
    difference = check(onnx, pipeline, count(held_out, vocabulary), settings.tolerance)
    echo(f"ONNX agrees with scikit-learn on {len(held_out)} held-out tweets, to {difference:.0e}.")
    manifest.save("model.onnx", onnx)
    manifest.save("vocabulary.json", vocabulary)
    manifest.save("classes.json", pipeline.classes_.tolist())
    metrics = evaluate(Model(), held_out, held_out_moods)
    manifest.record(settings, [data.path(settings.data)], metrics, settings.seed)
    return report(metrics, echo)


def evaluate_saved(overrides: Mapping[str, str], echo: Echo) -> Metrics:
    """Evaluate the saved model on the tweets that were held out of its training."""
    # What held rows out of the training decides, whatever the file says by now.
    decided = manifest.trained_with("data", "test_size", "seed")
    settings = config.load("train", TrainConfig, {**decided, **overrides})
    model = Model()
    _, held_out, _, moods = split(settings, echo)
    metrics = evaluate(model, held_out, moods)
    manifest.record_metrics(metrics)
    return report(metrics, echo)


def split(settings: TrainConfig, echo: Echo) -> list[Any]:
    """Training and held-out tweets, then training and held-out moods: the same ones every time."""
    texts, moods = data.read(settings.data)
    echo(f"Read {len(texts)} tweets from {settings.data}.")
    shares = {"test_size": settings.test_size, "random_state": settings.seed}
    try:
        parts: list[Any] = train_test_split(texts, moods, stratify=moods, **shares)
    except ValueError as error:
        raise ProjectError(f"The tweets cannot be split by configs/train.yaml: {error}") from error
    return parts


def common_words(texts: Sequence[str], rarest: int) -> list[str]:
    """The words that are in at least so many texts, in the order of the alphabet."""
    tweets = Counter(word for text in texts for word in set(words(text)))
    return sorted(word for word, number in tweets.items() if number >= rarest)


def fit(settings: TrainConfig, counts: Any, moods: Sequence[str]) -> Pipeline:
    """A logistic regression on shares of words, as heedful of the rarer mood as of the other."""
    regression = LogisticRegression(C=settings.strength, class_weight="balanced", max_iter=1_000)
    return Pipeline([("shares", Normalizer()), ("regression", regression)]).fit(counts, moods)


def export(pipeline: Pipeline, size: int) -> Any:
    """The pipeline as an ONNX model of word counts: no scikit-learn is needed to serve it."""
    return to_onnx(
        pipeline,
        initial_types=[("counts", FloatTensorType([None, size]))],
        options={id(pipeline): {"zipmap": False}},
    )


def check(onnx: Any, pipeline: Pipeline, counts: Any, tolerance: float) -> float:
    """The largest difference of a probability between ONNX and scikit-learn.

    Raises ProjectError where it is above the tolerance.
    """
    session = formats.load_onnx(onnx.SerializeToString())
    (probabilities,) = session.run(["probabilities"], {"counts": counts})
    difference = float(np.abs(probabilities - pipeline.predict_proba(counts)).max())
    if difference > tolerance:
        raise ProjectError(
            f"The ONNX model differs from the trained one by {difference:.1g} in a probability, "
            f"more than the tolerance of {tolerance:g} in configs/train.yaml. Nothing was saved."
        )
    return difference


def evaluate(model: Model, held_out: Sequence[str], moods: Sequence[str]) -> Metrics:
    """How well the model that will be served predicts tweets that it was not trained on."""
    predictions = model.predict([Tweet(text) for text in held_out])
    labels = [prediction.sentiment for prediction in predictions]
    probabilities = [[p.probabilities[name] for name in model.classes] for p in predictions]
    return {
        "rows": len(held_out),
        "accuracy": accuracy_score(moods, labels),
        "f1_macro": f1_score(moods, labels, average="macro"),
        "log_loss": log_loss(moods, probabilities, labels=model.classes),
    }


def report(metrics: Metrics, echo: Echo) -> Metrics:
    """Write reports/metrics.json and say the accuracy."""
    assert project_dir is not None  # there was data to evaluate on
    path = project_dir / "reports" / "metrics.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(metrics)) + b"\n")
    echo(f"Accuracy on {metrics['rows']} held-out tweets: {metrics['accuracy']:.3f}.")
    echo("Metrics are in reports/metrics.json and in the manifest.")
    return metrics
