"""A revision of a project in a temporary worktree, beside which the working tree stays as it is."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import git, platforms
from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.project.pyproject import Project

SECONDS = 3_600  # for a checkout of large files


def resolve(root: Path, revision: str) -> str:
    """Return the commit that a revision names. Raises MLError where there is none here."""
    if not git.available() or git.outer_repository(root) is None:
        raise MLError(f"{root} is not in a git repository, so no revision of it is kept")
    try:
        name = f"{revision}^{{commit}}"
        return git.ask(root, "rev-parse", "--verify", "--quiet", "--end-of-options", name).strip()
    except MLError:
        raise MLError(
            f'"{revision}" names no commit that is in this clone. List those that are with: '
            "git log --oneline. Get others with: git fetch --all"
        ) from None


@contextmanager
def worktree(project: Project, commit: str) -> Iterator[Project]:
    """Check a commit out into a folder of its own, and remove it in the end."""
    top = git.outer_repository(project.root)
    assert top is not None
    home = Path(tempfile.mkdtemp(prefix="poetry-ml-")).resolve()
    place = home / "checkout"
    try:
        words = ("worktree", "add", "--quiet", "--detach", str(place), commit)
        git.ask(project.root, *words, timeout=SECONDS)
        folder = place / project.root.resolve().relative_to(top.resolve())
        if not (folder / "pyproject.toml").is_file():
            raise MLError(f"{commit[:12]} has no pyproject.toml in this folder")
        found = pyproject.read(folder)
        if found is None:
            raise MLError(
                f"{commit[:12]} is not an ML project yet: it has no [tool.{pyproject.TOOL}]"
            )
        yield found
    finally:
        with platforms.uninterrupted():
            shutil.rmtree(home, ignore_errors=True)
            git.code(project.root, "worktree", "remove", "--force", str(place))
