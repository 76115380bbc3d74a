"""The environment that a lock file describes, made once and kept for the next time."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Collection
from pathlib import Path

from filelock import FileLock
from poetry.config.config import Config
from poetry.utils.env import EnvManager
from poetry.utils.env.python import Python

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import poetry
from poetry_ml_plugin.project import lock, pyproject
from poetry_ml_plugin.project.pyproject import Project
from poetry_ml_plugin.reproduce.record import Record


def provide(project: Project, recorded: Record, groups: Collection[str]) -> Path:
    """Return the Python of an environment with what a project's lock file has, without the project.

    Raises MLError where there is no lock file, or it cannot be installed.
    """
    locked = lock.read(project.root)
    if locked is None:
        raise MLError("That revision has no poetry.lock, so nobody knows which libraries it used")
    if not locked.fresh:
        raise MLError(
            "That revision's poetry.lock does not match its pyproject.toml, and cannot be installed"
        )
    base = interpreter(project, str(recorded.run.get("python", "")))
    chosen = sorted({*groups, *needed(project, recorded)})
    key = hashlib.sha256(repr((str(base), chosen)).encode())
    key.update((project.root / "poetry.lock").read_bytes())
    cache = Path(Config.create().get("cache-dir")).expanduser()
    folder = cache / "poetry-ml" / "environments" / key.hexdigest()[:24]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        complete = folder / "complete"
        if not complete.exists():
            EnvManager.build_venv(folder, executable=base)
            poetry.install_into(folder, project.root, chosen)
            complete.touch()
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def needed(project: Project, recorded: Record) -> set[str]:
    """Name the optional groups that a library of the training is from."""
    toml = pyproject.describe(project.root)
    used = {name.lower().replace("_", "-") for name in recorded.libraries}
    return {name for name in toml.optional_groups if toml.groups.get(name, set()) & used}


def interpreter(project: Project, version: str) -> Path:
    """Find the Python of a version, else one of the same minor version, else one that the project allows."""
    minor = ".".join(version.split(".")[:2])
    wishes = [f"=={version}", f"~{minor}"] if version.count(".") == 2 else []
    wishes.append(pyproject.describe(project.root).requires_python or "*")
    for wish in wishes:
        found = list(Python.find_all_versions(wish, implementation="cpython"))
        newest = max(found, key=lambda each: (each.major, each.minor, each.patch), default=None)
        if newest is not None and newest.executable is not None:
            return newest.executable
    raise MLError(
        f"There is no Python {wishes[-1]} here. Install one: poetry python install {minor}"
    )
