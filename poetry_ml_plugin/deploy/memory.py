"""Deploy settings that pyproject.toml remembers: the app, the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tomlkit

from poetry_ml_plugin.project import edit, pyproject

if TYPE_CHECKING:
    from poetry_ml_plugin.project.pyproject import Project

SECTION = ("tool", pyproject.TOOL, "deploy")


def recall(project: Project, target: str) -> dict[str, Any]:
    """Read [tool.poetry-ml-plugin.deploy.<target>]; empty if it is not there."""
    return pyproject.table(_section(project), target)


def remember(project: Project, target: str, values: dict[str, str]) -> None:
    """Write these into [tool.poetry-ml-plugin.deploy.<target>]."""
    table = tomlkit.table()
    table.update(values)
    table.add(tomlkit.nl())  # before the section that comes next
    edit.amend(project.root, {(*SECTION, target): table})


def forget(project: Project, target: str) -> None:
    """Remove [tool.poetry-ml-plugin.deploy.<target>]."""
    others = _section(project).keys() - {target}
    edit.amend(project.root, {(*SECTION, target) if others else SECTION: None})


def _section(project: Project) -> dict[str, Any]:
    return pyproject.table(pyproject.describe(project.root).data, *SECTION)
