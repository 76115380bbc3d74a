"""What every part of the project needs: where things are, and the error meant for people."""

from pathlib import Path

_package = Path(__file__).resolve().parent
_root = _package.parents[1]

project_dir: Path | None = _root if (_root / "pyproject.toml").is_file() else None
"""The checkout's folder, or None where the package is installed from a wheel."""

data_dir: Path | None = project_dir / "data" if project_dir else None
"""The project's data, or None where the package is installed from a wheel: data does not travel."""

artifacts_dir: Path = _package / "artifacts"
"""The trained files. They travel with the package."""

artifact_dir = artifacts_dir


class ProjectError(Exception):
    """Says what happened, where, and what to do next. Anything else is a bug and keeps its traceback."""


__all__ = ["ProjectError", "artifact_dir", "artifacts_dir", "data_dir", "project_dir"]
