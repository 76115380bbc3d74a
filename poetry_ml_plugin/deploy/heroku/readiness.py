"""Checks before a deploy to Heroku."""

from __future__ import annotations

import re
from collections.abc import Iterable

from poetry_ml_plugin.audit import checks
from poetry_ml_plugin.audit.facts import Finder, ProjectFacts
from poetry_ml_plugin.audit.problems import Problem
from poetry_ml_plugin.deploy import pythons
from poetry_ml_plugin.deploy.readiness import INSTEAD, by_path
from poetry_ml_plugin.project import edit, pyproject

RIVALS = ("requirements.txt", "Pipfile", "Pipfile.lock", "uv.lock", "runtime.txt")


def procfile(facts: ProjectFacts) -> Iterable[Problem]:
    line = f"web: python -m {facts.project.package} serve --host 0.0.0.0"
    text = facts.text("Procfile")
    if text is None or not any(each.startswith("web:") for each in text.splitlines()):
        yield Problem(
            "Procfile has no line for web",
            f'Add the line "{line}" to it.',
            fix=lambda: edit.add_line(facts.root / "Procfile", line),
        )
    elif f"-m {facts.project.package} serve" in text and "--host 0.0.0.0" not in text:
        yield Problem("Procfile serves on localhost only", f'Write "{line}".')


def one_lock(facts: ProjectFacts) -> Iterable[Problem]:
    for other in RIVALS:
        if facts.text(other) is not None:
            yield Problem(
                f"{other} conflicts with poetry.lock and .python-version",
                "Remove it, or exclude it from the deploy.",
            )


def supported_python(facts: ProjectFacts) -> Iterable[Problem]:
    text = facts.text(".python-version") or ""
    chosen = pyproject.pinned_python(text)
    found = re.fullmatch(r"(3\.\d+)(\.\d+)?", chosen)
    if chosen and (found is None or found[1] not in pythons.RELEASED):
        named = ", ".join(pythons.RELEASED)
        yield Problem(
            f"Heroku does not support Python {chosen}, which .python-version names",
            f"Write one of {named} there.",
        )


def paths_inside(facts: ProjectFacts) -> Iterable[Problem]:
    for package in by_path(facts):
        path = (facts.root / package.path).resolve()
        if not path.is_relative_to(facts.root.resolve()):
            yield Problem(f"{package.name} is installed from {path}, outside the project", INSTEAD)


CHECKS: tuple[Finder, ...] = (
    procfile,
    checks.python,
    supported_python,
    one_lock,
    paths_inside,
)
"""What a deploy to Heroku depends on."""
