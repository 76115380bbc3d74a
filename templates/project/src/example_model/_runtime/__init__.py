"""Machinery of the project: `poetry ml update` renews this folder, and your edits belong elsewhere.

It knows the project only by the Package that it is given, and imports neither models nor data.
"""

from . import formats, tables
from .columns import Columns, to_columns, to_frame, to_rows
from .config import Config
from .dialect import Dialect
from .errors import InvalidRow, ProjectError
from .fields import fields as fields_of
from .manifest import Manifest
from .package import Package
from .secret import Secret
from .tables import Table

__all__ = [
    "Columns",
    "Config",
    "Dialect",
    "InvalidRow",
    "Manifest",
    "Package",
    "ProjectError",
    "Secret",
    "Table",
    "fields_of",
    "formats",
    "tables",
    "to_columns",
    "to_frame",
    "to_rows",
]
