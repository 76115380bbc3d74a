"""A log that comes in pieces, as lines."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable
from datetime import datetime

# Colours and the like, whole: of one without its first character the rest would be left to read.
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")


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
        clean = "".join(c for c in ESCAPES.sub("", line) if c.isprintable() or c == "\t").rstrip()
        self.lines.append(clean)
        self._tell(clean)


def since(lines: Iterable[str], moment: str) -> list[str]:
    """Keep the lines of an app's log that are not older than a moment, as the API writes one."""
    start = _time(moment)
    return [line for line in lines if not ((said := _time(line)) and start and said < start)]


def _time(line: str) -> datetime | None:
    """Read the time at the beginning of a line, if there is one."""
    try:
        found = datetime.fromisoformat(line.split(" ", 1)[0])
    except ValueError:
        return None
    return found if found.tzinfo else None
