"""DVC as a process: the one of the project's environment, else the one on the PATH."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import git, venv

NAME = "dvc"


def command(root: Path) -> list[str] | None:
    """Return the command that runs DVC for a project; None where there is none."""
    env = venv.find(root)
    if env and list(env.site_packages.distributions(name=NAME)):
        return [str(env.python), "-m", NAME]
    found = shutil.which(NAME)
    return [found] if found else None


def run(root: Path, *words: str, cwd: Path | None = None) -> None:
    """Run DVC on a project, with what it says shown. Raises MLError where it fails."""
    done = subprocess.run([*_known(root), *words], cwd=cwd or root, check=False)
    if done.returncode != 0:
        raise MLError(f"dvc {' '.join(words[:2])} failed; it says why above.")


def ask(root: Path, *words: str) -> str:
    """Run DVC on a project, and return what it prints. Raises MLError with its own words if it fails."""
    done = subprocess.run(
        [*_known(root), *words], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        told = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR: ")]
        raise MLError(f"dvc {words[0]} failed: {(told or said or [str(done.returncode)])[0]}")
    return done.stdout


def _known(root: Path) -> list[str]:
    found = command(root)
    if found is None:
        raise MLError("DVC is not installed. Run: poetry ml add data")
    return found


def is_set_up(root: Path) -> bool:
    """Tell whether DVC keeps anything for a project."""
    return home(root) is not None


def home(root: Path) -> Path | None:
    """Find the folder .dvc that a project's data is kept by: its own, or one above in its repository."""
    top = git.outer_repository(root) if git.available() else None
    for folder in (root, *root.parents):
        if (folder / ".dvc").is_dir():
            return folder / ".dvc"
        if top is None or folder.resolve() == top.resolve():
            break
    return None


def set_up(root: Path) -> None:
    """Have DVC keep data for a project from here on."""
    top = git.outer_repository(root) if git.available() else None
    if top is None:
        raise MLError(f"{root} is not in a git repository, which DVC needs. Run: git init")
    inner = [] if top.resolve() == root.resolve() else ["--subdir"]
    ask(root, "init", "--quiet", *inner)
    ask(root, "config", "core.analytics", "false")


def pointer(path: Path, root: Path) -> Path | None:
    """Find the .dvc file that stands for a file: beside it, or beside a folder that it is in."""
    for place in (path, *path.parents):
        if place == root:
            return None
        beside = place.with_name(f"{place.name}.dvc")
        if beside.is_file():
            return beside
    return None


def pull_into(checkout: Path, names: Iterable[str], root: Path) -> None:
    """Bring files into a checkout of a project, from the project's own cache where they are there.

    `checkout` and `root` are the project's folders in the checkout and in the working tree.
    """
    pointers = {found for name in names if (found := pointer(checkout / name, checkout))}
    own, there = home(root), home(checkout)
    if not pointers or there is None:
        return
    if own is not None:  # where credentials and the cache are, which git does not have
        with suppress(FileNotFoundError):
            shutil.copy(own / "config.local", there / "config.local")
        cache = ask(root, "cache", "dir").strip()
        known = _known(root)
        words = ["cache", "dir", "--local", str((own.parent / cache).resolve())]
        subprocess.run([*known, *words], cwd=checkout, capture_output=True, check=False)
    run(root, "pull", *sorted(map(str, pointers)), cwd=checkout)
