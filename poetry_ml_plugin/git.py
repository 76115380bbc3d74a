"""Ask git, and have it make a project's first commit."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from poetry_ml_plugin.errors import MLError


def available() -> bool:
    """Whether there is a git to run."""
    return shutil.which("git") is not None


def outer_repository(folder: Path) -> Path | None:
    """The repository that a folder lies in, or None."""
    done = _run(folder, "rev-parse", "--show-toplevel")
    return Path(done.stdout.strip()) if done.returncode == 0 else None


def has_identity(folder: Path) -> bool:
    """Whether git knows whom to name as the author of a commit."""
    return _run(folder, "var", "GIT_AUTHOR_IDENT").returncode == 0


def init(folder: Path) -> None:
    """Make an empty repository. Raises MLError with git's own words where it cannot."""
    _must(folder, "init", "--quiet")


def commit_all(folder: Path, message: str) -> None:
    """Commit every file that git does not ignore. Raises MLError with git's own words where it cannot."""
    _must(folder, "add", "--all")
    _must(folder, "commit", "--quiet", "--message", message)


def tracked(folder: Path) -> set[str]:
    """The files in a folder that git keeps, by their paths there."""
    return _files(folder, "--cached")


def untracked(folder: Path) -> set[str]:
    """The files in a folder that git would keep, were all added."""
    return _files(folder, "--others", "--exclude-standard")


def _files(folder: Path, *options: str) -> set[str]:
    if not available():
        return set()
    return set(_run(folder, "ls-files", "-z", *options).stdout.split("\0")) - {""}


def _must(folder: Path, *words: str) -> None:
    done = _run(folder, *words)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise MLError(f"git {words[0]} failed: {said[-1] if said else done.returncode}")


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    # A caller's GIT_DIR (as in a hook) would point these calls at another repository.
    env = {
        k: v
        for k, v in os.environ.items()
        if k not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    }
    return subprocess.run(
        ["git", *words],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
