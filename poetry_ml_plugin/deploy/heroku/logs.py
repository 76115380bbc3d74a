"""A log that comes in pieces, as lines."""

from __future__ import annotations

import codecs
from collections.abc import Callable


class Log:
    """Bytes in, lines out."""

    def __init__(self, tell: Callable[[str], None] = lambda line: None) -> None:
        self.read = 0
        """How many bytes came: what is missing after a drop is asked for by it."""
        self.lines: list[str] = []
        self._tell = tell
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""

    def take(self, chunk: bytes) -> None:
        self.read += len(chunk)
        *whole, self._rest = (self._rest + self._decode(chunk)).split("\n")
        for line in whole:
            self._line(line)

    def end(self) -> None:
        if self._rest:
            self._line(self._rest)
        self._rest = ""

    def _line(self, line: str) -> None:
        # Heroku keeps a silent stream open with zero bytes, and no log may steer a terminal.
        clean = "".join(c for c in line if c.isprintable() or c == "\t").rstrip()
        self.lines.append(clean)
        self._tell(clean)
