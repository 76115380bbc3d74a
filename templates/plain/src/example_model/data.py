"""Where the data is. This file is yours: read yours here, and prepare it for training."""

from pathlib import Path

from . import ProjectError, data_dir


def path(name: str) -> Path:
    """The path of a file below data/. Raises ProjectError where the package was installed without it."""
    if data_dir is None:
        raise ProjectError(
            "data/ does not travel with the installed package. Work in a checkout of the project."
        )
    return data_dir / name
