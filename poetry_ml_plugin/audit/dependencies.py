"""Comparison of what artifacts and service need with what a server would install."""

from __future__ import annotations

from collections.abc import Iterable

from packaging.utils import canonicalize_name

from poetry_ml_plugin.audit import artifacts
from poetry_ml_plugin.audit.facts import ProjectFacts
from poetry_ml_plugin.audit.problems import Problem
from poetry_ml_plugin.errors import MLError

SERVICE = ("falcon", "waitress")


def runtime(facts: ProjectFacts) -> Iterable[Problem]:
    """Find libraries that the artifacts or the service need and a server would not install."""
    try:
        locked = facts.lock
    except MLError:
        return
    if locked is None or locked.by_poetry_1:
        return  # each of these is a problem by itself
    installed = {p.name for p in locked.packages if p.runtime and not p.optional}
    needed: dict[str, tuple[str, ...]] = {"the service": SERVICE}
    for file, entry in artifacts.listed(facts.project).items():
        needed[file] = tuple(map(canonicalize_name, entry.needs))
    for user, libraries in needed.items():
        if missing := [library for library in libraries if library not in installed]:
            yield Problem(_needs(user, missing), f"Run: poetry add {' '.join(missing)}")


def _needs(user: str, libraries: list[str]) -> str:
    *others, last = libraries
    if not others:
        return f"{user} needs {last}, which is not a runtime dependency"
    return f"{user} needs {', '.join(others)} and {last}, which are not runtime dependencies"
