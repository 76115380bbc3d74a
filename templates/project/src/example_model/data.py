"""Where rows come from, and how they are cleaned. This file is yours."""

from pathlib import Path

from . import Table, package, tables
from .models.schema import TARGET, Prediction, Row


def path(name: str) -> Path:
    """Return the path of a file below data/. Raises ProjectError where there is no data/."""
    return package.data(name)


def read(name: str) -> Table:
    """Read the rows of a file below data/, each held to the same annotations as a request's.

    Raises ProjectError that names the file, and the row and column where one does not fit.
    """
    return tables.read(path(name), Row, target=TARGET, answer=Prediction)
