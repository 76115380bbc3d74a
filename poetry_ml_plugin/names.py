"""What may be the name of a distribution, of a package and of a folder."""

from __future__ import annotations

import keyword
import re
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from poetry_ml_plugin.errors import MLError

MAX_LENGTH = 64

# Names that another program answers to on Windows, in any folder.
WINDOWS_RESERVED = frozenset(
    ["aux", "con", "nul", "prn"] + [f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)]
)

# A project of one of these names would hide the library from its own code.
WELL_KNOWN = frozenset(
    [
        "click",
        "dask",
        "falcon",
        "flask",
        "jax",
        "keras",
        "lightgbm",
        "matplotlib",
        "mlflow",
        "msgspec",
        "numpy",
        "onnx",
        "onnxruntime",
        "pandas",
        "pip",
        "poetry",
        "polars",
        "pyarrow",
        "pytest",
        "requests",
        "ruff",
        "scikit_learn",
        "scipy",
        "setuptools",
        "skl2onnx",
        "sklearn",
        "tensorflow",
        "test",
        "tests",
        "torch",
        "transformers",
        "waitress",
        "wheel",
        "xgboost",
        "yaml",
    ]
)


@dataclass(frozen=True)
class Names:
    """A project's two names: `my-proj` as a distribution, `my_proj` as a package."""

    distribution: str
    package: str


def derive(folder: Path, name: str | None = None, package: str | None = None) -> Names:
    """The names of a project in `folder`, unless `name` or `package` give others.

    Raises MLError with a name that would do where one will not.
    """
    distribution = _distribution(folder.name if name is None else name)
    if package is None:
        package = distribution.replace("-", "_")
        if reason := _unfit(package):
            raise MLError(
                f'"{package}" cannot be the package\'s name: {reason}. '
                f"Choose another with --package {_suggest(package)}"
            )
    elif reason := _unfit(package):
        raise MLError(
            f'"{package}" cannot be the package\'s name: {reason}. Try --package {_suggest(package)}'
        )
    return Names(distribution, package)


def _distribution(name: str) -> str:
    reason = None
    if not name.strip():
        reason = "it is empty"
    elif not name.isascii():
        reason = "it has letters outside ASCII"
    elif not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._ -]*[A-Za-z0-9])?", name):
        reason = "it may have letters, digits, spaces, dots, dashes and underscores only"
    elif len(name) > MAX_LENGTH:
        reason = f"it is longer than {MAX_LENGTH} characters"
    elif name.lower() in WINDOWS_RESERVED:
        reason = "Windows keeps this name for itself"
    if reason:
        suggestion = _suggest(name).replace("_", "-")
        raise MLError(f'"{name}" cannot be a project\'s name: {reason}. Try "{suggestion}".')
    return re.sub(r"[-_. ]+", "-", name).lower()


def _unfit(package: str) -> str | None:
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", package):
        return "a package starts with a letter and has lower-case letters, digits and underscores"
    if keyword.iskeyword(package) or keyword.issoftkeyword(package):
        return "it is a word of Python itself"
    if package in sys.stdlib_module_names:
        return "it is a module of Python's standard library"
    if package in WELL_KNOWN or package in WINDOWS_RESERVED:
        return "it would hide what everybody knows by that name"
    if len(package) > MAX_LENGTH:
        return f"it is longer than {MAX_LENGTH} characters"
    return None


def _suggest(name: str) -> str:
    """A package name that will do, as near to `name` as can be."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "_", ascii_name).strip("_")[: MAX_LENGTH - len("_model")]
    if not words:
        return "my_model"
    if words[0].isdigit():
        words = f"model_{words}"
    return f"{words}_model" if _unfit(words) else words
