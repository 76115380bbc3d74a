"""Render a template under another name, and put it in its place whole."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath

from poetry_ml_plugin import project
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.names import Names

# The template's own words, which become the project's.
TEMPLATE = Names("example-model", "example_model")

# What use of the template in a checkout leaves behind, and never becomes part of a project.
LEFTOVERS = frozenset(
    [".mypy_cache", ".pytest_cache", ".ruff_cache", ".venv", "__pycache__", "dist", "poetry.lock"]
)


@dataclass(frozen=True)
class File:
    """One file of a project to be."""

    content: bytes
    executable: bool = False


def template_dir(name: str = "project") -> Path:
    """A template that ships with the plugin: inside the installed package, beside it in a checkout."""
    inside = Path(str(resources.files("poetry_ml_plugin"))) / "templates" / name
    if inside.is_dir():
        return inside
    return Path(__file__).resolve().parents[1] / "templates" / name


def plan(names: Names, python: str, description: str | None = None) -> dict[PurePosixPath, File]:
    """Every file of a new project by its path: the template with its word replaced.

    `python` is the interpreter's minor version, like "3.12".
    """
    source = template_dir()
    own = project.load(source / "pyproject.toml").unwrap()
    replacements = {
        TEMPLATE.distribution: names.distribution,
        TEMPLATE.package: names.package,
        TEMPLATE.package.upper(): names.package.upper(),
    }
    files = {}
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if not path.is_file() or LEFTOVERS.intersection(relative.parts) or _is_artifact(relative):
            continue
        name = PurePosixPath(relative.as_posix().replace(TEMPLATE.package, names.package))
        executable = bool(path.stat().st_mode & stat.S_IXUSR)
        files[name] = File(_replace(path.read_bytes(), replacements), executable)
    _adapt(files, python, own["project"]["description"], " ".join((description or "").split()))
    return files


def write(files: Mapping[PurePosixPath, File], target: Path) -> None:
    """Make `target` with these files in it: all of them or, on any failure, none.

    Raises MLError where `target` is a file or a folder with something in it, or cannot be written.
    """
    check_target(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.poetry-ml-"))
    except OSError as error:
        raise MLError(
            f"{target} cannot be made: {error.strerror}. Choose another place."
        ) from error
    try:
        for name, file in files.items():
            path = stage / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
            if file.executable:
                path.chmod(0o755)
        stage.chmod(0o777 & ~_umask())  # mkdtemp's own is for its owner alone
        if target.is_dir():
            target.rmdir()  # empty, or it is not ours to replace
        stage.rename(target)
    except OSError as error:
        raise MLError(f"{target} cannot be written: {error.strerror}.") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(stage)


def check_target(target: Path) -> None:
    """Raises MLError where a project cannot be put at `target`."""
    if target.is_dir():
        if any(target.iterdir()):
            raise MLError(f"{target} is not empty. Choose another folder, or empty this one first.")
    elif os.path.lexists(target):
        raise MLError(f"{target} is a file. Choose another folder.")


def _is_artifact(path: Path) -> bool:
    """Whether the template was trained where it stands: a project trains its own."""
    return "artifacts" in path.parent.parts and not path.name.startswith(".")


def _replace(content: bytes, replacements: Mapping[str, str]) -> bytes:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text.encode()


def _adapt(files: dict[PurePosixPath, File], python: str, stood: str, description: str) -> None:
    """Say in pyproject.toml, the README and .python-version what holds for this project."""
    path = PurePosixPath("pyproject.toml")
    changes = {
        ("project", "requires-python"): f">={python}",
        ("project", "description"): description or stood,
        ("tool", project.TOOL, "template-version"): importlib.metadata.version("poetry-ml-plugin"),
    }
    files[path] = File(project.edit(files[path].content.decode(), changes).encode())
    files[PurePosixPath(".python-version")] = File(f"{python}\n".encode())
    readme = PurePosixPath("README.md")
    text = files[readme].content.decode().replace(stood, description or stood)
    files[readme] = File(text.replace("Python 3.10 or newer", f"Python {python} or newer").encode())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
