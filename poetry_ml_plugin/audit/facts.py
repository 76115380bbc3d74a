"""The facts of a project that checks are made on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, TypeVar

from poetry_ml_plugin.audit import artifacts
from poetry_ml_plugin.audit.problems import Problem
from poetry_ml_plugin.project import lock, pyproject
from poetry_ml_plugin.project.lock import Lock
from poetry_ml_plugin.project.pyproject import Project, PyProject

T = TypeVar("T")


class ProjectFacts:
    """A project with what its files say, each read once."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.root = project.root
        self._found: dict[Callable[[Project], Any], Any] = {}

    def once(self, find: Callable[[Project], T]) -> T:
        """Return what a function finds in the project. It is called once, however many checks ask."""
        if find not in self._found:
            self._found[find] = find(self.project)
        found: T = self._found[find]
        return found

    @cached_property
    def toml(self) -> PyProject:
        return pyproject.describe(self.root)

    @cached_property
    def lock(self) -> Lock | None:
        return lock.read(self.root)

    @property
    def damage(self) -> list[Problem]:
        """How the artifacts differ from their manifest: each is read to its end for that."""
        return self.once(artifacts.verify)

    def text(self, name: str) -> str | None:
        """Read a text file; return None if there is none."""
        path = self.root / name
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None


Finder = Callable[[ProjectFacts], Iterable[Problem]]
