"""The formats of artifacts: how each kind of value becomes bytes, and comes back."""

import importlib.metadata
import io
import json
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import PurePath
from typing import Any, NamedTuple

import msgspec

from .errors import ProjectError
from .roundtrip import difference, plain


class Format(NamedTuple):
    """How one kind of artifact becomes bytes and comes back.

    `libraries` write it, `needs` read it: distributions. A format that can refer to code says with
    `modules` which packages a value comes from: their versions are recorded, and nothing is loaded by
    others. Where `trusts` names what the bytes refer to, `load` is given these names beside the bytes.
    `differs` says how what was loaded back differs from what was saved.
    """

    name: str
    dump: Callable[[Any], bytes]
    load: Callable[..., Any]
    libraries: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    modules: Callable[[Any, bytes], set[str]] | None = None
    trusts: Callable[[bytes], list[str]] | None = None
    differs: Callable[[Any, Any], str | None] = difference


class Packed(NamedTuple):
    """A value as bytes that were loaded back and compared, and what is recorded of them."""

    format: str
    content: bytes
    libraries: dict[str, str]  # that made it, and their versions
    needs: list[str]  # the distributions among them that loading takes
    trusted: list[str]  # the names of code that it may refer to


def pack(name: str, value: Any, package: str = "") -> Packed:
    """The bytes of an artifact, in the format of its suffix. `package` is the project's own.

    Raises ProjectError where they could not be read back, or would not give the same value.
    """
    kind = format_of(name)
    try:
        content = kind.dump(value)
        trusted = kind.trusts(content) if kind.trusts else []
        back = unpack(name, content, trusted)
        fault = kind.differs(value, back)
    except ProjectError as error:
        raise ProjectError(f"{name}: {str(error).removeprefix(f'{name}: ')}") from error
    except Exception as error:
        raise ProjectError(
            f"{name}: {kind.name} cannot save {_of(value)}: {_line(error)}"
        ) from error
    if fault:
        raise ProjectError(f"{name}: {fault}. The format {kind.name} does not keep it.")
    made = {*kind.libraries, *kind.needs}
    needs = set(kind.needs)
    if kind.modules:
        # Every numpy reads the arrays of every other; the project's own version says nothing.
        needs |= distributions(kind.modules(back, content) - {"numpy", package})
    versions = {one: version for one in sorted(made | needs) if (version := _version(one))}
    return Packed(kind.name, content, versions, sorted(needs), trusted)


def unpack(name: str, content: bytes, trusted: Iterable[str] = ()) -> Any:
    """The value of an artifact. Raises ProjectError where it cannot be read."""
    kind = format_of(name)
    try:
        return kind.load(content, list(trusted)) if kind.trusts else kind.load(content)
    except ProjectError as error:
        raise ProjectError(f"{name}: {error}") from error


def format_of(name: str) -> Format:
    """The format of a name's suffix. Raises ProjectError where there is none."""
    try:
        return FORMATS[PurePath(name).suffix]
    except KeyError:
        raise ProjectError(
            f"{name}: no format for this suffix. Known are {', '.join(FORMATS)}; "
            f"add yours to {__name__}.FORMATS."
        ) from None


def dump_onnx(model: Any) -> bytes:
    """The bytes of an ONNX model, or such bytes as they are."""
    if isinstance(model, bytes):
        return model
    try:
        return bytes(model.SerializeToString())
    except ValueError as error:  # protobuf's limit is 2 GB
        raise ProjectError(f"the model cannot be one file: {_line(error)}") from error


def load_onnx(content: bytes) -> Any:
    """An onnxruntime.InferenceSession that leaves the other cores to other requests.

    Raises ProjectError for what is no model, and for one whose weights are in other files: those have
    no hash, and onnxruntime would look for them in the current folder.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else it may report home
    onnxruntime = need("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = (
        3  # errors: converters do not always know the shapes of their outputs
    )
    nowhere = os.path.join(os.devnull, "none")
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", nowhere
    )
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's have no base of their own
        if nowhere in str(error) or "xternal" in str(error):
            raise ProjectError(
                "its weights are in other files. Save the model that onnx.load reads them into, "
                "with onnx.load(path)."
            ) from error
        raise ProjectError(f"onnxruntime cannot read it: {_line(error)}") from error


def dump_skops(value: Any) -> bytes:
    """What skops writes, or such bytes as they are.

    skops writes the time and addresses of memory. They are replaced, so that equal values give equal
    bytes: two trainings on the same data have the same hash.
    """
    if isinstance(value, bytes):
        return value
    numbers: dict[str, str] = {}

    def number(address: str) -> str:
        return numbers.setdefault(address, str(len(numbers)))

    def renumber(node: dict[str, Any]) -> dict[str, Any]:
        if isinstance(node.get("__id__"), int):
            node["__id__"] = int(number(str(node["__id__"])))
        if isinstance(node.get("file"), str):
            address, dot, suffix = node["file"].partition(".")
            node["file"] = f"{number(address)}{dot}{suffix}"
        return node

    source = zipfile.ZipFile(io.BytesIO(need("skops.io").dumps(value)))
    schema = json.loads(source.read("schema.json"), object_hook=renumber)
    members = {"schema.json": json.dumps(schema, indent=2).encode()}
    for name in source.namelist():
        if name != "schema.json":
            address, dot, suffix = name.partition(".")
            members[f"{numbers.get(address, address)}{dot}{suffix}"] = source.read(name)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as packed:
        for name, content in sorted(members.items()):
            packed.writestr(zipfile.ZipInfo(name), content)
    return target.getvalue()


def load_skops(content: bytes, trusted: list[str]) -> Any:
    """The value that skops wrote. It may refer to the trusted names, and to what skops itself trusts."""
    return need("skops.io").loads(content, trusted=trusted)


def untrusted_types(content: bytes) -> list[str]:
    """The names in what skops wrote that skops does not trust by itself."""
    return list(need("skops.io").get_untrusted_types(data=content))


def skops_modules(value: Any, content: bytes) -> set[str]:
    """The packages that loading what skops wrote takes. A dict may name more of them as its "imports"."""
    found = {"skops", "sklearn"}
    if isinstance(value, dict):
        found.update(value.get("imports", ()))

    def note(node: dict[str, Any]) -> dict[str, Any]:
        if isinstance(module := node.get("__module__"), str):
            found.add(module.partition(".")[0])
        return node

    json.loads(zipfile.ZipFile(io.BytesIO(content)).read("schema.json"), object_hook=note)
    return found | {name.partition(".")[0] for name in untrusted_types(content)}


def dump_safetensors(arrays: Any) -> bytes:
    """A dict of numpy arrays. Raises ProjectError for anything else."""
    import numpy as np

    if not isinstance(arrays, dict):
        raise ProjectError(f"{_of(arrays)} is not a dict of numpy arrays")
    for name, array in arrays.items():
        if not isinstance(name, str):
            raise ProjectError(f"key {name!r} is not text")
        if type(array) is not np.ndarray:
            raise ProjectError(f"{name} is {_of(array)}. Save numpy.asarray of it.")
    # Its writer takes the memory as it lies, whatever the strides: a.T would come back permuted.
    laid_out = {
        name: np.require(array, array.dtype.newbyteorder("="), "C")
        for name, array in arrays.items()
    }
    return bytes(need("safetensors.numpy").save(laid_out))


def load_safetensors(content: bytes) -> Any:
    """The dict of numpy arrays."""
    return need("safetensors.numpy").load(content)


def dump_json(value: Any) -> bytes:
    """JSON text. Raises ProjectError for what JSON would not bring back."""
    return msgspec.json.format(msgspec.json.encode(plain(value)))


def dump_pickle(value: Any) -> bytes:
    """A pickle. Its reader must trust it, so there is a warning."""
    _warn(".pkl")
    return pickle.dumps(value)


def dump_joblib(value: Any) -> bytes:
    """What joblib writes: a pickle with its arrays beside it."""
    _warn(".joblib")
    target = io.BytesIO()
    need("joblib").dump(value, target)
    return target.getvalue()


def load_joblib(content: bytes) -> Any:
    """The value of what joblib wrote."""
    return need("joblib").load(io.BytesIO(content))


def _pickled_modules(value: Any, content: bytes) -> set[str]:
    """The packages that the types, classes and functions of a value come from."""
    found = set()

    class Notes(pickle.Pickler):
        def persistent_id(self, one: Any) -> None:
            owner = one if hasattr(one, "__qualname__") else type(one)
            for base in getattr(owner, "__mro__", (owner,)):
                found.add(str(getattr(base, "__module__", "")).partition(".")[0])

    Notes(io.BytesIO()).dump(value)
    return found - {""}


def _onnx_differs(value: Any, session: Any) -> None:
    """Nothing: the bytes are the model's own, and onnxruntime reads them."""


def _skops_differs(value: Any, back: Any) -> str | None:
    return None if isinstance(value, bytes) else difference(value, back)


FORMATS: dict[str, Format] = {
    ".onnx": Format(
        "onnx",
        dump_onnx,
        load_onnx,
        ("onnx", "scikit-learn", "skl2onnx"),
        ("onnxruntime",),
        differs=_onnx_differs,
    ),
    ".skops": Format(
        "skops",
        dump_skops,
        load_skops,
        needs=("skops",),
        modules=skops_modules,
        trusts=untrusted_types,
        differs=_skops_differs,
    ),
    ".safetensors": Format(
        "safetensors", dump_safetensors, load_safetensors, needs=("safetensors",)
    ),
    ".json": Format("json", dump_json, msgspec.json.decode),
    ".txt": Format("text", str.encode, bytes.decode),
    ".bin": Format("bytes", bytes, bytes),
    ".pkl": Format("pickle", dump_pickle, pickle.loads, modules=_pickled_modules),
    ".joblib": Format(
        "joblib", dump_joblib, load_joblib, needs=("joblib",), modules=_pickled_modules
    ),
}
"""By suffix. A line here, in your own code too, adds a format."""

DATA = {".json", ".onnx", ".safetensors"}
"""Suffixes of the formats that are loaded once and shared by the processes of a service."""


def distributions(packages: Iterable[str]) -> set[str]:
    """The distributions that these packages come from, as far as they are installed ones."""
    known = importlib.metadata.packages_distributions()
    return {name for package in packages for name in known.get(package, ())}


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


def need(module: str, how: str = "") -> Any:
    """A module of a library that not every project has. Raises ProjectError that says how to get it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        library = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != library:
            raise
        raise ProjectError(f"{library} is not installed. {how or install(library)}") from error


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _of(value: Any) -> str:
    return f"a value of type {type(value).__name__}"


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [repr(error)]
    return lines[0][:300]


def _warn(suffix: str) -> None:
    warnings.warn(
        f"A {suffix} file can run any code when it is loaded. Prefer .onnx, or .skops.",
        stacklevel=5,
    )
