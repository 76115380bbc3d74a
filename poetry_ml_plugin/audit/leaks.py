"""Search for credentials in what is committed, edited or packaged."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from poetry_ml_plugin.audit import credentials
from poetry_ml_plugin.audit.problems import Problem
from poetry_ml_plugin.host import git
from poetry_ml_plugin.project import edit, pyproject
from poetry_ml_plugin.project.pyproject import Project

# Every text is searched, but for the project's data: rows may look like anything; and for tests, which
# need passwords of their own.
DATA = "data"
TESTS = frozenset(["test", "tests"])
# Without git to say what belongs to the project.
STRAY = frozenset([".git", ".venv", "__pycache__", "build", "dist", "node_modules", "venv"])

PARDON = f"If it is not a credential, list the file in [tool.{pyproject.TOOL}] not-secret"
MOVE = (
    "Keep it in an environment variable or a vault, and revoke it. "
    f'{PARDON}, or end the line with "{credentials.PARDON.decode()}".'
)


def in_tree(project: Project) -> list[Problem]:
    """Find credentials in the files that git tracks or would add; without git, in edited files."""
    tracked, untracked = git.tracked(project.root), git.untracked(project.root)
    names = tracked | untracked or set(_written(project))
    return [
        problem
        for name in sorted(names)
        for problem in _in_file(project, PurePosixPath(name), name in tracked, name in untracked)
    ]


def in_files(project: Project, names: Iterable[str]) -> list[Problem]:
    """Find credentials in files that are sent as they are, whatever git says of them."""
    return [
        problem
        for name in sorted(names)
        for problem in _in_file(project, PurePosixPath(name), False, False)
    ]


def in_text(
    project: Project, path: PurePosixPath, content: bytes, where: str = ""
) -> list[Problem]:
    """Find credentials in one text, which is at `path` in the project or in an archive of it."""
    if pardoned(project, path):
        return []
    return [
        Problem(f"{where}{path}, line {line}, looks like {kind}", MOVE)
        for line, kind in credentials.search(content, path)
    ]


def pardoned(project: Project, path: PurePosixPath) -> bool:
    """Tell whether the project declares that a file holds no secret, by its path there or in a wheel."""
    paths = path, "src" / path
    return any(path.match(glob) for glob in project.not_secret for path in paths)


def _written(project: Project) -> Iterator[str]:
    """Yield the files of a project that git does not know, without those of tools."""
    for here, folders, names in os.walk(project.root):
        folder = Path(here)
        folders[:] = [
            name
            for name in folders
            if name not in STRAY
            and not name.endswith("_cache")
            and not (folder / name / "pyvenv.cfg").exists()
        ]
        for name in names:
            if folder != project.root or name[0] != ".":
                yield project.at(folder / name)


def _in_file(
    project: Project, path: PurePosixPath, tracked: bool, untracked: bool
) -> Iterator[Problem]:
    file = project.root / path
    if TESTS.intersection(path.parts[:-1]) or pardoned(project, path) or not file.is_file():
        return
    if credentials.refused(path):
        if tracked:
            yield _tracked(path)
        elif untracked:
            yield _untracked(project, path)
        elif path.parts[0] == "src":
            yield Problem(f"{path} would be shipped", f"Exclude it from the package. {PARDON}.")
    elif path.parts[0] != DATA:
        try:
            content = file.read_bytes() if file.stat().st_size <= credentials.LONGEST else b""
        except OSError as error:
            yield Problem(
                f"{path} cannot be read: {error.strerror}", "Fix that, or remove the file."
            )
        else:
            yield from in_text(project, path, content)


def _tracked(path: PurePosixPath) -> Problem:
    return Problem(
        f"{path} is committed to git",
        f'Run "git rm --cached {path}", add it to .gitignore, and replace the credentials in it. {PARDON}.',
    )


def _untracked(project: Project, path: PurePosixPath) -> Problem:
    return Problem(
        f"{path} would be added to git",
        f"Add it to .gitignore. {PARDON}.",
        fix=lambda: edit.add_line(project.root / ".gitignore", f"/{path}"),
    )
