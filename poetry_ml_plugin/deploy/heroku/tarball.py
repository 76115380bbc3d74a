"""A bundle as a gzipped tarball: streamed from the disk, and the same every time."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from poetry_ml_plugin.deploy.heroku.bundle import Bundle, Member
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host.gzip_stream import Gzip

MTIME = 315_532_800  # 1980-01-01, the first that a zip file made from these can hold
CHUNK = 1 << 20
LEVEL = 6  # of what shrinks


@dataclass(frozen=True)
class Packed:
    """A tarball's measures. `sources` is the same for the same files wherever they are packed."""

    sources: str
    sha256: str
    size: int


def pack(bundle: Bundle, out: BinaryIO) -> Packed:
    """Write a gzipped tarball, holding no more than a chunk of a file in memory."""
    measured, content = _Measured(out), hashlib.sha256()
    gzip = Gzip(measured, level=LEVEL)
    for part in _tar(bundle):
        content.update(part)  # which does not depend on who compresses it
        gzip.use(0 if _dense(part) else LEVEL)  # trained weights hardly ever shrink
        gzip.write(part)
    gzip.close()
    return Packed(content.hexdigest(), measured.hash.hexdigest(), measured.size)


def _tar(bundle: Bundle) -> Iterator[bytes]:
    for member in bundle.members:
        size = member.size
        yield _header(member, size)
        yield from _rounded(member, size)
    yield b"\0" * 1024


def _header(member: Member, size: int) -> bytes:
    info = tarfile.TarInfo(member.name)
    info.size = size
    info.mtime = MTIME
    info.mode = 0o755 if member.executable else 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def _rounded(member: Member, size: int) -> Iterator[bytes]:
    """Yield a file's content in chunks, padded to whole blocks. Raises MLError if it changes meanwhile."""
    left, source = size, member.source
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        while left and (part := file.read(min(CHUNK, left))):
            left -= len(part)
            yield part
    if left:
        raise MLError(f"{member.name} changed while it was read. Run the command again.")
    yield b"\0" * (-size % 512)


class _Measured:
    """A file that hashes and measures what is written to it."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self.hash.update(data)
        self.size += len(data)
        self._out.write(data)


def _dense(part: bytes) -> bool:
    """Tell whether a chunk is large and a sample from its middle does not shrink."""
    if len(part) < 1 << 16:
        return False
    middle = len(part) // 2
    sample = part[middle : middle + 16_384]
    return len(zlib.compress(sample, 1)) > 0.97 * len(sample)
