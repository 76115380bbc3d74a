"""Checks before an image is built."""

from __future__ import annotations

from collections.abc import Iterable

from poetry_ml_plugin.audit import artifacts, checks, code
from poetry_ml_plugin.audit.facts import Finder, ProjectFacts
from poetry_ml_plugin.audit.problems import Problem
from poetry_ml_plugin.deploy.readiness import INSTEAD, by_path
from poetry_ml_plugin.host import git


def no_paths(facts: ProjectFacts) -> Iterable[Problem]:
    for package in by_path(facts):
        what = f"{package.name} is installed from {package.path}, which is not in an image"
        yield Problem(what, INSTEAD)


def files_in_git(facts: ProjectFacts) -> Iterable[Problem]:
    tracked, package = git.tracked(facts.root), facts.project.artifacts_dir.parent
    modules = [facts.project.at(package / path) for path in facts.once(code.imported)]
    needed = [*artifacts.files(facts.project), *modules]
    if outside := [path for path in needed if path not in tracked]:
        yield Problem(
            f"git does not track {', '.join(outside)}, and Render builds only tracked files",
            'Add them with "git add --force", and commit.',
        )


IMAGE: tuple[Finder, ...] = (checks.python, no_paths)
"""What an image depends on."""

RENDER: tuple[Finder, ...] = (*IMAGE, files_in_git)
"""What an image that Render builds depends on."""
