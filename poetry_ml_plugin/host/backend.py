"""A project's own build back end, asked for what it would build. It runs the project's code."""

from __future__ import annotations

import tempfile
from importlib.metadata import EntryPoints, PackageMetadata, PathDistribution
from pathlib import Path

from poetry.utils.isolated_build import IsolatedBuildBaseError, isolated_builder

from poetry_ml_plugin.errors import MLError


def metadata(root: Path) -> tuple[PackageMetadata, EntryPoints]:
    """Prepare the metadata of a project's wheel, in an environment of its own that is gone afterwards.

    Raises MLError with the last of what the back end said.
    """
    with tempfile.TemporaryDirectory(prefix="poetry-ml-", ignore_cleanup_errors=True) as folder:
        try:
            with isolated_builder(root, "wheel") as builder:
                found = PathDistribution(Path(builder.metadata_path(folder)))
            return found.metadata, found.entry_points
        except Exception as error:  # a setup.py raises what it likes
            cause = error if isinstance(error, IsolatedBuildBaseError) else repr(error)
            lines = [line for line in str(cause).strip().splitlines() if line.strip()]
            raise MLError(
                f"The build back end of {root} could not be asked: {lines[-1] if lines else error!r}"
            ) from error
