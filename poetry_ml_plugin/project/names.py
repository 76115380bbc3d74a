"""Rules for the names of distributions, packages and folders."""

from __future__ import annotations

import keyword
import re
import sys
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from poetry_ml_plugin.errors import MLError

MAX_LENGTH = 64

RESERVED = "it is a reserved device name on Windows"
WELL_KNOWN = "a well-known package on PyPI already has this name"
TOO_LONG = f"it is longer than {MAX_LENGTH} characters"
ADVICE = frozenset([WELL_KNOWN, TOO_LONG])  # an existing project may live with these

# Names that another program answers to on Windows, in any folder and with any suffix.
WINDOWS_RESERVED = frozenset(
    ["aux", "con", "conin$", "conout$", "nul", "prn"]
    + [f"{port}{n}" for port in ("com", "lpt") for n in range(10)]
)

# "type" is one since Python 3.12.
KEYWORDS = frozenset([*keyword.kwlist, *keyword.softkwlist, "type"])

# The standard library of this Python, what older ones had, and what newer ones have.
STANDARD_LIBRARY = sys.stdlib_module_names | {
    *("asynchat", "asyncore", "cgi", "distutils", "imp", "smtpd", "telnetlib"),
    *("annotationlib", "compression", "tomllib"),
}

# Letters with no plain one inside them, and what their readers write where there is no other way.
FOREIGN = "ßæøœłđðþıħабвгдежзиклмнопрстуфхцчшщъыьэюяієґαβγδεζηθικλμνξοπρσςτυφχψω"
PLAIN = (
    "ss ae o oe l d d th i h "
    "a b v g d e zh z i k l m n o p r s t u f kh ts ch sh shch  y  e yu ya i ye g "
    "a b g d e z i th i k l m n x o p r s s t y f ch ps o"
)
LETTERS = str.maketrans(dict(zip(FOREIGN, PLAIN.split(" "), strict=True)))


@dataclass(frozen=True)
class Names:
    """A project's two names: `my-proj` as a distribution, `my_proj` as a package."""

    distribution: str
    package: str


def derive(folder: Path, name: str | None = None, package: str | None = None) -> Names:
    """Derive a project's names from its folder, unless `name` or `package` give others.

    Raises MLError with a name that would do where one will not.
    """
    wish = folder.name if name is None else name
    if reason := unfit_distribution(wish):
        option = "" if name is None else "--name "
        raise _refusal(wish, "a project", reason, f"{option}{suggest(wish).replace('_', '-')}")
    if reason := unfit_folder(folder.name):
        raise _refusal(folder.name, "a folder", reason, suggest(folder.name).replace("_", "-"))
    distribution = _normalized(wish)
    if package is None:
        package = distribution.replace("-", "_")
    return Names(distribution, fit_package(package))


def fit_package(name: str) -> str:
    """Check a package's name. Raises MLError with a better one if it is not valid."""
    if reason := unfit_package(name):
        raise _refusal(name, "a package", reason, f"--package {suggest(name)}")
    return name


def _refusal(name: str, what: str, reason: str, suggestion: str) -> MLError:
    shown = name.encode(errors="replace").decode()  # a name from a terminal may be no text at all
    return MLError(f'"{shown}" cannot be the name of {what}: {reason}. Try "{suggestion}".')


def _normalized(name: str) -> str:
    return re.sub(r"[-_. ]+", "-", name).lower()


def unfit_distribution(name: str) -> str | None:
    """Say why a distribution cannot have a name; None where it can."""
    if not name.strip():
        return "it is empty"
    if not name.isascii():
        return "it has characters outside ASCII"
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._ -]*[A-Za-z0-9])?", name):
        return "only letters and digits are allowed, with spaces, dots, dashes and underscores between them"
    if len(name) > MAX_LENGTH:
        return TOO_LONG
    if _is_reserved(name):
        return RESERVED
    if _normalized(name) in _well_known():
        return WELL_KNOWN
    return None


def unfit_folder(name: str) -> str | None:
    """Say why a folder cannot have a name; None where it can."""
    if _is_reserved(name):
        return RESERVED
    if re.search(r'[\x00-\x1f<>:"|?*\\]|[. ]$', name):
        return "Windows does not allow such a folder name"
    return None


def unfit_package(package: str) -> str | None:
    """Say why a package cannot have a name; None where it can."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", package):
        return "it must start with a letter and contain only lower-case letters, digits and underscores"
    if package in KEYWORDS:
        return "it is a Python keyword"
    if package in STANDARD_LIBRARY:
        return "it is a module of Python's standard library"
    if _is_reserved(package) or package.replace("_", "-") in _well_known():
        return WELL_KNOWN
    if len(package) > MAX_LENGTH:
        return TOO_LONG
    return None


def _is_reserved(name: str) -> bool:
    return name.lower().partition(".")[0].strip() in WINDOWS_RESERVED


@cache
def _well_known() -> frozenset[str]:
    text = resources.files("poetry_ml_plugin.project").joinpath("well_known.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


def suggest(name: str) -> str:
    """Suggest a similar name that is valid as a package and, with dashes, as a distribution."""
    words = re.sub(r"[^a-z0-9]+", "_", _transliterated(name)).strip("_")
    if words[:1].isdigit():
        words = f"model_{words}"
    words = words[: MAX_LENGTH - len("_model")].strip("_") or "my_model"
    unfit = unfit_package(words) or unfit_distribution(words.replace("_", "-"))
    return f"{words}_model" if unfit else words


def _transliterated(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).lower()
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return letters.translate(LETTERS).encode("ascii", "ignore").decode()
