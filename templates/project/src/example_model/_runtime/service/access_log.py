"""The access log: each request is counted once, and is one line on standard output."""

import sys
import time
from collections.abc import Collection
from urllib.parse import quote

import msgspec

from ..output import Output
from .metrics import OTHER, Metrics
from .protocol import Request
from .root_path import RootPath

LONGEST = 1_000  # characters of a path


class AccessLog:
    """Counts requests and logs them: as JSON, or plain on a terminal. It neither blocks nor fails."""

    def __init__(
        self, metrics: Metrics, kind: str, routes: Collection[str], root: RootPath
    ) -> None:
        self._metrics, self._routes, self._kind, self._root = metrics, routes, kind, root
        if kind == "auto":
            self._kind = "plain" if sys.stdout is not None and sys.stdout.isatty() else "json"
        self._output = None if kind == "off" else Output(1, metrics.dropped)

    def record(self, request: Request, status: int, seconds: float) -> None:
        """Count a request that was answered, and write its line."""
        path = self._root.strip(request.path).rstrip("/") or "/"
        self._metrics.request(path if path in self._routes else OTHER, str(status), seconds)
        if self._output is None:
            return
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        took = round(seconds * 1000, 2)
        path = request.path[:LONGEST]
        if self._kind == "plain":
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
