"""The saved model as scikit-learn has estimators: its `predict` is what the service calls."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from . import evaluation
from .columns import Columns, key_of, objects, plain_list


def of(model: Any, columns: Columns, predicted: Columns, truth: Any, target: str | None) -> Any:
    """Return an estimator that takes `columns` as a DataFrame; None where it predicts several values.

    `predicted` are the model's predictions for rows whose target, named `target`, is `truth`.
    """
    flat = [name for name, values in predicted.items() if not isinstance(values, Mapping)]
    label = target if target in flat else flat[0] if len(flat) == 1 else None
    if label is None or truth.ndim > 1:
        return None
    shares = evaluation.shares_of(predicted)
    if shares is None and truth.dtype.kind in "fiu":
        return Regressor(model, columns, label)
    named = [key_of(key) for key in predicted[shares]] if shares else []
    classes = np.unique([*named, *_words(truth), *_words(predicted[label])])
    kind = Classifier if shares else Labeler
    return kind(model, columns, label, shares, classes)


class Served(BaseEstimator):
    """What a saved model answers for rows in a DataFrame."""

    def __init__(
        self, model: Any, like: Columns, label: str, shares: Any = None, classes: Any = None
    ) -> None:
        self.model, self.like, self.label = model, like, label
        self.shares, self.classes = shares, classes

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, X: Any, y: Any) -> "Served":
        """Refuse. scikit-learn takes nothing for an estimator that lacks the method."""
        raise NotImplementedError("A saved model is not fitted again.")

    def predict(self, X: Any) -> Any:
        return self.values(self.answers(X)[self.label])

    def answers(self, table: Any) -> Columns:
        """Predict the rows of a DataFrame as the service does."""
        columns = {name: _like(table, name, values) for name, values in self.like.items()}
        return evaluation.of_columns(self.model)(columns)

    def probabilities(self, predicted: Columns) -> Any:
        """Return the probabilities in predictions, a column for each class."""
        given = {key_of(key): values for key, values in predicted[self.shares].items()}
        none = np.zeros(len(predicted[self.label]))
        return np.column_stack([given.get(name, none) for name in self.classes])

    def doubt(self, predicted: Columns, truth: Any, error: Any) -> Any:
        """Return how bad each row's error is: of wrong answers, the surer ones are the worse."""
        if not self.shares:
            return error
        right = np.searchsorted(self.classes, truth), np.arange(len(truth))
        return error * (1 - self.probabilities(predicted).T[right])

    def values(self, column: Any) -> Any:
        """Return a column of the target or of predictions: numbers, or classes as JSON names them."""
        return np.asarray(column, np.float64) if self.classes is None else _words(column)


class Regressor(RegressorMixin, Served):
    """A saved model that predicts numbers."""


class Labeler(ClassifierMixin, Served):
    """A saved model that predicts classes."""

    def __init__(self, model: Any, like: Columns, label: str, shares: Any, classes: Any) -> None:
        super().__init__(model, like, label, shares, classes)
        self.classes_ = classes


class Classifier(Labeler):
    """A saved model that predicts classes, and how probable each one is."""

    def predict_proba(self, X: Any) -> Any:
        return self.probabilities(self.answers(X))


def _words(column: Any) -> Any:
    values = plain_list(column)
    if values and all(isinstance(value, float) and value.is_integer() for value in values):
        values = [int(value) for value in values]
    return np.array([key_of(value) for value in values])


def _like(table: Any, name: str, values: Any) -> Any:
    """Return a field's column as the model takes it. A list is a column for each of its numbers."""
    if values.ndim == 2:
        parts = [f"{name}_{number}" for number in range(values.shape[1])]
        return table[parts].to_numpy(values.dtype)
    if values.dtype != object:
        return table[name].to_numpy(values.dtype)
    return objects([None if value != value else value for value in table[name].to_numpy(object)])
