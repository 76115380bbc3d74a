"""One process that serves: waitress, from its first connection to a stop that loses no request."""

import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from . import ServeConfig
from .app import HEALTH, Service
from .connection import Channel, Overloaded

TICK = 0.25  # seconds between two looks at what has run out of time
STUCK = 75  # exit code of a process whose prediction does not end
GRACE = 0.1  # seconds for what is on its way to a server that stops accepting

log = logging.getLogger(__name__)


class Listener(TcpWSGIServer):
    """Accepts connections, and decides in which thread a request is answered."""

    channel_class = Channel

    def __init__(self, service: Service, settings: ServeConfig, listening: socket.socket) -> None:
        self.settings = settings
        self._service = service
        self.leaving = False
        self.at_once: deque[Channel] = deque()
        adjustments = Adjustments(
            sockets=[listening],
            threads=settings.threads,
            connection_limit=settings.connection_limit + 100,  # we evict before waitress stops
            max_request_body_size=settings.max_body_bytes + 1,
            max_request_header_size=settings.max_header_bytes,
            # With waitress's default of 1, a thread sends while it holds the lock that the main
            # loop spins on, and throughput collapses under concurrency.
            send_bytes=262_144,
            channel_timeout=10**6,  # Channel.check_time is stricter
            ident=None,
        )
        address = (listening.family, listening.type, listening.proto, listening.getsockname())
        super().__init__(
            service.app,
            map={},
            _sock=listening,
            adj=adjustments,
            sockinfo=address,
            bind_socket=False,
        )

    def handle_accept(self) -> None:
        # One at a time spreads connections over the workers; a flood is taken in faster.
        for _ in range(1 + len(self.active_channels) // 16):
            before = len(self.active_channels)
            super().handle_accept()
            if len(self.active_channels) == before:
                break

    def add_task(self, channel: Channel) -> None:
        """Health is answered by the main loop, as is a refusal: no busy thread delays them."""
        request = channel.requests[0]
        if len(self.task_dispatcher.queue) >= self.settings.queue_limit and not request.error:
            request.error = Overloaded("Too many requests wait. Try again in a second.")
        if request.error or request.path in HEALTH:
            self.at_once.append(channel)
            self.pull_trigger()
        else:
            self.task_dispatcher.add_task(channel)

    def refused(self, number: str, request: Any, status: int) -> None:
        """Count and log what was answered without the application."""
        self._service.metrics.request("refused", str(int(status)), 0)
        method, path = getattr(request, "command", "-"), getattr(request, "path", "-")
        self._service.log(number, str(method), str(path), str(int(status)), 0)

    def leave(self) -> None:
        """Accept no more connections: other processes may. Tell clients to open new ones."""
        self.leaving = True
        self._map.pop(self._fileno, None)

    def handle_close(self) -> None:
        """Another process has closed the socket for all."""
        self.leave()

    def evict(self) -> None:
        """Where there are too many connections, close the oldest that is not being answered."""
        excess = len(self.active_channels) - self.settings.connection_limit
        if excess > 0:
            idle = [channel for channel in self.active_channels.values() if channel.is_idle]
            for channel in sorted(idle, key=lambda channel: channel.since)[:excess]:
                channel.will_close = True


class Server:
    """Serves until stopped, then finishes what is in flight."""

    def __init__(
        self,
        model: Any,
        settings: ServeConfig,
        listening: socket.socket,
        violation: Callable[[], bool] = lambda: False,
        parent: int | None = None,
    ) -> None:
        logging.getLogger("waitress").setLevel(logging.ERROR)
        self._settings = settings
        self._service = Service(model, settings)
        self._service.status.reason = "The service is starting."
        if examples := getattr(model, "examples", None):
            model.predict(examples)  # the first call is slow: it should be nobody's request
        self._listener = Listener(self._service, settings, listening)
        self._violation = violation
        self._stopping = self._closing = False
        self._parent = parent
        self._next_tick = 0.0

    def stop(self, *_: Any) -> None:
        """Ask the running server to finish and leave. Safe in a signal handler."""
        self._stopping = True
        self._listener.pull_trigger()

    def stop_all(self, *_: Any) -> None:
        """The same, and let no other process accept from the socket either."""
        self._closing = True
        self.stop()

    def run(self) -> None:
        """Serve until stopped."""
        self._service.status.reason = None
        threading.Thread(target=self._watch, daemon=True).start()
        while not self._stopping:
            self._poll(TICK)
        self._drain()

    def _poll(self, seconds: float) -> None:
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._listener._map, count=1)
        while self._listener.at_once:
            self._listener.at_once.popleft().service()
        now = time.monotonic()
        if now < self._next_tick:
            return
        self._next_tick = now + TICK
        for channel in list(self._listener.active_channels.values()):
            channel.check_time(now)
        self._listener.evict()
        self._service.metrics.depth(
            len(self._listener.task_dispatcher.queue) + self._service.batcher.depth
        )
        since = self._service.batcher.busy_since
        if since is not None and now - since > self._settings.stuck_seconds:
            log.error("A prediction did not end in %g s.", self._settings.stuck_seconds)
            os._exit(STUCK)  # no thread can be ended from outside

    def _watch(self) -> None:
        """Say that the service is not ready while an artifact differs from its manifest."""
        while not self._stopping:
            if self._parent is not None and os.getppid() != self._parent:
                self.stop_all()  # nobody is left to replace this process, or to stop it
            changed = "An artifact differs from its manifest." if self._violation() else None
            if not self._stopping:
                self._service.status.reason = changed
            time.sleep(1)

    def _drain(self) -> None:
        self._service.status.reason = "The service is stopping."
        deadline = time.monotonic() + self._settings.drain_seconds
        quiet = time.monotonic() + GRACE
        self._listener.leave()
        while (now := time.monotonic()) < deadline:
            if self._closing:
                self._close_socket()
            self._poll(0.02)
            if any(
                not channel.is_idle or channel.request
                for channel in list(self._listener.active_channels.values())
            ):
                quiet = now + GRACE
            elif now > quiet:
                break
        self._listener.task_dispatcher.shutdown(timeout=1)
        wasyncore.close_all(self._listener._map)

    def _close_socket(self) -> None:
        """Take in whoever waits at the socket, then close it for every process."""
        self._closing = False
        before = -1
        while len(self._listener.active_channels) > before:
            before = len(self._listener.active_channels)
            self._listener.handle_accept()
        with suppress(OSError):  # another process was faster
            self._listener.socket.shutdown(socket.SHUT_RDWR)
