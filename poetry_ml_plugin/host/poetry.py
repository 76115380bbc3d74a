"""Poetry's own commands on a project, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import inside, platforms

# Where to run them: Python looks for modules there first, and a project may have a build.py.
CWD = Path(sys.prefix)


def command(root: Path, *words: str) -> list[str]:
    """Build a command on the project in a folder, to be run in CWD. It takes no input."""
    return [sys.executable, "-m", "poetry", *on(root, *words)]


def on(root: Path, *words: str) -> list[str]:
    """The words of a command on the project in a folder."""
    return ["-C", str(root.resolve()), "--no-interaction", *words]


def install(root: Path, group: str | None = None) -> None:
    """Install a project, with a group that may be optional; what Poetry says goes to standard error.

    Raises MLError where that fails.
    """
    _run(root, "installed", "install", *(["--with", group] if group else []))


def install_into(environment: Path, root: Path, groups: Sequence[str]) -> None:
    """Install what a project's lock file has into a virtualenv of any place, but not the project.

    Raises MLError where that fails.
    """
    chosen = ["--with", ",".join(groups)] if groups else []
    env = {**os.environ, "VIRTUAL_ENV": str(environment)}
    _run(root, "installed", "install", "--no-root", *chosen, env=env)


def add(root: Path, group: str, requirements: Sequence[str]) -> None:
    """Add dependencies to a group, lock and install them. Raises MLError where that fails."""
    _run(root, "changed", "add", "--group", group, *requirements)


def lock(root: Path) -> None:
    """Lock a project, keeping what is locked where that will do. Raises MLError where it fails."""
    inside.resolve(root / "poetry.lock", root)
    _run(root, "locked", "lock")


def _run(root: Path, done: str, *words: str, env: Mapping[str, str] | None = None) -> None:
    ended = subprocess.run(command(root, *words), cwd=CWD, stdout=sys.stderr, env=env, check=False)
    if ended.returncode != 0:
        again = " ".join(platforms.quoted(word) for word in ("poetry", *words))
        raise MLError(f"{root} could not be {done}. Fix that, then run: {again}")
