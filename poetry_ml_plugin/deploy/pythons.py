"""The Python that a deployed service runs on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from poetry.core.constraints.version import parse_constraint

from poetry_ml_plugin.host import venv
from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.project.pyproject import PyProject

RELEASED = ("3.11", "3.12", "3.13", "3.14")  # with official images and Heroku's support


def choose(root: Path, toml: PyProject) -> str:
    """Choose the version that .python-version names, else one that fits the project."""
    path = root / ".python-version"
    chosen = (
        pyproject.pinned_python(path.read_text(encoding="utf-8", errors="replace"))
        if path.is_file()
        else ""
    )
    return chosen or fitting(toml, venv.python_of(root))


def fitting(toml: PyProject, preferred: str, among: Sequence[str] = RELEASED) -> str:
    """Choose a minor version that a project allows: the preferred one, else the newest."""
    try:
        allowed = [one for one in among if toml.pythons.allows_any(parse_constraint(f"=={one}.*"))]
    except ValueError:
        allowed = []
    return preferred if preferred in allowed else (allowed or among)[-1]
