"""Checks that every deploy target shares."""

from __future__ import annotations

from collections.abc import Iterable

from packaging.utils import canonicalize_name

from poetry_ml_plugin.audit import artifacts, checks
from poetry_ml_plugin.audit.facts import Finder, ProjectFacts
from poetry_ml_plugin.audit.problems import Problem
from poetry_ml_plugin.deploy.target import Target
from poetry_ml_plugin.project.lock import Package

INSTEAD = "Depend on a release or on a git repository instead."


def runtime(facts: ProjectFacts) -> Iterable[Problem]:
    """Find libraries that the artifacts or the service need and a server would not install."""
    if facts.lock is None or facts.lock.by_poetry_1:  # which is a problem by itself
        return
    installed = {p.name for p in facts.lock.packages if p.runtime and not p.optional}
    needed = {"falcon": "the service", "waitress": "the service"}
    for file, entry in artifacts.listed(facts.project).items():
        if entry.strict:
            needed |= dict.fromkeys(map(canonicalize_name, entry.libraries), file)
        elif entry.format == "onnx":
            needed["onnxruntime"] = file
    for library, user in sorted(needed.items()):
        if library not in installed:
            yield Problem(
                f"{user} needs {library}, which is not a runtime dependency",
                f'Run "poetry add {library}".',
            )


def by_path(facts: ProjectFacts) -> list[Package]:
    """List runtime dependencies that are installed from a path."""
    packages = facts.lock.packages if facts.lock else ()
    return [package for package in packages if package.runtime and package.path]


EVERYWHERE: tuple[Finder, ...] = (
    checks.lock_is_fresh,
    checks.artifacts_are_whole,
    checks.versions,
    runtime,
)
"""What every deploy depends on; a target has checks of its own besides."""


def ready(target: Target, facts: ProjectFacts) -> Iterable[Problem]:
    """Yield everything that would keep a project from running at a target, as far as its files say."""
    for find in (*EVERYWHERE, *target.own_checks()):
        yield from find(facts)
