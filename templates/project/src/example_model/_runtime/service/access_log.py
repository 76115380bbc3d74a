"""The access log: each request is one line on standard output, as JSON, or plain on a terminal."""

import sys
import time
from collections.abc import Callable
from urllib.parse import quote

import msgspec

from ..output import Output
from .protocol import Request

LONGEST = 1_000  # characters of a path


class AccessLog:
    """Writes the lines from a thread of its own. It neither blocks nor fails."""

    def __init__(self, kind: str, on_drop: Callable[[int], None]) -> None:
        is_terminal = sys.stdout is not None and sys.stdout.isatty()
        self._is_plain = kind == "plain" or (kind == "auto" and is_terminal)
        self._output = None if kind == "off" else Output(1, on_drop)

    def record(self, request: Request, status: int, seconds: float) -> None:
        """Write the line of a request that was answered."""
        if self._output is None:
            return
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        took, path = round(seconds * 1000, 2), request.path[:LONGEST]
        if self._is_plain:
            self._output.write(f"{now} {request.method} {quote(path)} {status} {took} ms".encode())
            return
        # JSON escapes a line feed. What else some readers take for the end of a line is no ASCII.
        path = path if path.isascii() else quote(path)
        fields = {"time": now, "id": request.id, "method": request.method, "path": path}
        self._output.write(msgspec.json.encode({**fields, "status": status, "ms": took}))

    def close(self, seconds: float) -> None:
        """Write what is still to be written, for at most so long."""
        if self._output is not None:
            self._output.close(seconds)
