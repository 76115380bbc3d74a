# mypy: disable-error-code="import-not-found,import-untyped"
"""The generated service on stock waitress: what its own transport is worth shows beside it."""

from __future__ import annotations

import os
import socket
import sys

import waitress
from bench import package
from bench._runtime.board import Board
from bench._runtime.service import ServeConfig
from bench._runtime.service.app import Service
from bench.models.model import Model

if __name__ == "__main__":
    model = Model()
    board = Board()
    listening = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)
    seat = 0
    for seat in range(1, int(sys.argv[2])):
        if os.fork() == 0:
            break
        seat = 0
    service = Service(package, model, ServeConfig(log="off"), board, seat)
    waitress.serve(
        service.wsgi,
        sockets=[listening],
        _quiet=True,
        threads=64,
        connection_limit=1000,
        send_bytes=262_144,
        ident=None,
    )
