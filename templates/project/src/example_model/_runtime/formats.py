"""The formats of artifacts: how each kind of value becomes bytes, and comes back."""

import importlib.metadata
import io
import os
import pickle
import re
import sys
import warnings
import zipfile
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import msgspec

from .errors import ProjectError

# What every onnxruntime that the project may be installed with reads, and every converter writes.
OPSETS = {"": 18, "ai.onnx.ml": 3}


class Format(NamedTuple):
    """How one kind of artifact becomes bytes and comes back.

    A file that can name code of its own says with `names` which: these names are recorded, `load` is
    given them beside the bytes, and the libraries must be of the very versions that were recorded.
    """

    name: str
    dump: Callable[[Any], bytes]
    load: Callable[..., Any]
    libraries: tuple[str, ...] = ()
    names: Callable[[bytes], list[str]] | None = None


def dump_onnx(model: Any) -> bytes:
    """The bytes of an ONNX model, or such bytes as they are."""
    return model if isinstance(model, bytes) else bytes(model.SerializeToString())


def load_onnx(content: bytes) -> Any:
    """An onnxruntime.InferenceSession that leaves the other cores to other requests."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else it may report home
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def dump_skops(value: Any) -> bytes:
    """What skops writes, without the time and the memory addresses: equal values give equal bytes."""
    numbers: dict[str, int] = {}

    def renumber(found: re.Match[str]) -> str:
        return f"{found[1]}{numbers.setdefault(found[2], len(numbers))}"

    source = zipfile.ZipFile(io.BytesIO(_need("skops.io").dumps(value)))
    schema = re.sub(r'("__id__": |"file": ")(\d+)', renumber, source.read("schema.json").decode())
    members = {"schema.json": schema.encode()}
    for name in source.namelist():
        if name != "schema.json":
            address, dot, suffix = name.partition(".")
            members[f"{numbers.get(address, address)}{dot}{suffix}"] = source.read(name)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as packed:
        for name, content in sorted(members.items()):
            packed.writestr(zipfile.ZipInfo(name), content)
    return target.getvalue()


def dump_pickle(value: Any) -> bytes:
    """A pickle. Its reader must trust it, so there is a warning."""
    _warn(".pkl")
    return pickle.dumps(value)


def dump_joblib(value: Any) -> bytes:
    """What joblib writes: a pickle with its arrays beside it."""
    _warn(".joblib")
    target = io.BytesIO()
    _need("joblib").dump(value, target)
    return target.getvalue()


def load_pickle(content: bytes, trusted: Container[str]) -> Any:
    """The value of a pickle, which may ask for trusted names alone."""
    return _unpickle(trusted, pickle.Unpickler, io.BytesIO(content))


def load_joblib(content: bytes, trusted: Container[str]) -> Any:
    """The same for what joblib wrote."""
    reader = _need("joblib.numpy_pickle")
    if tuple(map(int, _version("joblib").split(".")[:2])) < (1, 6):
        why = "Before 1.6 joblib reads an array of objects without asking for leave."
        raise ProjectError(f"{why} {install('joblib>=1.6')}")
    return _unpickle(trusted, reader.NumpyUnpickler, "", io.BytesIO(content), True)


def _unpickle(trusted: Container[str], base: Any, *source: Any) -> Any:
    class Gate(base):
        def find_class(self, module: str, name: str) -> Any:
            if f"{module}.{name}" not in trusted:
                raise ProjectError(f"it asks for {module}.{name}, which it did not when saved.")
            return super().find_class(module, name)

    return Gate(*source).load()


class _Notes(set[str]):
    """Trusts every name, and notes which it was asked for."""

    def __contains__(self, name: object) -> bool:
        self.add(str(name))
        return True


def _names_in(load: Callable[[bytes, Container[str]], Any], content: bytes) -> list[str]:
    """What a pickle of our own making asks for."""
    notes = _Notes()
    load(content, notes)
    return sorted(notes)


FORMATS: dict[str, Format] = {
    ".onnx": Format(
        "onnx", dump_onnx, load_onnx, ("onnx", "onnxruntime", "scikit-learn", "skl2onnx")
    ),
    ".skops": Format(
        "skops",
        dump_skops,
        lambda content, trusted: _need("skops.io").loads(content, trusted=trusted),
        ("scikit-learn", "skops"),
        lambda content: list(_need("skops.io").get_untrusted_types(data=content)),
    ),
    ".safetensors": Format(  # a dict of numpy arrays
        "safetensors",
        lambda arrays: bytes(_need("safetensors.numpy").save(arrays)),
        lambda content: _need("safetensors.numpy").load(content),
        ("safetensors",),
    ),
    ".json": Format(
        "json",
        lambda value: msgspec.json.format(msgspec.json.encode(value)),
        msgspec.json.decode,
    ),
    ".txt": Format("text", str.encode, bytes.decode),
    ".bin": Format("bytes", bytes, bytes),
    ".pkl": Format("pickle", dump_pickle, load_pickle, names=partial(_names_in, load_pickle)),
    ".joblib": Format(
        "joblib", dump_joblib, load_joblib, ("joblib",), partial(_names_in, load_joblib)
    ),
}
"""By suffix. A line here, in your own code too, adds a format."""

DATA = {".json", ".onnx", ".safetensors"}
"""Suffixes of the formats that are loaded once and shared by the processes of a service."""


def versions(kind: Format, names: Iterable[str], own: str) -> dict[str, str]:
    """The libraries that made an artifact: those of its format, and those its names come from.

    `own` is the package that saved it, whose version says nothing.
    """
    made = set(kind.libraries)
    if packages := {name.partition(".")[0] for name in names}:
        known = importlib.metadata.packages_distributions()
        # Every numpy reads the arrays of every other; the package's own version says nothing.
        made.update(*(known.get(package, ()) for package in packages - {"numpy", own}))
    return {name: version for name in sorted(made) if (version := _version(name))}


def unlike(recorded: Mapping[str, str]) -> list[str]:
    """The libraries that are not installed in the version that was recorded, in words."""
    found = ((name, version, _version(name)) for name, version in recorded.items())
    return [
        f"it was saved with {name} {version}, and {f'here is {here}' if here else 'there is none here'}"
        for name, version, here in found
        if here != version
    ]


def install(*packages: str) -> str:
    """Say how to get these packages, in a checkout and elsewhere."""
    wanted = " ".join(f'"{package}"' for package in packages)
    return f"Run: poetry add {wanted} (outside a checkout: pip install {wanted})"


class Estimator:
    """A scikit-learn estimator that answers as an onnxruntime.InferenceSession does."""

    def __init__(self, estimator: Any) -> None:
        self._pandas = _need("pandas")
        parallel = [name for name in estimator.get_params() if name.split("__")[-1] == "n_jobs"]
        # One request is too little work to share out, and several at once do that themselves.
        self._estimator = estimator.set_params(**dict.fromkeys(parallel, 1))

    def run(self, outputs: Sequence[str], inputs: Mapping[str, Any]) -> list[Any]:
        """The outputs named, of "label", "probabilities", or "variable" for a regression."""
        table = self._pandas.DataFrame({name: array[:, 0] for name, array in inputs.items()})
        return [self._answer(output, table) for output in outputs]

    def _answer(self, output: str, table: Any) -> Any:
        if output == "probabilities":
            return self._estimator.predict_proba(table)
        answer = self._estimator.predict(table)
        return answer.reshape(-1, 1) if output == "variable" else answer


def to_onnx(estimator: Any, table: Any) -> Any:
    """A fitted scikit-learn estimator, or pipeline, as ONNX with an input for each column of the table.

    Columns of numbers are float32 there, others strings. Raises what the converter raises.
    """
    import skl2onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

    _register_boosters()
    numbers = set(table.select_dtypes(["number", "bool"]))
    types = [
        (name, FloatTensorType([None, 1]) if name in numbers else StringTensorType([None, 1]))
        for name in table
    ]
    # The default is en_US.UTF-8, which containers seldom have.
    options: dict[Any, Any] = dict.fromkeys(
        (CountVectorizer, TfidfVectorizer), {"locale": "C.UTF-8"}
    )
    if hasattr(estimator, "predict_proba"):
        options[id(estimator)] = {"zipmap": False}
    model = skl2onnx.to_onnx(estimator, initial_types=types, options=options, target_opset=OPSETS)
    # Collected in a set there: without an order one training would not give the bytes of another.
    opsets = sorted(model.opset_import, key=lambda opset: str(opset.domain))
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    return model


def _register_boosters() -> None:
    """Teach skl2onnx what onnxmltools knows of the boosting libraries that are in use."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common import shape_calculator as shapes

    classes = shapes.calculate_linear_classifier_output_shapes
    values = shapes.calculate_linear_regressor_output_shapes
    options = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    for library, folder, name in (("lightgbm", "LightGbm", "LGBM"), ("xgboost", "XGBoost", "XGB")):
        if library not in sys.modules:
            continue
        found = _need(f"onnxmltools.convert.{library}.operator_converters.{folder}")
        convert = getattr(found, f"convert_{library}")
        for kind, shape, given in (("Classifier", classes, options), ("Regressor", values, None)):
            estimator = getattr(sys.modules[library], name + kind)
            alias = f"{folder}{name}{kind}"
            update_registered_converter(estimator, alias, shape, convert, options=given)


def _need(module: str) -> Any:
    """A module of a library that not every project has."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        library = module.partition(".")[0]
        raise ProjectError(f"{library} is not installed. {install(library)}") from error


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _warn(suffix: str) -> None:
    warnings.warn(
        f"A {suffix} file can run any code when it is loaded. Prefer .onnx, or .skops.",
        stacklevel=4,
    )
