"""Render a template under another name, and put it in its place whole."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath

import tomlkit

from poetry_ml_plugin import project
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.names import Names

DISTRIBUTION = "poetry-ml-plugin"

# The template's own words, which become the project's.
TEMPLATE = Names("example-model", "example_model")

# What use of the template in a checkout leaves behind, and never becomes part of a project.
LEFTOVERS = frozenset(
    [
        *(".git", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".venv"),
        *("__pycache__", "dist", "poetry.lock"),
    ]
)


@dataclass(frozen=True)
class File:
    """One file of a project to be."""

    content: bytes
    executable: bool = False


@dataclass(frozen=True)
class Template:
    """A running project: its files, the words in them that become a new project's, its origin."""

    files: Mapping[PurePosixPath, File]
    names: Names
    source: str = ""  # as --template names it; empty for the plugin's own default
    version: str = ""  # empty for one of the plugin's, which are as old as the plugin is


def template_dir(name: str = "project") -> Path:
    """A template that ships with the plugin: inside the installed package, beside it in a checkout."""
    inside = Path(str(resources.files("poetry_ml_plugin"))) / "templates" / name
    if inside.is_dir():
        return inside
    return Path(__file__).resolve().parents[1] / "templates" / name


def plan(
    names: Names, python: str, description: str | None = None, template: Template | None = None
) -> dict[PurePosixPath, File]:
    """Every file of a new project by its path: the template with its word replaced.

    `python` is the interpreter's minor version, like "3.12".
    """
    template = template or Template(read(template_dir()), TEMPLATE)
    files = rename(template, names)
    _adapt(files, python, " ".join((description or "").split()), template)
    return files


def rename(template: Template, names: Names) -> dict[PurePosixPath, File]:
    """A template's files with its words replaced, in their paths and in their text."""
    words = template.names
    replacements = {
        words.distribution: names.distribution,
        words.package: names.package,
        words.package.upper(): names.package.upper(),
    }
    return {
        PurePosixPath(str(path).replace(words.package, names.package)): File(
            _replace(file.content, replacements), file.executable
        )
        for path, file in template.files.items()
    }


def read(source: Path) -> dict[PurePosixPath, File]:
    """The files of a template, by their paths in it."""
    return {
        path: File((source / path).read_bytes(), os.access(source / path, os.X_OK))
        for path in paths(source)
        if (source / path).is_file()
    }


def paths(source: Path) -> list[PurePosixPath]:
    """What is in a template, without what use of it where it stands leaves behind."""
    found = (PurePosixPath(path.relative_to(source).as_posix()) for path in source.rglob("*"))
    return sorted(path for path in found if belongs(path))


def belongs(path: PurePosixPath) -> bool:
    """Whether a path in a template is a part of it, and was not left behind by its use."""
    # A template may have been trained where it stands: a project trains its own.
    is_artifact = "artifacts" in path.parent.parts and not path.name.startswith(".")
    return not is_artifact and not LEFTOVERS.intersection(path.parts)


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


def _replace(content: bytes, replacements: Mapping[str, str]) -> bytes:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text.encode()


def _adapt(
    files: dict[PurePosixPath, File], python: str, description: str, template: Template
) -> None:
    """Say in pyproject.toml, the README and .python-version what holds for this project."""
    path = PurePosixPath("pyproject.toml")
    own = tomlkit.parse(files[path].content)
    stood = str(own.get("project", {}).get("description", ""))
    plugin = importlib.metadata.version(DISTRIBUTION)
    changes = {
        ("project", "requires-python"): f">={python}",
        ("project", "description"): description or stood,
        ("tool", project.TOOL, "template-version"): template.version or plugin,
        ("tool", project.TOOL, "template-source"): template.source,
        ("tool", "poetry", "requires-plugins", DISTRIBUTION): f">={plugin}",
    }
    if "project" not in own:  # Poetry's older tables
        changes = {keys: value for keys, value in changes.items() if keys[0] != "project"}
    if not template.source:
        del changes["tool", project.TOOL, "template-source"]
    if not _from_index():
        del changes["tool", "poetry", "requires-plugins", DISTRIBUTION]
    own["tool"][project.TOOL].pop("template", None)
    files[path] = File(project.edit(tomlkit.dumps(own), changes).encode())
    files[PurePosixPath(".python-version")] = File(f"{python}\n".encode())
    readme = PurePosixPath("README.md")
    if readme in files:
        text = files[readme].content.decode()
        text = text.replace(stood, description or stood) if stood else text
        text = text.replace("Python 3.10 or newer", f"Python {python} or newer")
        files[readme] = File(text.encode())


def _from_index() -> bool:
    """Whether the plugin was installed by its name, so that others get the same one by it."""
    return importlib.metadata.distribution(DISTRIBUTION).read_text("direct_url.json") is None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
