"""Writing of rendered files: all of them or none."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import inside, platforms, staging
from poetry_ml_plugin.template.render import PYPROJECT, File


def write(files: Mapping[PurePosixPath, File], target: Path) -> None:
    """Make `target` with these files in it: all of them or, on any failure, none.

    Raises MLError where `target` is a file or a folder with something in it, or cannot be written.
    """
    check_target(target)
    if target.is_dir():  # it stays the one it is: a shell may be in it, or a disk be mounted there
        add(files, target)
        return
    with _told(target), _parents(target), staging.stage(target.parent, target.name) as stage:
        _fill(stage, files)
        with platforms.uninterrupted():
            _put(stage, target)
            platforms.flush_folder(target.parent)


def _put(stage: Path, target: Path) -> None:
    try:
        platforms.put_folder(stage, target)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise
        raise MLError(
            f"{target} was just created by another process. Nothing was changed."
        ) from error


def add(files: Mapping[PurePosixPath, File], root: Path) -> None:
    """Put new files into a folder, and pyproject.toml last: all of them or, on any failure, none.

    pyproject.toml may be there, and is replaced. As long as it is not, what a killed process has put
    in place is taken back by staging.clean.
    """
    for name in {*files, PYPROJECT}:
        inside.resolve(root / name, root)
    with _told(root), staging.stage(root, "") as stage:
        _fill(stage, files)
        made: list[Path] = []
        with platforms.uninterrupted():
            try:
                for name in files.keys() - {PYPROJECT}:
                    _make_parents(root / name, made)
                    platforms.put_file(stage / name, root / name)
                    made.append(root / name)
                for folder in {path.parent for path in made}:
                    platforms.flush_folder(folder)
                _rewrite(stage / PYPROJECT, root / PYPROJECT)
            except BaseException:  # Ctrl-C, too, where signals do not wait
                for path in reversed(made):
                    path.rmdir() if path.is_dir() else path.unlink()
                raise


def _rewrite(source: Path, target: Path) -> None:
    target = target.resolve()  # a link stays one
    if target.exists():
        shutil.copymode(target, source)
    source.replace(target)


def missing(files: Mapping[PurePosixPath, File], root: Path) -> dict[PurePosixPath, File]:
    """Select the files that a folder can take: nothing is at their paths, and no parent is a file."""
    return {
        name: file
        for name, file in files.items()
        if not os.path.lexists(root / name)
        and all(
            (root / parent).is_dir() or not os.path.lexists(root / parent)
            for parent in name.parents
        )
    }


def check_target(target: Path) -> None:
    """Require that a project can be put at `target`. Raises MLError otherwise."""
    with _told(target):
        there = next((above for above in target.parents if os.path.lexists(above)), None)
        if there and not there.is_dir():
            raise MLError(f"{there} is a file. Choose another folder.")
        if target.is_dir():
            staging.clean(target)
            if any(target.iterdir()):
                raise MLError(
                    f"{target} is not empty. Choose another folder, "
                    "or add the missing files with --into."
                )
        elif os.path.lexists(target):
            raise MLError(f"{target} is a file. Choose another folder.")


def _fill(folder: Path, files: Mapping[PurePosixPath, File]) -> None:
    """Write files into an empty folder, and see them to the disk."""
    made: list[Path] = [folder]
    for name, file in files.items():
        path = folder / name
        _make_parents(path, made)
        with path.open("xb") as new:
            new.write(file.content)
            new.flush()
            os.fsync(new.fileno())
        if file.executable:
            path.chmod(0o755)
    for parent in reversed(made):
        platforms.flush_folder(parent)


def _make_parents(path: Path, made: list[Path]) -> None:
    """Make the folders that a file needs, and note them."""
    if not path.parent.is_dir():
        _make_parents(path.parent, made)
        path.parent.mkdir()
        made.append(path.parent)


@contextlib.contextmanager
def _parents(target: Path) -> Iterator[None]:
    """Make the folders above `target`, and remove them if nothing comes of it."""
    made: list[Path] = []
    try:
        _make_parents(target, made)
        yield
    except BaseException:
        for path in reversed(made):
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


@contextlib.contextmanager
def _told(target: Path) -> Iterator[None]:
    """Turn a failure of the file system into one sentence."""
    try:
        yield
    except OSError as error:
        raise MLError(
            f"{target} cannot be written: {error.strerror}. Nothing was written. Fix that, or choose another folder."
        ) from error
