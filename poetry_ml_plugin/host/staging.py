"""Staging folders, hidden and locked, where files are made before they are moved in place."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import platforms

SUFFIX = ".poetry-ml-stage"


@contextmanager
def stage(folder: Path, name: str) -> Iterator[Path]:
    """Make an empty folder hidden in `folder`, for what is to become `name` there; remove it in the end.

    What killed processes have left in `folder` goes too. Raises MLError where another process is at
    work on the same name.
    """
    clean(folder)
    path = folder / f".{name}{SUFFIX}"
    with platforms.held(_lock(path)) as ours:
        if not ours:
            raise MLError(f"Another process is making {folder / name}. Nothing was changed.")
        remove(path)
        path.mkdir()
        try:
            yield path
        finally:
            remove(path)


def clean(folder: Path) -> None:
    """Remove what processes that are no more have left in a folder, and nothing of those that are."""
    left = {found.name.removesuffix(".lock") for found in folder.glob(f".*{SUFFIX}*")}
    for name in left:
        if name.endswith(SUFFIX):
            with platforms.held(_lock(folder / name)) as ours:
                if ours:
                    _take_back(folder / name, folder)
                    remove(folder / name)


def _take_back(path: Path, folder: Path) -> None:
    """Undo what was put into a folder and not finished: pyproject.toml is what leaves a stage last."""
    if not (path / "pyproject.toml").exists():
        return
    for found in sorted(path.rglob("*"), reverse=True):  # what is in a folder before the folder
        put = folder / found.relative_to(path)
        if found.is_dir():
            with suppress(OSError):  # something is in it, or it is not there
                put.rmdir()
        elif put.exists() and put.samefile(found):  # two names of one file: nobody else's
            put.unlink()


def remove(path: Path) -> None:
    """Remove a folder with all in it, to the end."""
    with platforms.uninterrupted():
        shutil.rmtree(path, ignore_errors=True)


def _lock(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")
