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

MTIME = 315_532_800  # 1980-01-01, the first that a zip file made from these can hold
CHUNK = 1 << 20


@dataclass(frozen=True)
class Packed:
    """A tarball's measures. `sources` is the same for the same files wherever they are packed."""

    sources: str
    sha256: str
    size: int


def pack(bundle: Bundle, out: BinaryIO) -> Packed:
    """Write a gzipped tarball, holding no more than a chunk of a file in memory."""
    gzip = _Gzip(out)
    for member in bundle.members:
        size = member.size
        gzip.write(_header(member, size))
        for content in _rounded(member, size):
            gzip.write(content)
    gzip.write(b"\0" * 1024)
    gzip.close()
    return Packed(gzip.content.hexdigest(), gzip.hash.hexdigest(), gzip.size)


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


class _Gzip:
    """One gzip stream whose incompressible parts are stored as they are, which is ten times as fast.

    Trained weights hardly ever shrink. Each write of a chunk decides anew.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._crc = self._length = 0
        self._level = 6
        self._deflate = _deflate(self._level)
        self.content = hashlib.sha256()
        """Of what went in, which does not depend on who compressed it."""
        self.hash = hashlib.sha256()
        self.size = 0
        self._emit(b"\x1f\x8b\x08\0\0\0\0\0\0\xff")  # no name, no time: the same every time

    def write(self, part: bytes) -> None:
        self.content.update(part)
        self._crc = zlib.crc32(part, self._crc)
        self._length += len(part)
        level = 0 if _dense(part) else 6
        if level != self._level:
            # End at a whole byte, so that a stream of another level can follow.
            self._emit(self._deflate.flush(zlib.Z_FULL_FLUSH))
            self._level, self._deflate = level, _deflate(level)
        self._emit(self._deflate.compress(part))

    def close(self) -> None:
        self._emit(self._deflate.flush(zlib.Z_FINISH))
        self._emit(self._crc.to_bytes(4, "little") + (self._length % 2**32).to_bytes(4, "little"))

    def _emit(self, data: bytes) -> None:
        self.hash.update(data)
        self.size += len(data)
        self._out.write(data)


def _deflate(level: int) -> zlib._Compress:
    return zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)


def _dense(part: bytes) -> bool:
    """Tell whether a chunk is large and a sample from its middle does not shrink."""
    if len(part) < 1 << 16:
        return False
    middle = len(part) // 2
    sample = part[middle : middle + 16_384]
    return len(zlib.compress(sample, 1)) > 0.97 * len(sample)
