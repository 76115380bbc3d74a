"""What a project's pyproject.toml says of its deploys: which app, which image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tomlkit

from poetry_ml_plugin import additions, project

if TYPE_CHECKING:
    from poetry_ml_plugin.project import Project

SECTION = ("tool", project.TOOL, "deploy")


def recall(found: Project, target: str) -> dict[str, Any]:
    """What [tool.poetry-ml-plugin.deploy.<target>] says; nothing where it is not there."""
    return additions.table(_section(found), target)


def remember(found: Project, target: str, values: dict[str, str]) -> None:
    """Write these into [tool.poetry-ml-plugin.deploy.<target>]."""
    table = tomlkit.table()
    table.update(values)
    table.add(tomlkit.nl())  # before the section that comes next
    project.amend(found.root, {(*SECTION, target): table})


def forget(found: Project, target: str) -> None:
    """Remove [tool.poetry-ml-plugin.deploy.<target>]."""
    others = _section(found).keys() - {target}
    project.amend(found.root, {(*SECTION, target) if others else SECTION: None})


def _section(found: Project) -> dict[str, Any]:
    document = project.load(found.root / "pyproject.toml").unwrap()
    return additions.table(document, *SECTION)
