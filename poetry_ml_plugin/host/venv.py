"""A project's virtualenv, and its verbs run in it."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from poetry.config.config import Config
from poetry.factory import Factory
from poetry.utils.env import EnvManager
from poetry.utils.env.python import Python

from poetry_ml_plugin.host import staging
from poetry_ml_plugin.host.platforms import execute as execute

if TYPE_CHECKING:
    from poetry.utils.env import Env

LOWEST_PYTHON = (3, 11)
SEEDS = {"pip", "setuptools", "wheel"}  # what may be in a virtualenv from the start
SERVER = "waitress"  # what every project needs to serve


def preferred_python() -> str:
    """Return the minor version, like "3.12", of the Python that Poetry makes virtualenvs with."""
    version = Python.get_preferred_python(Config.create()).version
    found = (version.major or 0, version.minor or 0)
    if found < LOWEST_PYTHON:
        found = sys.version_info[:2]  # Poetry looks further too, and finds its own at the latest
    return "{}.{}".format(*found)


def find(root: Path) -> Env | None:
    """Find the environment that the project in a folder is installed in; None if there is none.

    It is a virtualenv or, where Poetry makes none, the very interpreter that Poetry installs into.
    Poetry never installs a project whose package-mode is off: its src/ is put on the path instead.
    """
    poetry = Factory().create_poetry(root)
    env = EnvManager(poetry).get()
    name: str = poetry.package.name
    if not poetry.is_package_mode:
        name = SERVER
        known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root / "src"), *known]))
    if not env.is_venv() and _creates(poetry.config):
        return None
    if not list(env.site_packages.distributions(name=name)):
        return None
    return env


def create(root: Path) -> Env | None:
    """Make the virtualenv that Poetry would install a project into, or find it.

    None where there is to be none, or where none can be made: Poetry says why when it installs.
    """
    try:
        poetry = Factory().create_poetry(root)
        env = EnvManager(poetry).create_venv()
    except Exception:  # noqa: BLE001  # whatever Poetry may raise about a project, or a machine
        return None
    return env if env.is_venv() and _creates(poetry.config) else None


def is_empty(env: Env) -> bool:
    """Tell whether there is nothing in a virtualenv but what it was made with."""
    found = {item.metadata["Name"] for item in env.site_packages.distributions()}
    return found <= SEEDS


@contextmanager
def filled_whole(env: Env) -> Iterator[Callable[[], None]]:
    """Remove what was put into a virtualenv meanwhile, unless the function is called that is yielded."""
    folders = {Path(env.purelib), Path(env.platlib)}
    before = {path for folder in folders for path in folder.iterdir()}
    kept: list[bool] = []
    try:
        yield lambda: kept.append(True)
    finally:
        for folder in folders if not kept else ():
            for path in {*folder.iterdir()} - before:
                staging.remove(path) if path.is_dir() else path.unlink()


def groups(root: Path) -> frozenset[str]:
    """List the groups of dependencies that a project has, without the optional ones."""
    return frozenset(Factory().create_poetry(root).package.dependency_group_names())


def folder_of(root: Path) -> Path | None:
    """Find the folder of the virtualenv that Poetry has for a project, installed in it or not."""
    try:
        env = EnvManager(Factory().create_poetry(root)).get()
    except Exception:  # noqa: BLE001  # no project that Poetry could read yet, or no Python for it
        return None
    return Path(env.path) if env.is_venv() else None


def python_of(root: Path) -> str:
    """Return the minor version that a project is installed for, else the preferred one."""
    env = find(root)
    return "{}.{}".format(*env.version_info[:2]) if env else preferred_python()


def leave_own(folder: Path | None = None) -> None:
    """Forget that Poetry's own virtualenv is active: Poetry would install projects into it.

    Where Poetry is to make none, as in a container, that is what the user wants.
    """
    active = os.environ.get("VIRTUAL_ENV")
    if active and Path(active).resolve() == Path(sys.prefix).resolve() and _is_to_create(folder):
        del os.environ["VIRTUAL_ENV"]


def foreign(root: Path) -> Path | None:
    """Find the active environment that Poetry would install a project into and that is not its own.

    Where Poetry is to make none, the active one is what the user wants.
    """
    prefix = os.environ.get("VIRTUAL_ENV", os.environ.get("CONDA_PREFIX"))
    if not prefix or os.environ.get("CONDA_DEFAULT_ENV") == "base" or not _is_to_create(root):
        return None
    active = Path(prefix).resolve()
    # Poetry may have been told to use another, and what is below the project was made for it.
    used = folder_of(root) or active
    if used.resolve() != active or active.is_relative_to(root.resolve()):
        return None
    with without_active():
        own = folder_of(root)
    return None if own and own.resolve() == active else active


@contextmanager
def without_active() -> Iterator[None]:
    """Have Poetry, in this process and those that it starts, take no environment for active."""
    variables = ("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV")
    kept = {name: os.environ.pop(name) for name in variables if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _is_to_create(folder: Path | None) -> bool:
    """Tell whether Poetry makes virtualenvs for the project that a folder is in, or for none."""
    # Poetry's own reader of a project's poetry.toml would have it count for every project to come.
    if folder is not None and "POETRY_VIRTUALENVS_CREATE" not in os.environ:
        roots = (root for root in (folder, *folder.parents) if (root / "pyproject.toml").is_file())
        try:
            local = tomllib.loads((next(roots) / "poetry.toml").read_text(encoding="utf-8"))
            return bool(local["virtualenvs"]["create"])
        except (StopIteration, OSError, ValueError, KeyError, TypeError):
            pass  # it says nothing of that
    return _creates(Config.create())


def _creates(config: Config) -> bool:
    return bool(config.get("virtualenvs.create", True))
