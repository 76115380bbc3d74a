"""Where rows come from, and how they are cleaned. This file is yours."""

from pathlib import Path

from . import package


def path(name: str) -> Path:
    """Return the path of a file below data/. Raises ProjectError where there is no data/."""
    return package.data(name)
