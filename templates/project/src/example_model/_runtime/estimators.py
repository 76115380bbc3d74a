"""Estimators of scikit-learn: saved only after what was loaded back has answered as they do."""

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from . import formats, onnx, probes
from .comparison import compare
from .errors import ProjectError
from .predictor import (
    FAULTS,
    KEY,
    METHODS,
    Answer,
    Classes,
    Column,
    Estimator,
    Spec,
    flatten,
    frame,
    given,
    is_missing,
    load,
)

__all__ = ["Estimator", "Export", "artifact", "export", "frame", "load"]

FORMATS = (".onnx", ".skops")
LAST_EXACT = 2**24  # float32 holds every integer up to this one
MISSING = ("nan", "None", "\ufffd")  # what the converters make of a missing text, or an unknown one


@dataclass(frozen=True)
class Export:
    """An estimator as it is saved under `suffix`.

    `reason` says why it is not ONNX. `difference` is the largest of all that were compared, relative to
    the scale of the numbers. `libraries` are the distributions that loading it takes. `refuses` says for
    "missing" and "infinite" in which columns the ONNX model raises InvalidRow for such values, though
    the estimator would answer: the held-out rows had none, and ONNX means something else by them.
    """

    suffix: str
    value: bytes
    reason: str | None
    libraries: tuple[str, ...]
    difference: float
    refuses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def export(estimator: Any, features: Any, tolerance: float, package: str = "") -> Export:
    """Turn a fitted estimator into ONNX, or else into what skops writes, and prove that it answers alike.

    features: rows that the estimator was not fitted on: columns by name (arrays of n values, or of
    (n, k)), a DataFrame, a 2-D array, or a 1-D array of texts. Every method that the estimator offers
    is compared on them, and on copies with missing, unknown and extreme values: numbers may differ by
    `tolerance` relative to their scale, labels not at all. `package` is the project's own.

    Raises ProjectError where neither format will do.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trial = Trial.of(estimator, features, tolerance)
        try:
            return _to_onnx(trial)
        except Exception as error:  # converters raise what they like
            reason = f"{sentence(error)}{_advice(trial)}"
            return _to_skops(trial, reason, package)


def artifact(stem: str, names: Iterable[str]) -> str:
    """The one artifact among these names that holds the estimator `stem`."""
    found = [name for name in (f"{stem}{suffix}" for suffix in FORMATS) if name in set(names)]
    if len(found) == 1:
        return found[0]
    known = (
        f"both {' and '.join(found)} are" if found else f"neither {stem}.onnx nor {stem}.skops is"
    )
    raise ProjectError(f"{known} in the manifest.")


@dataclass(frozen=True)
class Trial:
    """A fitted estimator, what it answered to the rows it is tried on, and what is known of it."""

    estimator: Any
    spec: Spec
    batches: list[probes.Batch]
    tolerance: float

    @classmethod
    def of(cls, estimator: Any, features: Any, tolerance: float) -> "Trial":
        """Ask the estimator about the rows, and about copies of them with unusual values."""
        offered = [method for method in METHODS if onnx.offers(estimator, method)]
        if not offered:
            raise ProjectError(
                f"{type(estimator).__name__} cannot be saved as a model: it offers none of {', '.join(METHODS)}."
            )
        spec, columns, rows = _described(estimator, features, offered)
        answers = {method: getattr(estimator, method)(rows) for method in offered}
        spec.methods = {method: _answer(method, answer) for method, answer in answers.items()}
        held_out = probes.Batch("the held-out rows", columns, answers)

        def ask(trial: Mapping[str, Any]) -> dict[str, Any]:
            return {method: getattr(estimator, method)(given(spec, trial)) for method in offered}

        return cls(estimator, spec, [held_out, *probes.draw(spec, columns, ask)], tolerance)

    def judge(self, loaded: Estimator) -> tuple[float, set[tuple[str, str]]]:
        """The largest difference of what was loaded back, and what it had better refuse.

        That is a column and a fault that none of the held-out rows has. Raises ProjectError where
        anything else differs too much.
        """
        self._judge_classes(loaded)
        worst, refused = 0.0, set()
        for batch in self.batches:
            if batch.fault and loaded.refuses(batch.fault, batch.names):
                continue
            try:
                worst = max(worst, self._judge_batch(loaded, batch))
            except ProjectError:
                if not batch.fault or self._occurs(batch):
                    raise
                refused |= {(name, batch.fault) for name in batch.names}
        return worst, refused

    def _judge_batch(self, loaded: Estimator, batch: probes.Batch) -> float:
        if batch.answers is None:
            self._judge_refusal(loaded, batch)
            return 0.0
        worst = 0.0
        for method, expected in batch.answers.items():
            try:
                worst = max(
                    worst, compare(getattr(loaded, method)(batch.columns), expected, self.tolerance)
                )
            except Exception as error:  # onnxruntime raises what it likes
                raise ProjectError(f"{method} {sentence(error)}, on {batch.name}") from error
        return worst

    def _occurs(self, batch: probes.Batch) -> bool:
        """Whether the held-out rows have what the batch tries."""
        columns = self.batches[0].columns
        return any(FAULTS[batch.fault](columns[name]).any() for name in batch.names)

    def _judge_classes(self, loaded: Estimator) -> None:
        expected, got = _targets(self.estimator), _targets(loaded)
        alike = len(expected) == len(got) and all(
            one.dtype == other.dtype and one.tolist() == other.tolist()
            for one, other in zip(expected, got, strict=True)
        )
        if not alike:
            raise ProjectError("classes_ differs from scikit-learn's")

    def _judge_refusal(self, loaded: Estimator, batch: probes.Batch) -> None:
        """The estimator raised an error, so what was loaded back must, and not answer instead."""
        method = next(iter(self.spec.methods))
        try:
            getattr(loaded, method)(batch.columns)
        except Exception:  # estimators raise what they like
            return
        raise ProjectError(f"scikit-learn refuses {batch.name}, and it does not")


def _described(
    estimator: Any, features: Any, offered: list[str]
) -> tuple[Spec, dict[str, Any], Any]:
    """What is known of an estimator, the rows as columns, and the rows as it takes them."""
    fault: Exception | None = None
    for spec, columns, rows in _forms(estimator, features):
        try:
            answer = getattr(estimator, offered[0])(rows)
            answer = answer[0] if isinstance(answer, list) else answer
            if answer.shape[0] == len(next(iter(columns.values()))) > 0:
                _add_classes(spec, estimator)
                return spec, columns, rows
            fault = ProjectError("it does not answer each row")
        except Exception as error:  # estimators raise what they like
            fault = fault or error
    if fault is None or not len(next(iter(columns.values()))):
        raise ProjectError("There are no held-out rows to compare the saved model on.")
    raise ProjectError(
        f"{type(estimator).__name__} cannot predict the held-out rows: {sentence(fault)}. "
        "Give it the features as it was fitted on them, for example the DataFrame."
    ) from fault


def _forms(estimator: Any, features: Any) -> Iterator[tuple[Spec, dict[str, Any], Any]]:
    """The ways to show features to an estimator, the likeliest first."""
    if not isinstance(features, Mapping) and not hasattr(features, "columns"):
        array = np.asarray(features)
        text = array.ndim == 1
        columns = {str(i): column for i, column in enumerate(np.atleast_2d(array.T))}
        yield _spec("text" if text else "matrix", columns), columns, features
        return
    flat = flatten(features)
    names = _names(estimator, list(flat))
    if names:
        flat = {name: flat[name] for name in names}
    table = formats.need("pandas").DataFrame(flat)
    table = _categorized(estimator, table)
    columns = {
        name: np.asarray(table[name], object if _is_text(table[name]) else None) for name in flat
    }
    arrays = _spec("matrix", columns), _spec("text", columns)
    if not names:
        if len(flat) == 1 and all(map(_is_text, flat.values())):
            yield arrays[1], columns, next(iter(columns.values()))
        if all(column.dtype.kind in "fiub" for column in columns.values()):
            yield arrays[0], columns, given(arrays[0], columns)
    spec = Spec("frame", [_column(name, table[name]) for name in table], {})
    yield spec, columns, table


def _names(estimator: Any, columns: list[str]) -> list[str]:
    """The columns that an estimator was fitted on, in that order; none where it was fitted on an array."""
    try:
        fitted = [str(name) for name in estimator.feature_names_in_]
    except AttributeError:
        return []
    if fitted == [f"Column_{i}" for i in range(len(columns))]:  # what LightGBM calls an array's
        return []
    # LightGBM puts "_" where a name has a blank.
    known = {column.replace(" ", "_"): column for column in columns} | {one: one for one in columns}
    if lacking := [name for name in fitted if name not in known]:
        raise ProjectError(
            f"The estimator was fitted on columns that the features lack: {', '.join(lacking)}."
        )
    return [known[name] for name in fitted]


def _spec(form: Any, columns: Mapping[str, Any]) -> Spec:
    return Spec(form, [Column(name, str(column.dtype)) for name, column in columns.items()], {})


def _column(name: str, series: Any) -> Column:
    """A column of a DataFrame. Raises ProjectError for a dtype that does not come back from its name."""
    dtype = series.dtype
    if hasattr(dtype, "categories"):
        values = dtype.categories.tolist()
        if not all(isinstance(value, str | int | float | bool) for value in values):
            raise ProjectError(f"{name}: categories of {dtype.categories.dtype} cannot be saved.")
        return Column(name, str(dtype.categories.dtype), values, bool(dtype.ordered))
    pandas = formats.need("pandas")
    if pandas.api.types.pandas_dtype(str(dtype)) != dtype:
        raise ProjectError(f"{name}: a column of {dtype!r} cannot be saved.")
    return Column(name, str(dtype))


def _categorized(estimator: Any, table: Any) -> Any:
    """The table with pandas' category dtype where a booster was fitted on it, and the table has text instead."""
    booster = onnx.last(estimator)
    if hasattr(estimator, "steps") and len(estimator.steps) > 1:
        return table
    pandas = formats.need("pandas")
    texts = [name for name in table if _is_text(table[name])]
    try:
        categories = _categories(booster, table, texts)
    except Exception:  # another version: the booster then refuses text by itself
        return table
    kinds = {name: pandas.CategoricalDtype(known) for name, known in categories.items()}
    return table.astype(kinds) if kinds else table


def _categories(booster: Any, table: Any, texts: list[str]) -> dict[str, Any]:
    """The categories of the columns that LightGBM, XGBoost or scikit-learn's boosting was fitted on."""
    if known := getattr(getattr(booster, "_Booster", None), "pandas_categorical", None):
        return dict(zip(texts, known, strict=True)) if len(known) == len(texts) else {}
    if getattr(booster, "enable_categorical", False) and hasattr(booster, "get_booster"):
        return _xgboost_categories(booster.get_booster())
    mask = getattr(booster, "is_categorical_", None)
    if mask is not None and hasattr(booster, "_preprocessor"):
        encoder = booster._preprocessor.named_transformers_["encoder"]
        names = [name for name, is_one in zip(table, mask, strict=True) if is_one]
        pairs = zip(names, encoder.categories_, strict=True)
        return {n: [c for c in found if c == c] for n, found in pairs if n in texts}
    return {}


def _xgboost_categories(booster: Any) -> dict[str, Any]:
    """The categories in a model's own JSON: its function that gives them takes pyarrow."""
    model = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]
    found = {}
    for name, known in zip(booster.feature_names, model["cats"]["enc"], strict=True):
        if len(offsets := known.get("offsets", ())) > 1:
            text = bytes(byte % 256 for byte in known["values"])
            pairs = zip(offsets, offsets[1:], strict=False)
            found[name] = [text[start:end].decode() for start, end in pairs]
        elif "offsets" not in known:
            found[name] = known["values"]
    return found


def _is_text(values: Any) -> bool:
    """Whether a column holds text, and perhaps missing ones."""
    if hasattr(values.dtype, "categories") or values.dtype.kind not in "OUT":
        return False
    return all(isinstance(one, str) or is_missing(one) for one in values)


def _add_classes(spec: Spec, estimator: Any) -> None:
    classes = getattr(estimator, "classes_", None)
    spec.several_targets = isinstance(classes, list)
    spec.classes = [Classes(one.tolist(), str(one.dtype)) for one in _targets(estimator)]


def _targets(estimator: Any) -> list[Any]:
    """The classes of each target."""
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        return []
    return (
        [np.asarray(one) for one in classes] if isinstance(classes, list) else [np.asarray(classes)]
    )


def _answer(method: str, answer: Any) -> Answer:
    """What an answer looks like, so that ONNX can give its like."""
    shares = method == "predict_proba"
    if isinstance(answer, list):
        widths = [one.shape[1] for one in answer]
        return Answer(str(answer[0].dtype), widths[:1], widths, shares and _are_shares(answer[0]))
    if not isinstance(answer, np.ndarray):
        return Answer(dtype=type(answer).__name__, shape=[-1])
    return Answer(str(answer.dtype), list(answer.shape[1:]), None, shares and _are_shares(answer))


def _are_shares(answer: Any) -> bool:
    return answer.ndim == 2 and answer.dtype.kind == "f" and np.allclose(answer.sum(axis=1), 1)


def _to_onnx(trial: Trial) -> Export:
    """An ONNX model that answers alike. Raises what the converters raise, or ProjectError."""
    methods = _onnx_methods(trial)
    direct = [method for method, answer in methods.items() if answer.of is None]
    fault: Exception | None = None
    for inputs in _inputs(trial):
        try:
            model = onnx.convert(trial.estimator, inputs, direct)
        except Exception as error:  # converters raise what they like
            fault = fault or error
            continue
        texts = any(kind == "str" for _, kind, _ in inputs)
        for word in MISSING if texts else MISSING[:1]:
            try:
                return _described_onnx(
                    model, trial, msgspec.structs.replace(trial.spec, methods=methods, missing=word)
                )
            except Exception as error:  # onnxruntime raises what it likes
                fault = fault or error
    raise fault or ProjectError("ONNX has no type for its columns")


def _described_onnx(model: Any, trial: Trial, spec: Spec) -> Export:
    """A model with what must be known of it. Raises ProjectError where it does not answer alike."""
    _, refused = trial.judge(load(formats.load_onnx(_with_spec(model, spec))))
    spec.columns = [
        msgspec.structs.replace(
            column,
            refuses=column.refuses + [fault for name, fault in refused if name == column.name],
        )
        for column in spec.columns
    ]
    content = _with_spec(model, spec)
    difference, _ = trial.judge(load(formats.load_onnx(content)))
    by_fault = {
        fault: tuple(column.name for column in spec.columns if (column.name, fault) in refused)
        for fault in sorted({fault for _, fault in refused})
    }
    return Export(".onnx", content, None, ("onnxruntime",), difference, by_fault)


def _with_spec(model: Any, spec: Spec) -> bytes:
    del model.metadata_props[:]
    model.metadata_props.add(key=KEY, value=msgspec.json.encode(spec).decode())
    return formats.dump_onnx(model)


def _onnx_methods(trial: Trial) -> dict[str, Answer]:
    """The answers that ONNX is to give. Raises ProjectError for one that it cannot."""
    methods = dict(trial.spec.methods)
    for method, answer in methods.items():
        if answer.shape == [-1]:
            raise ProjectError(f"{method} answers a {answer.dtype}")
    offset: Any = getattr(onnx.last(trial.estimator), "offset_", ())
    if {"decision_function", "score_samples"} <= methods.keys() and np.size(offset) == 1:
        # So scikit-learn defines it for every detector of outliers; the converters have only the one.
        shifted = {"of": "decision_function", "offset": float(np.ravel(offset)[0])}
        methods["score_samples"] = msgspec.structs.replace(methods["score_samples"], **shifted)
    return methods


def _inputs(trial: Trial) -> Iterator[list[onnx.Input]]:
    """The inputs that an ONNX model may have, the fastest first: one for all columns, or one for each."""
    columns = trial.batches[0].columns
    kinds = {column.name: _kind(column, columns[column.name]) for column in trial.spec.columns}
    alike = {"str"} if "str" in kinds.values() else {"float32", "int64"}
    by_column = trial.spec.form == "frame" and hasattr(onnx.first(trial.estimator), "transformers_")
    numbers: tuple[str, ...] = ("str",) if alike == {"str"} else ("float32", "float64", "int64")
    if not by_column and set(kinds.values()) <= alike:
        if "int64" in _exact(kinds, columns).values():
            numbers = ("float64", "int64")
        for kind in numbers:
            if kind != "int64" or set(kinds.values()) == {"int64"}:
                yield [("X", kind, len(kinds))]
    if trial.spec.form == "frame":
        for chosen in (_exact(kinds, columns), kinds, _doubled(kinds)):
            yield [(name, kind, 1) for name, kind in chosen.items()]


def _kind(column: Column, values: Any) -> str:
    """The type of an ONNX input for a column. Raises ProjectError where there is none."""
    if column.categories is None:
        if values.dtype.kind in "fiub":
            return "int64" if values.dtype.kind in "iu" else "float32"
        if _is_text(values):
            return "str"
    what = "pandas' category dtype" if column.categories is not None else column.dtype
    raise ProjectError(f"column {column.name} is of {what}, which the converters do not take")


def _exact(kinds: Mapping[str, str], columns: Mapping[str, Any]) -> dict[str, str]:
    """float32 for all numbers that it holds."""

    def fits(name: str) -> bool:
        return not len(columns[name]) or abs(columns[name]).max() <= LAST_EXACT

    return {
        name: "float32" if kind == "int64" and fits(name) else kind for name, kind in kinds.items()
    }


def _doubled(kinds: Mapping[str, str]) -> dict[str, str]:
    return {name: kind if kind == "str" else "float64" for name, kind in kinds.items()}


def _to_skops(trial: Trial, reason: str, package: str) -> Export:
    """What skops writes of the estimator. Raises ProjectError where that does not answer alike."""
    spec = msgspec.structs.replace(trial.spec, classes=[])  # the estimator has them itself
    value = {KEY: trial.estimator, "spec": msgspec.json.encode(spec).decode()}
    value["imports"] = ["pandas"] if spec.form == "frame" else []
    try:
        content = formats.dump_skops(value)
        trusted = formats.untrusted_types(content)
        if own := [name for name in trusted if name.startswith("__main__.")]:
            raise ProjectError(
                f"{', '.join(own)} must stand in a module of the package to be loaded"
            )
        difference, refused = trial.judge(load(formats.load_skops(content, trusted)))
        assert not refused  # it is scikit-learn itself
        libraries = formats.distributions(
            formats.skops_modules(value, content) - {"numpy", package}
        )
        return Export(".skops", content, reason, tuple(sorted(libraries)), difference)
    except ProjectError:
        raise
    except Exception as error:
        raise ProjectError(
            f"skops cannot save {type(trial.estimator).__name__}: {sentence(error)}"
        ) from error


def _advice(trial: Trial) -> str:
    """What to change where the reason lies in how XGBoost takes a sparse matrix."""
    estimator = trial.estimator
    if not hasattr(estimator, "steps") or not type(onnx.last(estimator)).__module__.startswith(
        "xgb"
    ):
        return ""
    rows = given(trial.spec, trial.batches[0].columns)
    if not hasattr(estimator[:-1].transform(rows), "toarray"):
        return ""
    return (
        ". XGBoost takes the zeros of a sparse matrix for missing values, and ONNX does not: "
        "make it dense, for example with OneHotEncoder(sparse_output=False)"
    )


def sentence(error: Exception) -> str:
    """The first line of what a library says, without its end."""
    lines = str(error).strip().splitlines() or [repr(error)]
    return lines[0][:300].rstrip(" .:")
