"""Machinery of the project: `poetry ml update` renews this folder, and your edits belong elsewhere.

It knows the project only by the Package that it is given, and imports neither models nor data.
"""

from . import formats, tables
from .columns import Columns, to_columns, to_frame, to_rows
from .config import Config
from .errors import InvalidRow, ProjectError
from .manifest import Manifest
from .package import Package
from .secret import Secret
from .tables import Table

__all__ = [
    "Columns",
    "Config",
    "InvalidRow",
    "Manifest",
    "Package",
    "ProjectError",
    "Secret",
    "Table",
    "formats",
    "tables",
    "to_columns",
    "to_frame",
    "to_rows",
]
