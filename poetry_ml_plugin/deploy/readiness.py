"""Checks that every deploy target shares."""

from __future__ import annotations

from collections.abc import Iterable

from poetry_ml_plugin.audit import checks, code, dependencies
from poetry_ml_plugin.audit.facts import Finder, ProjectFacts
from poetry_ml_plugin.audit.problems import Problem
from poetry_ml_plugin.deploy.target import Target
from poetry_ml_plugin.project.lock import Package

INSTEAD = "Depend on a release or on a git repository instead."


def by_path(facts: ProjectFacts) -> list[Package]:
    """List runtime dependencies that are installed from a path."""
    packages = facts.lock.packages if facts.lock else ()
    return [package for package in packages if package.runtime and package.path]


EVERYWHERE: tuple[Finder, ...] = (
    checks.lock_is_fresh,
    checks.artifacts_are_whole,
    checks.versions,
    dependencies.runtime,
    checks.code_is_whole,
)
"""What every deploy depends on; a target has checks of its own besides."""


def advice(facts: ProjectFacts) -> list[Problem]:
    """Find what does not keep a project from being deployed, and should be known before."""
    return [] if facts.project.strict else list(code.stale(facts))


def ready(target: Target, facts: ProjectFacts) -> Iterable[Problem]:
    """Yield everything that would keep a project from running at a target, as far as its files say."""
    for find in (*EVERYWHERE, *target.own_checks()):
        yield from find(facts)
    if facts.project.strict:
        yield from code.stale(facts)
