"""Choose an estimator, fit it, judge it, save it. This file is yours."""

import time
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pandas as pd
from msgspec import Meta
from sklearn import metrics as scores
from sklearn.base import clone
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_validate,
    train_test_split,
)

from .. import Columns, ProjectError, Table, data, manifest
from .candidates import CANDIDATES, is_classes
from .model import Model, features
from .schema import TARGET


class TrainConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """configs/train.yaml."""

    data: str
    test_size: Annotated[float, Meta(gt=0, lt=1)]
    split: Literal["random", "time", "group"]
    split_by: str | None
    estimator: Literal["auto", "linear", "forest", "boosting"]
    metric: str
    threshold: Annotated[float, Meta(ge=0, le=1)] | Literal["auto"]
    folds: Annotated[int, Meta(ge=2)]
    seed: int
    tolerance: Annotated[float, Meta(gt=0)]
    tracking: Literal["mlflow"] | None = None


SAMPLE = 50_000  # rows that are enough to choose an estimator on


def train(settings: TrainConfig) -> None:
    """Fit the best candidate on the training rows, save it, and judge what was saved on the held-out rows."""
    training, held_out = split(settings)
    table, target = pd.DataFrame(features(training.columns)), training.target
    chosen, record = choose(settings, training, table)
    start = time.monotonic()
    estimator = CANDIDATES[chosen](table, target, settings.seed).fit(table, target)
    print(f"Fitted {chosen} to {len(table):,} rows in {time.monotonic() - start:.1f} s.")
    threshold = decide(settings, training, table, estimator)
    with manifest.run(settings, data=training.sources) as run:
        run.save_estimator("model", estimator, features(held_out.columns), settings.tolerance)
        manifest.save("decision.json", {"threshold": threshold})
        run.describe(training)
        run.judge(Model(), held_out, metrics)
        run.metrics |= record


def split(settings: TrainConfig) -> tuple[Table, Table]:
    """Return the training rows and the held-out rows: the same ones every time."""
    rows = data.read(settings.data)
    places = np.arange(len(rows))
    shares: dict[str, Any] = {"test_size": settings.test_size, "random_state": settings.seed}
    try:
        if settings.split == "time":
            ordered = np.argsort(column(settings, rows), kind="stable")
            first = round(len(rows) * (1 - settings.test_size))
            training, held_out = ordered[:first], ordered[first:]
        elif settings.split == "group":
            splitter = GroupShuffleSplit(1, **shares)
            training, held_out = next(splitter.split(places, groups=column(settings, rows)))
        elif is_classes(rows.target):
            training, held_out = stratified(rows.target, shares)
        else:
            training, held_out = train_test_split(places, **shares)
    except ValueError as error:
        raise ProjectError(f"The rows cannot be split by configs/train.yaml: {error}") from error
    return rows.take(training), rows.take(held_out)


def stratified(target: Any, shares: dict[str, Any]) -> tuple[Any, Any]:
    """Split so that each class has its share on both sides; one of a single row is trained on."""
    classes, inverse, counts = np.unique(target, return_inverse=True, return_counts=True)
    single = np.flatnonzero(counts[inverse] == 1)
    others = np.flatnonzero(counts[inverse] > 1)
    few = min(shares["test_size"], 1 - shares["test_size"]) * len(others) < len(classes)
    kinds = None if few else target[others]
    training, held_out = train_test_split(others, stratify=kinds, **shares)
    return np.concatenate([training, single]), held_out


def column(settings: TrainConfig, rows: Table) -> Any:
    """Return the column that `split_by` names. Raises ProjectError where it will not do."""
    name = settings.split_by
    if name not in rows.columns:
        known = ", ".join(rows.columns)
        raise ProjectError(
            f'configs/train.yaml: split: {settings.split} needs split_by, a field of Row, not "{name}". '
            f"There are: {known}."
        )
    values = rows.columns[name]
    if values.dtype != object:
        return values
    return np.array(["" if value is None else str(value) for value in values])


def choose(
    settings: TrainConfig, training: Table, table: pd.DataFrame
) -> tuple[str, dict[str, Any]]:
    """Return the candidate with the best cross-validated score, and what the run's record says of it."""
    if settings.estimator not in ("auto", *CANDIDATES):
        raise ProjectError(
            "boosting needs LightGBM, which cannot be imported here: is libgomp there?"
        )
    if settings.estimator != "auto":
        return settings.estimator, {"estimator": settings.estimator}
    metric, places = scorer(settings, training.target), sample(settings, len(table))
    some, target = table.iloc[places], training.target[places]
    folds = list(splits(settings, training.take(places)))
    found: dict[str, float] = {}
    for name, candidate in CANDIDATES.items():
        done = cross_validate(
            candidate(some, target, settings.seed), some, target, cv=folds, scoring=metric
        )
        found[name] = round(float(np.nanmean(done["test_score"])), 4)
        print(f"{name:<9} {metric} {found[name]:.4f}, cross-validated on {len(some):,} rows.")
    best = max(found, key=lambda name: found[name] if np.isfinite(found[name]) else -np.inf)
    return best, {"estimator": best, "cross_validation": {"metric": metric, **found}}


def scorer(settings: TrainConfig, target: Any) -> str:
    """Return the metric that decides: one that an imbalance of the classes does not flatter."""
    known = scores.get_scorer_names()
    if settings.metric != "auto" and settings.metric not in known:
        raise ProjectError(
            f'configs/train.yaml: metric: "{settings.metric}" is none of scikit-learn\'s scorers, '
            "such as roc_auc, f1_macro, neg_log_loss, r2."
        )
    if settings.metric != "auto":
        return settings.metric
    if not is_classes(target):
        return "r2"
    return "roc_auc" if len(np.unique(target)) == 2 else "f1_macro"


def sample(settings: TrainConfig, rows: int) -> Any:
    """Return the places of at most SAMPLE rows, in their order."""
    rng = np.random.default_rng(settings.seed)
    return np.sort(rng.permutation(rows)[:SAMPLE])


def splits(settings: TrainConfig, rows: Table) -> Iterator[tuple[Any, Any]]:
    """Split rows for cross-validation as `split` does, into as many folds as the classes allow."""
    places, target = np.arange(len(rows)), rows.target
    if settings.split == "time":  # the rows are in order
        return iter(TimeSeriesSplit(settings.folds).split(places))
    if settings.split == "group":
        groups = column(settings, rows)
        folds = min(settings.folds, len(np.unique(groups)))
        return iter(GroupKFold(folds).split(places, groups=groups))
    shuffled: dict[str, Any] = {"shuffle": True, "random_state": settings.seed}
    if is_classes(target) and np.unique(target, return_counts=True)[1].min() >= settings.folds:
        return iter(StratifiedKFold(settings.folds, **shuffled).split(places, target))
    return iter(KFold(settings.folds, **shuffled).split(places))


def decide(
    settings: TrainConfig, training: Table, table: pd.DataFrame, estimator: Any
) -> float | None:
    """Return the probability from which the second of two classes is predicted; None for other targets.

    `auto` is the threshold with the best balanced accuracy on training rows that the fit did not see.
    """
    if not is_classes(training.target) or len(estimator.classes_) != 2:
        return None
    if settings.threshold != "auto":
        return settings.threshold
    places = sample(settings, len(table))
    some, target = table.iloc[places], training.target[places]
    truth, shares = [], []
    for fit, test in splits(settings, training.take(places)):
        part = clone(estimator).fit(some.iloc[fit], target[fit])
        truth.append(target[test] == estimator.classes_[1])
        shares.append(part.predict_proba(some.iloc[test])[:, 1])
    false_positives, true_positives, thresholds = scores.roc_curve(
        np.concatenate(truth), np.concatenate(shares)
    )
    best = float(thresholds[np.argmax(true_positives - false_positives)])
    best = round(min(max(best, 0.0), 1.0), 4)
    print(f"{estimator.classes_[1]} is predicted from a probability of {best:.3f}.")
    return best


def metrics(truth: Any, predicted: Columns) -> dict[str, Any]:
    """Measure how good predictions are, beside naive ones: always the most frequent class, or the mean."""
    if not is_classes(truth):
        values = predicted[TARGET]
        return {
            "r2": scores.r2_score(truth, values),
            "mean_absolute_error": scores.mean_absolute_error(truth, values),
            "naive_mean_absolute_error": np.abs(truth - truth.mean()).mean(),
            "root_mean_squared_error": scores.root_mean_squared_error(truth, values),
        }
    answers = predicted[TARGET]
    names, counts = np.unique(truth, return_counts=True)
    found = {
        "accuracy": scores.accuracy_score(truth, answers),
        "naive_accuracy": counts.max() / counts.sum(),
        "balanced_accuracy": recall(truth, answers),
        "f1_macro": scores.f1_score(truth, answers, average="macro", zero_division=0),
    }
    if len(predicted["probabilities"]) == 2 and len(names) == 2:
        found["roc_auc"] = scores.roc_auc_score(truth, list(predicted["probabilities"].values())[1])
    return found


def recall(truth: Any, answers: Any) -> float:
    """Return the share of each class that is found, on average."""
    return float(np.mean([np.mean(answers[truth == name] == name) for name in np.unique(truth)]))
