"""Run the service on waitress, and stop it without losing a request."""

import logging
import signal
import socket
import time
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from waitress import wasyncore
from waitress.server import create_server

from ..errors import ProjectError
from .app import create_app
from .resources import Ready


class ServeConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """configs/serve.yaml."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8000
    threads: Annotated[int, Meta(ge=1)] = 16
    max_body_bytes: Annotated[int, Meta(ge=1)] = 1_048_576
    max_rows: Annotated[int, Meta(ge=1)] = 10_000
    connection_limit: Annotated[int, Meta(ge=1)] = 1000
    drain_seconds: Annotated[float, Meta(ge=0)] = 20


class Server:
    """Serves an application on waitress until SIGTERM or SIGINT, then finishes what is in flight."""

    def __init__(self, model: Any, settings: ServeConfig) -> None:
        self._settings = settings
        self._ready = Ready()
        self._stopping = False
        self._sockets: dict[int, Any] = {}
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._waitress = create_server(
            create_app(model, settings.max_rows, self._ready),
            map=self._sockets,
            sockets=[_listen(settings)],
            threads=settings.threads,
            connection_limit=settings.connection_limit,
            max_request_body_size=settings.max_body_bytes,
            # With waitress's default of 1, a worker sends while it holds the lock that the main
            # loop spins on, and throughput collapses under concurrency.
            send_bytes=262_144,
            channel_timeout=95,  # Heroku's router keeps idle connections for 90 s
            ident=None,
        )

    @property
    def url(self) -> str:
        """Where the service answers."""
        host, port = self._waitress.socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def stop(self, *_: Any) -> None:
        """Ask the running server to finish and leave. Safe in a signal handler."""
        self._stopping = True
        self._waitress.pull_trigger()

    def run(self) -> None:
        """Serve until stopped."""
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)
        while not self._stopping:
            self._poll()
        self._drain()

    def _drain(self) -> None:
        self._ready.draining = True
        while self._accepted_one():
            pass  # whoever reached the queue of the socket before it closes is answered
        self._waitress.del_channel(self._sockets)
        self._waitress.socket.close()
        deadline = time.monotonic() + self._settings.drain_seconds
        self._poll()  # reads what has arrived on the connections accepted last
        while self._in_flight() and time.monotonic() < deadline:
            self._poll()
        self._waitress.task_dispatcher.shutdown(timeout=1)
        wasyncore.close_all(self._sockets)

    def _accepted_one(self) -> bool:
        before = len(self._sockets)
        self._waitress.handle_accept()
        return len(self._sockets) > before

    def _in_flight(self) -> bool:
        return any(
            channel.requests or channel.request or channel.total_outbufs_len
            for channel in self._waitress.active_channels.values()
        )

    def _poll(self) -> None:
        wasyncore.loop(timeout=0.5, use_poll=True, map=self._sockets, count=1)


def _listen(settings: ServeConfig) -> socket.socket:
    try:
        return socket.create_server(
            (settings.host, settings.port),
            family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET,
            backlog=1024,
        )
    except OSError as error:
        raise ProjectError(
            f"Cannot listen on {settings.host}, port {settings.port}: {error.strerror}. "
            "Choose another with --port."
        ) from error
