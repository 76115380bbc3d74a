"""What every part of the project shares: where things are, settings, artifacts, errors."""

from pathlib import Path

from ._runtime import (
    Columns,
    Config,
    Dialect,
    InvalidRow,
    Manifest,
    Package,
    ProjectError,
    Secret,
    Table,
    fields_of,
    formats,
    tables,
    to_columns,
    to_frame,
    to_rows,
)

package = Package(__name__, "example-model", Path(__file__).resolve().parent)

project_dir = package.project_dir
"""The checkout's folder, or None where the package is installed from a wheel."""

data_dir = package.data_dir
"""The project's data, or None where the package is installed from a wheel: data does not travel."""

artifacts_dir = artifact_dir = package.artifacts_dir
"""The trained files. They travel with the package."""

config = Config(package)
manifest = Manifest(package)

__all__ = [
    "Columns",
    "Dialect",
    "InvalidRow",
    "ProjectError",
    "Secret",
    "Table",
    "artifact_dir",
    "artifacts_dir",
    "config",
    "data_dir",
    "fields_of",
    "formats",
    "manifest",
    "package",
    "project_dir",
    "tables",
    "to_columns",
    "to_frame",
    "to_rows",
]
