"""Fit the model, judge it, save it. This file is yours."""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import Normalizer

from .. import Columns, ProjectError, Table, data, manifest
from .model import Model, features, words
from .schema import TARGET


class TrainConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """configs/train.yaml."""

    data: str
    test_size: Annotated[float, Meta(gt=0, lt=1)]
    seed: int
    rarest: Annotated[int, Meta(ge=1)]
    strength: Annotated[float, Meta(gt=0)]
    tolerance: Annotated[float, Meta(gt=0)]
    tracking: Literal["mlflow"] | None = None


def train(settings: TrainConfig) -> None:
    """Fit on the training rows, save the model, and judge what was saved on the held-out rows."""
    training, held_out = split(settings)
    vocabulary = common_words(training.columns["text"], settings.rarest)
    estimator = pipeline(settings)
    estimator.fit(features(training.columns, vocabulary), training.target)
    print(f"Fitted {len(vocabulary):,} words to {len(training):,} tweets.")
    with manifest.run(settings, data=training.sources) as run:
        manifest.save("vocabulary.json", vocabulary)
        counts = features(held_out.columns, vocabulary)
        run.save_estimator("model", estimator, counts, settings.tolerance)
        run.judge(Model(), held_out, metrics)


def split(settings: TrainConfig) -> tuple[Table, Table]:
    """Return the training rows and the held-out rows: the same ones every time."""
    rows = data.read(settings.data)
    shares: dict[str, Any] = {"test_size": settings.test_size, "random_state": settings.seed}
    try:
        training, held_out = train_test_split(np.arange(len(rows)), stratify=rows.target, **shares)
    except ValueError as error:
        raise ProjectError(f"The rows cannot be split by configs/train.yaml: {error}") from error
    return rows.take(training), rows.take(held_out)


def common_words(texts: Iterable[str], rarest: int) -> list[str]:
    """Return the words that are in at least so many texts, in alphabetical order."""
    tweets = Counter(word for text in texts for word in set(words(text)))
    return sorted(word for word, number in tweets.items() if number >= rarest)


def pipeline(settings: TrainConfig) -> Pipeline:
    """Return a logistic regression on shares of words that weighs both moods alike."""
    regression = LogisticRegression(C=settings.strength, class_weight="balanced", max_iter=1_000)
    return Pipeline([("shares", Normalizer()), ("regression", regression)])


def metrics(truth: Any, predicted: Columns) -> dict[str, Any]:
    """Measure how good predictions are: the columns of Prediction, beside the true labels."""
    probabilities = predicted["probabilities"]
    shares = np.column_stack(list(probabilities.values()))
    return {
        "accuracy": accuracy_score(truth, predicted[TARGET]),
        "f1_macro": f1_score(truth, predicted[TARGET], average="macro"),
        "log_loss": log_loss(truth, shares, labels=list(probabilities)),
    }
