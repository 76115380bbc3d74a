"""The template's machinery, imported where it stands, without the project around it."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(__file__).parents[1] / "templates/project/src/example_model/_runtime"
PACKAGE = "machinery_runtime"


def load(name: str) -> Any:
    """A module of `_runtime`, by its path from there, with dots."""
    if PACKAGE not in sys.modules:
        package = ModuleType(PACKAGE)
        package.__path__ = [str(FOLDER)]
        sys.modules[PACKAGE] = package
    return import_module(f"{PACKAGE}.{name}")
