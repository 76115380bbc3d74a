"""Machinery of the project: `poetry ml update` renews this folder, and your edits belong elsewhere.

It knows the project only by the Package that it is given, and imports neither models nor data.
"""

from . import estimators, formats
from .config import Config, Secret
from .errors import InvalidRow, ProjectError
from .manifest import Manifest
from .package import Package

__all__ = [
    "Config",
    "InvalidRow",
    "Manifest",
    "Package",
    "ProjectError",
    "Secret",
    "estimators",
    "formats",
]
