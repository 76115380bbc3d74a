"""Which app a project is deployed to, as its pyproject.toml remembers."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit

from poetry_ml_plugin import project

if TYPE_CHECKING:
    from poetry_ml_plugin.project import Project


def recall(found: Project, target: str) -> dict[str, Any]:
    """What [tool.poetry-ml-plugin.deploy.<target>] says; nothing where it is not there."""
    section: Any = project.load(found.root / "pyproject.toml").unwrap()
    for key in ("tool", project.TOOL, "deploy", target):
        section = section.get(key) if isinstance(section, dict) else None
    return section if isinstance(section, dict) else {}


def remember(found: Project, target: str, values: dict[str, str]) -> None:
    """Write these into [tool.poetry-ml-plugin.deploy.<target>]."""
    path = found.root / "pyproject.toml"
    section = ("tool", project.TOOL, "deploy", target)
    table = tomlkit.table()
    table.update(values)
    table.add(tomlkit.nl())  # before the section that comes next
    text = project.edit(path.read_text(encoding="utf-8"), {section: table})
    _write(path, f"{text.rstrip()}\n")


def forget(found: Project, target: str) -> None:
    """Remove [tool.poetry-ml-plugin.deploy.<target>]."""
    path = found.root / "pyproject.toml"
    document = project.load(path)
    section: Any = document["tool"][project.TOOL]
    if target in section.get("deploy", {}):
        del section["deploy"][target]
        if not section["deploy"]:
            del section["deploy"]
        _write(path, tomlkit.dumps(document))


def _write(path: Path, text: str) -> None:
    """Put the text in the file's place whole."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".pyproject-")
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    fresh = Path(name)
    fresh.chmod(path.stat().st_mode)
    fresh.replace(path)
