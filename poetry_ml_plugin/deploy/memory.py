"""Which app a project is deployed to, as its pyproject.toml remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tomlkit

from poetry_ml_plugin import project

if TYPE_CHECKING:
    from poetry_ml_plugin.project import Project

SECTION = ("tool", project.TOOL, "deploy")


def recall(found: Project, target: str) -> dict[str, Any]:
    """What [tool.poetry-ml-plugin.deploy.<target>] says; nothing where it is not there."""
    section = _section(found).get(target)
    return section if isinstance(section, dict) else {}


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
    section: Any = project.load(found.root / "pyproject.toml").unwrap()
    for key in SECTION:
        section = section.get(key) if isinstance(section, dict) else None
    return section if isinstance(section, dict) else {}
