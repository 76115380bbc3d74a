"""Poetry's own commands on a project, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import inside

# Where to run them: Python looks for modules there first, and a project may have a build.py.
CWD = Path(sys.prefix)


def command(root: Path, *words: str) -> list[str]:
    """Build a command on the project in a folder, to be run in CWD. It takes no input."""
    return [sys.executable, "-m", "poetry", "-C", str(root.resolve()), "--no-interaction", *words]


def install(root: Path) -> None:
    """Install a project, all that is said going to standard error. Raises MLError where that fails."""
    _run(root, "install", "installed")


def lock(root: Path) -> None:
    """Lock a project, keeping what is locked where that will do. Raises MLError where it fails."""
    inside.resolve(root / "poetry.lock", root)
    _run(root, "lock", "locked")


def _run(root: Path, word: str, done: str) -> None:
    ended = subprocess.run(command(root, word), cwd=CWD, stdout=sys.stderr, check=False)
    if ended.returncode != 0:
        raise MLError(f"{root} could not be {done}. Fix that, then run: poetry {word}")
