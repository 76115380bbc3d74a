"""A gzip stream whose level of compression may change on the way."""

from __future__ import annotations

import struct
import zlib
from typing import Any, Protocol

BEST = 9


class Sink(Protocol):
    """What a stream is written to."""

    def write(self, data: bytes, /) -> object: ...


class Gzip:
    """Writes one gzip stream, without a name in it: the same every time."""

    def __init__(self, out: Sink, mtime: int = 0, level: int = BEST) -> None:
        self._out, self._size, self._crc = out, 0, 0
        self._level, self._deflate = level, _deflate(level)
        out.write(struct.pack("<4sLBB", b"\x1f\x8b\x08\0", mtime, 2, 255))

    def use(self, level: int) -> None:
        """Change the level from here on."""
        if level != self._level:
            self._out.write(self._deflate.flush(zlib.Z_SYNC_FLUSH))  # ends with a whole byte
            self._level, self._deflate = level, _deflate(level)

    def write(self, data: bytes) -> int:
        self._size += len(data)
        self._crc = zlib.crc32(data, self._crc)
        self._out.write(self._deflate.compress(data))
        return len(data)

    def tell(self) -> int:
        return self._size

    def close(self) -> None:
        """End the stream, and leave what it is written to open."""
        self._out.write(self._deflate.flush())
        self._out.write(struct.pack("<LL", self._crc, self._size & 0xFFFFFFFF))


def _deflate(level: int) -> Any:
    return zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
