# mypy: disable-error-code="import-not-found,import-untyped"
"""Bare waitress with a constant answer: what no service on waitress exceeds."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import waitress

answer = Path(sys.argv[3]).read_bytes()
headers = [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Read the request, say the same as ever."""
    environ["wsgi.input"].read()
    start_response("200 OK", headers)
    return [answer]


if __name__ == "__main__":
    listening = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)
    for _ in range(int(sys.argv[2]) - 1):
        if os.fork() == 0:
            break
    waitress.serve(
        app,
        sockets=[listening],
        _quiet=True,
        threads=64,
        connection_limit=1000,
        send_bytes=262_144,
        asyncore_use_poll=True,
        ident=None,
    )
