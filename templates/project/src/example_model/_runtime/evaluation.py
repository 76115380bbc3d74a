"""How well a saved model predicts rows that it was not trained on."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from . import staging
from .columns import Columns, answer_columns, flat, key_of, size, to_rows
from .config import Config
from .errors import InvalidRow, ProjectError
from .manifest import Manifest, file_digest
from .signature import Schema, refusal
from .tables import Table


@dataclass(frozen=True)
class Training:
    """The modules that train a model: `train` with TrainConfig, train, split and metrics; `data` with read."""

    train: Any
    data: Any


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation found out. Without rows, the training's own metrics are all that is known."""

    metrics: dict[str, Any]
    measure: Callable[[Any, Columns], Mapping[str, Any]] | None = None
    rows: Table | None = None
    predicted: Columns = field(default_factory=dict)
    target: str | None = None  # the field of a prediction that `rows.target` is the truth of
    fitted: Table | None = None  # the rows of the training


def evaluate(
    manifest: Manifest,
    model: Any,
    training: Training,
    data: str | None,
    overrides: Mapping[str, str],
    say: Callable[[str], Any],
) -> Evaluated:
    """Evaluate the saved model on held-out rows, or on those of the file `data`.

    Writes reports/evaluation.json. The record of the training stays as it is.
    """
    record = manifest.read().run
    settings = _settings(manifest, record, training, overrides)
    if not hasattr(training.train, "split"):
        return _write(manifest, record, Evaluated(_own_metrics(model, training)), {})
    fitted, rows = training.train.split(settings)
    if data is not None:
        rows = training.data.read(str(Path(data).resolve()))
    if not len(rows):
        raise ProjectError("No rows were held out to evaluate on. Give some with --data FILE.")
    for name in manifest.changed_data():
        say(
            f"Warning: {name} has changed since the training, which may have seen some of these rows."
        )
    known = seen(rows, fitted)
    if known:
        say(f"Warning: the training saw {known:,} of these {len(rows):,} rows.")
    predicted = predict(model, rows)
    metrics = measure(training.train.metrics, rows, predicted)
    target = getattr(training.train, "TARGET", getattr(training.data, "TARGET", None))
    found = Evaluated(metrics, training.train.metrics, rows, predicted, target, fitted)
    digests = {path.name: file_digest(path) for path in rows.sources}
    return _write(manifest, record, found, {"data": digests, "seen": known})


def _own_metrics(model: Any, training: Training) -> dict[str, Any]:
    """The metrics of a model whose training holds no rows out, by its own function."""
    if not hasattr(training.train, "evaluate"):
        raise ProjectError(
            f"{training.train.__file__} has neither split(settings), which returns training and "
            "held-out rows, nor evaluate(model), which returns metrics. Write one of them."
        )
    return plain(training.train.evaluate(model))


def _write(
    manifest: Manifest, record: Mapping[str, Any], found: Evaluated, facts: dict[str, Any]
) -> Evaluated:
    trained = {key: record.get(key) for key in ("commit", "created")}
    content = msgspec.json.encode({**facts, "metrics": found.metrics, "trained": trained})
    package = manifest.package
    path = package.written(package.root / "reports" / "evaluation.json")
    staging.write_whole(path, msgspec.json.format(content) + b"\n")
    return found


def shares_of(predicted: Columns) -> str | None:
    """Return the name of the column that has a number for each class; None where there is none."""
    return next((name for name, v in predicted.items() if isinstance(v, Mapping)), None)


def naive(found: Evaluated) -> dict[str, Any]:
    """Measure predictions of the most frequent class, or of the mean, for the same rows.

    Empty where the training's metrics do not take them.
    """
    if found.rows is None or found.fitted is None or found.measure is None:
        return {}
    from sklearn.dummy import DummyClassifier, DummyRegressor  # late: only training has it

    shares = shares_of(found.predicted)
    target = found.fitted.target
    kind = DummyRegressor if shares is None and target.dtype.kind in "fiu" else DummyClassifier
    dummy = kind().fit(target, target)
    answers: Columns = {name: dummy.predict(found.rows.target) for name in found.predicted}
    if shares is not None:
        columns = dict(zip(dummy.classes_, dummy.predict_proba(found.rows.target).T, strict=True))
        answers[shares] = {key_of(name): values for name, values in columns.items()}
    try:
        return measure(found.measure, found.rows, answers)
    except Exception:  # it is the user's function, and may take what only this model gives
        return {}


def _settings(
    manifest: Manifest, record: Mapping[str, Any], training: Training, overrides: Mapping[str, str]
) -> Any:
    """The configuration of the training, whatever configs/train.yaml says by now."""
    schema = training.train.TrainConfig
    recorded = record.get("config", {})
    load = Config(manifest.package).load
    # A secret is recorded as ***, and read from where it is.
    known = {k: v for k, v in recorded.items() if k in schema.__struct_fields__ and v != "***"}
    settings = load("train", schema, known)
    for key in overrides:
        if getattr(load("train", schema, {**known, **overrides}), key) != getattr(settings, key):
            raise ProjectError(
                f"The rows to evaluate on are those that the training held out, with {key} = "
                f"{recorded.get(key)}. Train again with --set {key}={overrides[key]}, or evaluate "
                "other rows with --data FILE."
            )
    return settings


def predict(model: Any, rows: Table) -> Columns:
    """Predict the rows of a table: by columns where the model can, else by rows.

    Raises ProjectError where the model does not give one prediction for each row.
    """
    return of_columns(model)(rows.columns)


def check_rows(model: Any, rows: Table) -> None:
    """Require that `predict`, which is served, answers these rows, and as `predict_columns` does.

    Raises ProjectError that says which prediction does not fit its annotation, or that the two differ.
    """
    from .independence import same  # late: not every project has numpy

    schema = Schema.of(model)
    data = _rows(schema, rows.columns)
    try:
        answers = schema.bind(model.predict)(data)
        schema.answers(data, answers)
    except InvalidRow as error:
        raise ProjectError(f"The model refuses a held-out row: {refusal(error)}") from error
    except ProjectError as error:
        raise ProjectError(f"predict fails for the held-out rows: {error}") from error
    if not hasattr(model, "predict_columns"):
        return
    expected = to_rows(model.predict_columns(rows.columns), schema.answer)
    if not same(answer_columns(answers, schema.answer), answer_columns(expected, schema.answer)):
        raise ProjectError(
            "predict and predict_columns predict differently: the first is served, the second is "
            "measured. Let one of them call the other."
        )


def measure(
    metrics: Callable[[Any, Columns], Mapping[str, Any]], rows: Table, predicted: Columns
) -> dict[str, Any]:
    """Return the metrics of predictions as plain values, and the number of rows they were taken on."""
    return {"rows": len(rows), **plain(metrics(rows.target, predicted))}


def plain(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return metrics as what JSON can hold, null for NaN and infinity. Raises ProjectError that names one that it cannot."""
    result = {}
    for name, value in metrics.items():
        value = value.tolist() if hasattr(value, "tolist") else value
        try:
            result[str(name)] = msgspec.json.decode(msgspec.json.encode(value, enc_hook=_scalar))
        except (TypeError, NotImplementedError) as error:
            raise ProjectError(
                f'The metric "{name}" is a {type(value).__name__}. '
                "Return numbers, text, lists or dicts of them."
            ) from error
    return result


def summary(metrics: Mapping[str, Any]) -> str:
    """Return the numbers among the metrics in one line; one that is NaN or infinite is undefined."""
    numbers = {
        k: v for k, v in metrics.items() if k != "rows" and isinstance(v, int | float | None)
    }
    texts = {name: "undefined" if v is None else f"{v:.4g}" for name, v in numbers.items()}
    said = ", ".join(f"{name} {text}" for name, text in texts.items()) or "Evaluated"
    return f"{said}, on {metrics['rows']:,} held-out rows" if "rows" in metrics else said


def digests(rows: Table) -> list[bytes]:
    """Hash each row of a table, its target included if it has one: equal rows have equal hashes."""
    arrays = [*flat(rows.columns).values(), *([] if rows.target is None else [rows.target])]
    columns = [values.tolist() for values in arrays]
    return [
        hashlib.blake2b(repr(row).encode(), digest_size=16).digest()
        for row in zip(*columns, strict=True)
    ]


def seen(rows: Table, fitted: Table) -> int:
    """Count the rows that the training saw."""
    known = set(digests(fitted))
    return sum(digest in known for digest in digests(rows))


def of_columns(model: Any) -> Callable[[Columns], Columns]:
    """Return a function that predicts columns with a model, whichever way it predicts."""
    schema = Schema.of(model)
    predict_rows = schema.bind(model.predict)

    def predicted(columns: Columns) -> Columns:
        try:
            if hasattr(model, "predict_columns"):
                result: Columns = model.predict_columns(columns)
            else:
                result = answer_columns(predict_rows(_rows(schema, columns)), schema.answer)
        except InvalidRow as error:
            raise ProjectError(f"The model refuses a held-out row: {refusal(error)}") from error
        for name, values in flat(result).items():
            if len(values) != size(columns):
                raise ProjectError(
                    f"The model gave {len(values)} predictions ({name}) for {size(columns)} rows. "
                    "It must give one for each."
                )
        return result

    return predicted


def _rows(schema: Schema, columns: Columns) -> list[Any]:
    return to_rows(columns, Any if schema.row is None else schema.row)


def _scalar(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise NotImplementedError
