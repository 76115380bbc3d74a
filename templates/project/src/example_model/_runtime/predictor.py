"""Saved estimators, asked in scikit-learn's words whichever format is behind."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Literal, Protocol

import msgspec
import numpy as np

from .errors import InvalidRow, ProjectError
from .formats import need

METHODS = ("predict", "predict_proba", "decision_function", "transform", "score_samples")
"""What an estimator may be asked, as far as it offers it."""

PAIR = ("predict", "predict_proba")  # which a classifier computes together

KEY = "estimator"  # of the Spec among an ONNX file's metadata
NUMPY = {  # what onnxruntime calls the types that the converters take
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
}


class Column(msgspec.Struct):
    """A column that an estimator was fitted on."""

    name: str
    dtype: str  # as numpy or pandas writes it
    categories: list[Any] | None = None  # of pandas' category dtype, in the order of its codes
    ordered: bool = False
    refuses: list[str] = []  # "missing", "infinite": the estimator raises an error for those


class Classes(msgspec.Struct):
    """The classes of one target."""

    values: list[Any]
    dtype: str


class Answer(msgspec.Struct):
    """What the answer of one method looks like."""

    dtype: str = "float64"
    shape: list[int] = []  # of one row: none for a number or a label
    widths: list[int] | None = None  # of each array, where the answer is a list of them
    shares: bool = False  # whether the numbers of each row sum to 1
    of: str | None = None  # the method that it is computed from
    offset: float = 0.0  # what is added to that method's answer


class Spec(msgspec.Struct):
    """What must be known of an estimator beside the numbers that it learned."""

    form: Literal["frame", "matrix", "text"]  # what it was fitted on
    columns: list[Column]
    methods: dict[str, Answer]
    classes: list[Classes] = []
    several_targets: bool = False  # whether classes_ is a list
    missing: str | None = None  # the text that stands for a missing one in ONNX


class Backend(Protocol):
    """What answers: onnxruntime, or the estimator itself."""

    def ask(self, method: str, columns: Mapping[str, Any]) -> Any: ...


class Estimator:
    """A fitted estimator that was saved: it has those of scikit-learn's methods that it was saved with.

    A method takes columns by name (arrays of n values, or of (n, k)) or a pandas DataFrame, in any
    order; a 2-D or a 1-D array where the estimator was fitted on one. `classes_` is scikit-learn's.
    Raises InvalidRow for a value that the estimator itself refuses.
    """

    def __init__(self, spec: Spec, backend: Backend, classes: Any = None) -> None:
        self._spec, self._backend = spec, backend
        self.methods = tuple(spec.methods)
        if classes is not None:
            self.classes_ = classes

    def __getattr__(self, name: str) -> Callable[[Any], Any]:
        if name.startswith("_") or name not in self.methods:
            raise AttributeError(f"This estimator offers {', '.join(self.methods)}, not {name}.")
        return partial(self._ask, name)

    def refuses(self, fault: str, names: Iterable[str]) -> bool:
        """Whether InvalidRow is raised for a fault ("missing", "infinite") in all of these columns."""
        columns = {column.name: column for column in self._spec.columns}
        return all(fault in columns[name].refuses for name in names)

    def _ask(self, method: str, features: Any) -> Any:
        columns = arrange(self._spec, features)
        answer = self._spec.methods[method]
        rows = len(next(iter(columns.values())))
        if not rows:
            return _nothing(answer)
        _refuse(self._spec, columns)
        return self._backend.ask(method, columns)


def load(value: Any) -> Estimator:
    """What answers for a saved estimator: `value` is what its file was loaded to."""
    if isinstance(value, Mapping) and KEY in value:
        spec, fitted = _spec(value["spec"]), value[KEY]
        return Estimator(spec, Fitted(spec, fitted), getattr(fitted, "classes_", None))
    metadata = getattr(value, "get_modelmeta", None)
    known = metadata().custom_metadata_map if metadata else {}
    if KEY not in known:
        raise ProjectError(
            "it was not saved as an estimator. Save it with save_estimator, or load it by its whole name."
        )
    spec = _spec(known[KEY])
    classes = [np.array(one.values, one.dtype) for one in spec.classes]
    own = classes if spec.several_targets else next(iter(classes), None)
    return Estimator(spec, Onnx(spec, value, classes), own)


class Fitted:
    """An estimator itself, as skops brought it back."""

    def __init__(self, spec: Spec, estimator: Any) -> None:
        self._spec = spec
        # One request is too little work to share out, and several at once do that themselves.
        parameters = estimator.get_params() if hasattr(estimator, "get_params") else {}
        parallel = [name for name in parameters if name.split("__")[-1] == "n_jobs"]
        self._estimator = (
            estimator.set_params(**dict.fromkeys(parallel, 1)) if parallel else estimator
        )

    def ask(self, method: str, columns: Mapping[str, Any]) -> Any:
        return getattr(self._estimator, method)(given(self._spec, columns))


class Onnx:
    """An ONNX model whose outputs have the names of the methods."""

    def __init__(self, spec: Spec, session: Any, classes: list[Any]) -> None:
        self._spec, self._session, self._classes = spec, session, classes
        self._inputs = [(one.name, one.type) for one in session.get_inputs()]
        self._options = need("onnxruntime").RunOptions()
        self._options.log_severity_level = 4  # what goes wrong is raised as an error
        self._places = [_places(one.values) for one in spec.classes]
        self._last: tuple[dict[str, Any], dict[str, Any]] = {}, {}

    def ask(self, method: str, columns: Mapping[str, Any]) -> Any:
        answer = self._spec.methods[method]
        if answer.of:
            return self.ask(answer.of, columns) + answer.offset
        found = self._run(method, self._tensors(columns))
        if method == "predict" and self._classes:
            return self._labels(found, answer)
        if answer.widths is None:
            return _numbers(found, answer)
        arrays = zip(found, answer.widths, strict=True)
        return [
            _numbers(one[:, :width], msgspec.structs.replace(answer, shape=[width]))
            for one, width in arrays
        ]

    def _run(self, method: str, tensors: dict[str, Any]) -> Any:
        """What the session says: labels and probabilities cost one run, whichever is asked for first."""
        asked, known = self._last  # read once: another thread may replace it
        if method in known and _equal(asked, tensors):
            return known[method]
        outputs = PAIR if method in PAIR and self._spec.methods.keys() >= set(PAIR) else (method,)
        try:
            found = self._session.run(list(outputs), tensors, self._options)
        except Exception as error:  # onnxruntime's have no base of their own
            raise ValueError(f"The model cannot predict these rows: {error}") from error
        answers = dict(zip(outputs, found, strict=True))
        if outputs == PAIR:  # copies: an array may be the caller's own, who may change it
            self._last = {name: tensor.copy() for name, tensor in tensors.items()}, answers
        return answers[method]

    def _tensors(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """One tensor for all columns, or one for each."""
        if len(self._inputs) == 1:
            ((name, kind),) = self._inputs
            tensors = [
                self._tensor(column, columns[column.name], kind) for column in self._spec.columns
            ]
            return {name: np.hstack(tensors)}
        pairs = zip(self._inputs, self._spec.columns, strict=True)
        return {
            name: self._tensor(column, columns[column.name], kind) for (name, kind), column in pairs
        }

    def _tensor(self, column: Column, values: Any, kind: str) -> Any:
        """An array of shape (n, 1) of the type that the model takes."""
        if kind == "tensor(string)":
            return self._texts(column, values).reshape(-1, 1)
        array = np.asarray(values, None if values.dtype.kind in "fiub" else np.float64)
        tensor = array.astype(NUMPY[kind], copy=False)
        if tensor.dtype != array.dtype and array.dtype.kind != "b":
            self._check(column, array, tensor)
        return tensor.reshape(-1, 1)

    def _check(self, column: Column, array: Any, tensor: Any) -> None:
        """Raise InvalidRow for a number that is another one in the type that the model takes."""
        if tensor.dtype.kind == "f":
            if np.isfinite(tensor).all():
                return
            lost = np.isinf(tensor) & np.isfinite(array)
        else:
            lost = tensor != array
        if lost.any():
            row = int(lost.argmax())
            text = f"{column.name}: {array[row]} is out of the model's range"
            raise InvalidRow(text, row, column.name)

    def _texts(self, column: Column, values: Any) -> Any:
        if set(map(type, values.tolist())) == {str}:
            return np.asarray(values, object)
        texts = np.empty(len(values), object)
        for row, value in enumerate(values):
            if not isinstance(value, str):
                if not is_missing(value):
                    raise InvalidRow(f"{column.name}: {value!r} is not text", row, column.name)
                value = self._spec.missing
            texts[row] = str(value)
        return texts

    def _labels(self, found: Any, answer: Answer) -> Any:
        """The classes that the model's labels stand for, with their own type."""
        if not self._spec.several_targets:
            return (
                self._classes[0].take(_indices(found, self._places[0])).reshape(-1, *answer.shape)
            )
        columns = [np.asarray(one).reshape(-1) for one in np.asarray(found).T]
        targets = zip(columns, self._classes, self._places, strict=True)
        labels = [classes.take(_indices(one, places)) for one, classes, places in targets]
        return np.stack(labels, axis=1).astype(answer.dtype)


def arrange(spec: Spec, features: Any) -> dict[str, Any]:
    """The columns that an estimator was fitted on, in that order. Raises ProjectError where one is missing."""
    names = [column.name for column in spec.columns]
    if isinstance(features, np.ndarray | list | tuple) or _is_series(features):
        array = np.asarray(features, object if spec.form == "text" else None)
        if spec.form == "frame":
            raise ProjectError(f"The estimator takes columns by name: {', '.join(names)}.")
        array = array.reshape(-1, 1) if array.ndim == 1 else array
        if array.shape[1:] != (len(names),):
            raise ProjectError(f"The estimator takes {len(names)} columns, not {array.shape[1:]}.")
        return dict(zip(names, array.T, strict=True))
    columns = flatten(features)
    if lacking := [name for name in names if name not in columns]:
        raise ProjectError(
            f"The estimator was fitted on columns that are not there: {', '.join(lacking)}. "
            f"There are: {', '.join(columns)}."
        )
    return {name: columns[name] for name in names}


def flatten(features: Any) -> dict[str, Any]:
    """Columns of one value a row by name: an array "size" of shape (n, 2) becomes "size_0" and "size_1"."""
    columns: dict[str, Any] = {}
    for name in features:
        values = features[name]
        values = values if hasattr(values, "dtype") else np.asarray(values)
        wide = getattr(values, "ndim", 1) == 2
        parts = (
            {f"{name}_{i}": part for i, part in enumerate(values.T)}
            if wide
            else {str(name): values}
        )
        if doubled := parts.keys() & columns:
            raise ProjectError(f"There are two columns {', '.join(sorted(doubled))}.")
        columns.update(parts)
    if len({len(values) for values in columns.values()}) > 1:
        lengths = ", ".join(f"{name} {len(values)}" for name, values in columns.items())
        raise ProjectError(f"The columns differ in length: {lengths}.")
    if not columns:
        raise ProjectError("There are no columns to predict from.")
    return columns


def given(spec: Spec, columns: Mapping[str, Any]) -> Any:
    """What the estimator was fitted on: a DataFrame of the same dtypes, a 2-D array, or an array of texts."""
    if spec.form == "frame":
        return frame(columns, spec.columns)
    arrays = [np.asarray(columns[column.name]) for column in spec.columns]
    return arrays[0] if spec.form == "text" else np.column_stack(arrays)


def frame(columns: Mapping[str, Any], like: list[Column] | None = None) -> Any:
    """A DataFrame of columns, for an estimator that takes one. `like` has the dtypes that it was fitted on."""
    pandas = need("pandas")
    flat = flatten(columns)
    if like is None:
        return pandas.DataFrame(flat)
    return pandas.DataFrame({one.name: _series(pandas, one, flat[one.name]) for one in like})


def _series(pandas: Any, column: Column, values: Any) -> Any:
    """Values with the dtype of training, whatever rows happen to be asked about."""
    if column.categories is not None:
        categories = pandas.Index(column.categories, dtype=column.dtype)
        kind = pandas.CategoricalDtype(categories, column.ordered)
        return pandas.Series(pandas.Categorical(values, dtype=kind))
    series = values if hasattr(values, "array") else pandas.Series(values, dtype=_as_is(values))
    series = series.reset_index(drop=True)
    if str(series.dtype) == column.dtype:
        return series
    try:
        converted = series.astype(column.dtype)
    except (TypeError, ValueError) as error:
        raise ProjectError(
            f"{column.name}: the estimator was fitted on {column.dtype}, which {series.dtype} does not become: {error}"
        ) from error
    if converted.dtype.kind in "iuM" and (converted.notna() & (converted != series)).any():
        raise ProjectError(f"{column.name}: the estimator was fitted on {column.dtype}.")
    return converted


def _as_is(values: Any) -> Any:
    return object if values.dtype.kind == "O" else None


def _refuse(spec: Spec, columns: Mapping[str, Any]) -> None:
    """Raise InvalidRow for what the estimator refused when it was saved, whichever format is behind."""
    for column in spec.columns:
        values = columns[column.name]
        if not column.refuses or (values.dtype.kind == "f" and np.isfinite(values).all()):
            continue
        for fault in column.refuses:
            wrong = FAULTS[fault](values)
            if wrong.any():
                row = int(wrong.argmax())
                raise InvalidRow(f"{column.name} must not be {fault}", row, column.name)


def missing(values: Any) -> Any:
    """For each value of a column whether it is missing: None, NaN, NaT."""
    if hasattr(values, "isna"):
        return values.isna().to_numpy()
    if values.dtype.kind == "O":
        return np.fromiter(map(is_missing, values), bool, len(values))
    if values.dtype.kind in "mM":
        return np.isnat(values)
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)


def infinite(values: Any) -> Any:
    """For each value of a column whether it is an infinite number."""
    numbers = values.dtype.kind == "f"
    return np.isinf(np.asarray(values)) if numbers else np.zeros(len(values), bool)


FAULTS: dict[str, Callable[[Any], Any]] = {"missing": missing, "infinite": infinite}


def is_missing(value: Any) -> bool:
    if isinstance(value, float):
        return value != value
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _numbers(found: Any, answer: Answer) -> Any:
    numbers = np.asarray(found)
    if not answer.shape and numbers.ndim == 2 and numbers.shape[1] == 2:
        numbers = numbers[:, 1]  # the score of the second class of two
    numbers = numbers.reshape(-1, *answer.shape).astype(answer.dtype)
    # In float32 the shares of a row sum to 1 but for the rounding.
    return numbers / numbers.sum(axis=-1, keepdims=True) if answer.shares else numbers


def _nothing(answer: Answer) -> Any:
    if answer.widths is not None:
        return [np.empty((0, width), answer.dtype) for width in answer.widths]
    return np.empty((0, *answer.shape), answer.dtype)


def _places(classes: list[Any]) -> dict[Any, int]:
    """Where each class stands, by what the converters make of it: an integer, or text."""
    places: dict[Any, int] = {str(one): place for place, one in enumerate(classes)}
    if not any(isinstance(one, str) for one in classes):
        places |= {int(one): place for place, one in enumerate(classes)}
    return places


def _equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether tensors are the same in every bit, NaN included."""
    return all(_bits_equal(one[name], tensor) for name, tensor in other.items())


def _bits_equal(one: Any, other: Any) -> bool:
    if one.dtype.kind == "f" and one.dtype == other.dtype:
        one, other = one.view(f"i{one.itemsize}"), other.view(f"i{other.itemsize}")
    return bool(np.array_equal(one, other))


def _indices(labels: Any, places: dict[Any, int]) -> list[int]:
    return [places[label] for label in np.asarray(labels).reshape(-1).tolist()]


def _is_series(features: Any) -> bool:
    return hasattr(features, "array") and getattr(features, "ndim", 0) == 1


def _spec(text: str) -> Spec:
    return msgspec.json.decode(text, type=Spec)
