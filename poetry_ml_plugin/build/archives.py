"""Reader of wheels and sdists, member by member, whatever their size."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from poetry_ml_plugin.errors import MLError

BROKEN = (OSError, EOFError, ValueError, zlib.error, tarfile.TarError, zipfile.BadZipFile)


def is_wheel(archive: Path) -> bool:
    """Tell a wheel from an sdist by its name."""
    return archive.suffix == ".whl"


def members(archive: Path) -> Iterator[tuple[PurePosixPath, IO[bytes] | None]]:
    """Yield each file of an archive with its content, to be read before the next one.

    There is no content where the member is a link. An sdist's own top folder is not in the paths.
    Raises MLError where the archive is broken.
    """
    try:
        yield from _wheel(archive) if is_wheel(archive) else _sdist(archive)
    except BROKEN as error:
        raise MLError(f"{archive.name} cannot be read: {error}") from error


def _wheel(archive: Path) -> Iterator[tuple[PurePosixPath, IO[bytes] | None]]:
    with zipfile.ZipFile(archive) as wheel:
        for info in wheel.infolist():
            if not info.is_dir():
                with wheel.open(info) as content:
                    yield PurePosixPath(info.filename), content


def _sdist(archive: Path) -> Iterator[tuple[PurePosixPath, IO[bytes] | None]]:
    with tarfile.open(archive, "r|gz") as sdist:
        for info in sdist:
            if not info.isdir():
                path = PurePosixPath(*PurePosixPath(info.name).parts[1:])
                if info.issparse():  # a few bytes of it unpack to any size
                    raise ValueError(f"{path} is a sparse file")
                yield path, sdist.extractfile(info) if info.isreg() else None
