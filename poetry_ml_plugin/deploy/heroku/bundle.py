"""The files that travel: what git tracks, and the trained artifacts."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import tomlkit

from poetry_ml_plugin.audit import artifacts, credentials
from poetry_ml_plugin.audit.problems import Problem
from poetry_ml_plugin.host import git
from poetry_ml_plugin.project import pyproject

if TYPE_CHECKING:
    from poetry_ml_plugin.project.pyproject import Project

FOLDERS = frozenset(["__pycache__", ".git", ".venv", "venv", "node_modules"])
DATA = "data"
# Without git to say what belongs to the project.
STRAY_FOLDERS = frozenset(["build", "dist", "notebooks", "reports"])
WANTED_DOTFILES = (".python-version", ".slugignore")

ALWAYS = ("pyproject.toml", "poetry.lock")


@dataclass(frozen=True)
class Member:
    """A file that travels: one on disk, or content of ours in its place."""

    name: str
    source: Path | bytes
    executable: bool = False

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size


@dataclass(frozen=True)
class Bundle:
    """All the files that travel, by name, and what is to be said of the others."""

    members: tuple[Member, ...]
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        return frozenset(member.name for member in self.members)

    @property
    def size(self) -> int:
        """In bytes, unpacked."""
        return sum(member.size for member in self.members)


@dataclass
class _Sorting:
    """The heap of what travels and the heap of what stays."""

    kept: dict[str, Member] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def plan(project: Project, defaults: Mapping[str, str]) -> Bundle:
    """Plan which files are sent. `defaults` are added where the project has no such file."""
    root = project.root
    tracked = git.tracked(root)
    by_git = "pyproject.toml" in tracked  # not so in a repository that nothing was added to
    sorting = _Sorting()
    for name in sorted(tracked if by_git else _walk(root)):
        _sort(root, name, sorting)
    for name in (*ALWAYS, *artifacts.files(project)):
        if (root / name).is_file():
            sorting.kept[name] = Member(name, root / name)
    if by_git:
        _name_strangers(root, sorting)
    _trim_pyproject(root, sorting)
    _add_defaults(defaults, sorting)
    members = tuple(sorting.kept[name] for name in sorted(sorting.kept))
    return Bundle(members, tuple(sorting.left_out), tuple(sorting.notes), tuple(sorting.problems))


def _sort(root: Path, name: str, sorting: _Sorting) -> None:
    path = root / name
    parts = PurePosixPath(name).parts
    secret = credentials.refused(PurePosixPath(name))  # stays, even where it was committed
    if secret or FOLDERS.intersection(parts) or parts[0] == DATA:
        sorting.left_out.append(name)
    elif path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
        what = f"{name} is a link to outside the project"
        sorting.problems.append(Problem(what, "Replace the link with a copy of its target."))
    elif path.is_file():
        sorting.kept[name] = Member(name, path, bool(path.stat().st_mode & stat.S_IXUSR))


def _name_strangers(root: Path, sorting: _Sorting) -> None:
    """Name the files of code and configuration that somebody forgot to add."""
    new = sorted(git.untracked(root) - sorting.kept.keys())
    fit = [name for name in new if not credentials.refused(PurePosixPath(name))]
    if forgotten := [name for name in fit if name.startswith(("src/", "configs/"))]:
        named = ", ".join(forgotten)
        sorting.notes.append(f"git does not track {named}, so it is not sent. To send it: git add")


def _trim_pyproject(root: Path, sorting: _Sorting) -> None:
    """Leave out of the pyproject.toml that travels what is not for the server."""
    document = pyproject.load(root / "pyproject.toml")
    tool = document.get("tool", {})
    if tool.get("poetry", {}).pop("requires-plugins", None) is not None:
        # Outside of what the lock file's hash is made from. A server would resolve it at every build.
        sorting.notes.append(
            "requires-plugins is removed from pyproject.toml: a server needs no Poetry plugin."
        )
    # It only says where to deploy to; with it, the first deploy would differ from the second.
    tool.get(pyproject.TOOL, {}).pop("deploy", None)
    content = tomlkit.dumps(document).encode()
    sorting.kept["pyproject.toml"] = Member("pyproject.toml", content)


def _add_defaults(defaults: Mapping[str, str], sorting: _Sorting) -> None:
    for name, text in defaults.items():
        if name not in sorting.kept:
            sorting.kept[name] = Member(name, text.encode())
            sorting.notes.append(f'{name} is missing: one with "{text.strip()}" is sent.')


def _walk(root: Path) -> Iterator[str]:
    """Yield the files that look like a project's own, when git does not track it."""
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and name not in STRAY_FOLDERS | FOLDERS
            and not (here / name / "pyvenv.cfg").exists()
        ]
        for name in files:
            if not name.startswith(".") or name in WANTED_DOTFILES or name.startswith(".env"):
                yield (here / name).relative_to(root).as_posix()
