"""Modules that a project uses and does not have itself: a package of their name would hide them."""

from __future__ import annotations

import ast
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from poetry_ml_plugin.host import venv
from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.project.pyproject import PyProject

SKIPPED = frozenset(
    [
        *(".git", ".tox", ".nox", ".venv", "venv", "node_modules"),
        *("__pycache__", "site-packages", "build"),
    ]
)
MOST = 2_000  # Python files that are read


def foreign(root: Path, toml: PyProject) -> set[str]:
    """List top-level modules that come from elsewhere: imported, locked, installed, or by path.

    Namespace packages are among them, which have no __init__.py.
    """
    places = [*_paths(root, toml), *_environment(root)]
    return {
        *_imported(root),
        *_locked(root),
        *(name for place in places for name in _in_folder(place)),
    }


def _imported(root: Path) -> Iterator[str]:
    """Yield what the project's own code imports."""
    for path in _sources(root):
        try:
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                yield node.module.partition(".")[0]


def _sources(root: Path) -> Iterator[Path]:
    left = MOST
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        for name in sorted(files):
            if name.endswith(".py") and left:
                left -= 1
                yield Path(folder, name)


def _locked(root: Path) -> Iterator[str]:
    """Yield what locked distributions are called, as most of their modules are, too."""
    try:
        packages = tomllib.loads((root / "poetry.lock").read_text("utf-8")).get("package", [])
    except (OSError, ValueError):
        return
    for package in packages:
        name = str(package.get("name", "")).lower().replace("-", "_").replace(".", "_")
        yield name
        yield name.partition("_")[0]  # google-cloud-storage is a part of google


def _paths(root: Path, toml: PyProject) -> Iterator[Path]:
    """Yield where the modules of path dependencies are."""
    groups = [
        pyproject.table(toml.poetry, "dependencies"),
        pyproject.table(toml.poetry, "dev-dependencies"),
        *(
            pyproject.table(toml.poetry, "group", name, "dependencies")
            for name in pyproject.table(toml.poetry, "group")
        ),
    ]
    for said in (said for group in groups for said in group.values()):
        for each in said if isinstance(said, list) else [said]:
            if place := _path(each):
                yield root / place
                yield root / place / "src"


def _path(said: Any) -> str:
    path = said.get("path") if isinstance(said, Mapping) else None
    return path if isinstance(path, str) else ""


def _environment(root: Path) -> Iterator[Path]:
    """Yield the folders of modules in the project's environment, those of editable installs too."""
    env = venv.folder_of(root)
    if env is None:
        return
    for place in (*env.glob("lib/python*/site-packages"), env / "Lib" / "site-packages"):
        yield place
        for link in place.glob("*.pth"):
            lines = link.read_text("utf-8", errors="replace").splitlines()
            yield from (Path(line) for line in lines if Path(line).is_absolute())


def _in_folder(place: Path) -> Iterator[str]:
    """Yield the modules in a folder: files, and folders with any Python below them."""
    if not place.is_dir():
        return
    for path in place.iterdir():
        if path.is_file() and path.suffix in (".py", ".so", ".pyd"):
            yield path.name.partition(".")[0]
        elif path.is_dir() and path.name.isidentifier() and next(path.rglob("*.py"), None):
            yield path.name
