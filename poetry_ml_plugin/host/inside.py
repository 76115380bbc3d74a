"""Paths that must not lead out of a folder: a project may come from a stranger, with links in it."""

from __future__ import annotations

from pathlib import Path

from poetry_ml_plugin.errors import MLError


def resolve(path: Path, folder: Path) -> Path:
    """Follow the links of a path that is to be written. Raises MLError where they lead out of a folder."""
    try:
        found, home = path.resolve(), folder.resolve()
    except (OSError, RuntimeError) as error:  # a circle
        raise MLError(f"{path} cannot be written: {error}.") from error
    if not found.is_relative_to(home):
        raise MLError(
            f"{path} is a link, or below one, that leads to {found}, outside {home}. "
            "Nothing was written there. Replace the link with what it leads to."
        )
    return found
