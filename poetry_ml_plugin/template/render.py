"""Rendering of a template under another name."""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath

import tomlkit
from packaging.utils import canonicalize_name

from poetry_ml_plugin.project import edit, pyproject
from poetry_ml_plugin.project.names import Names

DISTRIBUTION = "poetry-ml-plugin"

# The template's own words, which become the project's.
TEMPLATE = Names("example-model", "example_model")

DEFAULT = "project"
PYPROJECT = PurePosixPath("pyproject.toml")

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


def template_dir(name: str = DEFAULT) -> Path:
    """Find a template that ships: inside the installed package, or beside it in a checkout."""
    package = Path(str(resources.files("poetry_ml_plugin")))
    inside = package / "templates" / name
    return inside if inside.is_dir() else package.resolve().parent / "templates" / name


def plan(
    names: Names, python: str, description: str | None = None, template: Template | None = None
) -> dict[PurePosixPath, File]:
    """Plan every file of a new project: the template with its word replaced.

    `python` is the interpreter's minor version, like "3.12".
    """
    template = template or Template(read(template_dir()), TEMPLATE)
    files = rename(template, names)
    _adapt(files, names, python, " ".join((description or "").split()), template)
    return files


def rename(
    template: Template, names: Names, more: Mapping[str, str] | None = None
) -> dict[PurePosixPath, File]:
    """Replace a template's words in paths and texts; `more` in texts only."""
    words = template.names
    replacements = {
        words.distribution: names.distribution,
        words.package: names.package,
        words.package.upper(): names.package.upper(),
    }
    in_text = {**replacements, **(more or {})}
    return {
        PurePosixPath(_replaced(str(path), replacements)): File(
            _replace(file.content, in_text), file.executable
        )
        for path, file in template.files.items()
    }


def has_word(content: bytes, names: Names) -> bool:
    """Tell whether a template's word is in a file, text or not."""
    return bool(_pattern([names.distribution, names.package]).search(content.decode("latin-1")))


def read(source: Path) -> dict[PurePosixPath, File]:
    """Read the files of a template, by their paths in it."""
    return {
        path: File((source / path).read_bytes(), os.access(source / path, os.X_OK))
        for path in paths(source)
        if (source / path).is_file()
    }


def paths(source: Path) -> list[PurePosixPath]:
    """List what is in a template, without what its use leaves behind."""
    found = (PurePosixPath(path.relative_to(source).as_posix()) for path in source.rglob("*"))
    return sorted(path for path in found if belongs(path))


def belongs(path: PurePosixPath) -> bool:
    """Tell whether a path is part of a template, and not left behind by its use."""
    # A template may have been trained where it stands: a project trains its own.
    is_artifact = "artifacts" in path.parent.parts and not path.name.startswith(".")
    return not is_artifact and not LEFTOVERS.intersection(path.parts)


def _replace(content: bytes, replacements: Mapping[str, str]) -> bytes:
    try:
        return _replaced(content.decode(), replacements).encode()
    except UnicodeDecodeError:
        return content


def _replaced(text: str, replacements: Mapping[str, str]) -> str:
    return _pattern(replacements).sub(lambda found: replacements[found[0]], text)


def _pattern(words: Iterable[str]) -> re.Pattern[str]:
    """Match words between anything but letters and digits: not "our_model" within "your_model".

    An underscore ends a word, as in OUR_MODEL_PORT, and so does an escape, as in "\\nour_model".
    """
    longest_first = sorted(map(re.escape, words), key=len, reverse=True)
    return re.compile(rf"(?:(?<![^\W_])|(?<=\\[nrt]))(?:{'|'.join(longest_first)})(?![^\W_])")


def _adapt(
    files: dict[PurePosixPath, File],
    names: Names,
    python: str,
    description: str,
    template: Template,
) -> None:
    """Say in pyproject.toml, the README and .python-version what holds for this project."""
    path = PYPROJECT
    own = tomlkit.parse(files[path].content)
    stood = pyproject.parse(files[path].content).description
    plugin = importlib.metadata.version(DISTRIBUTION)
    changes: dict[tuple[str, ...], str] = {
        ("project", "requires-python"): pyproject.requires_python(python),
        ("project", "description"): description or stood,
        ("tool", pyproject.TOOL, "template-version"): template.version or plugin,
        ("tool", pyproject.TOOL, "template-source"): template.source,
        ("tool", "poetry", "requires-plugins", DISTRIBUTION): f">={plugin}",
    }
    if "project" not in own:  # Poetry's older tables
        changes = {keys: value for keys, value in changes.items() if keys[0] != "project"}
    toml = pyproject.parse(files[path].content)
    if canonicalize_name(toml.name) != canonicalize_name(names.distribution):
        changes[(*toml.table_of_metadata, "name")] = names.distribution
    if toml.settings.get("package") != names.package:
        changes["tool", pyproject.TOOL, "package"] = names.package
    if not template.source:
        del changes["tool", pyproject.TOOL, "template-source"]
    if not from_index():
        del changes["tool", "poetry", "requires-plugins", DISTRIBUTION]
    own["tool"][pyproject.TOOL].pop("template", None)
    files[path] = File(edit.set_values(tomlkit.dumps(own), changes).encode())
    files[PurePosixPath(".python-version")] = File(f"{python}\n".encode())
    readme = PurePosixPath("README.md")
    if readme in files:
        content = describe(files[readme].content, stood, description)
        newer = f"Python {python} or newer".encode()
        files[readme] = File(re.sub(rb"Python 3\.\d+ or newer", newer, content))


def describe(readme: bytes, stood: str, description: str) -> bytes:
    """Put another description into a README, where the one that stood there has a line to itself."""
    lines = readme.splitlines(keepends=True)
    for n, line in enumerate(lines if stood and description else []):
        if line.strip() == stood.encode():
            lines[n] = line.replace(stood.encode(), description.encode())
    return b"".join(lines)


def from_index() -> bool:
    """Tell whether the plugin was installed by its name, so that others get the same one by it."""
    return importlib.metadata.distribution(DISTRIBUTION).read_text("direct_url.json") is None
