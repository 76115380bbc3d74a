"""Which connections are accepted, and for how long they are kept."""

import socket
import time
from contextlib import suppress

from waitress import wasyncore
from waitress.server import TcpWSGIServer

from ..service.protocol import Application, ServeConfig
from .channel import Channel
from .sockets import ignore_new

MEMORY = 2**40  # bytes; bodies are limited, answers are in memory anyway: nothing goes to a disk
GRACE = 0.1  # seconds for what is on its way to a server that stops accepting
TICK = 0.25  # seconds between two looks at what has run out of time


class Listener(TcpWSGIServer):
    """A listening socket with its connections.

    Everything is for the thread that owns the loop (loop.Loop), but for `leave` and `is_busy`, which
    the main thread calls.
    """

    channel_class = Channel

    def __init__(
        self, application: Application, settings: ServeConfig, listening: socket.socket
    ) -> None:
        self.service, self.settings = application, settings
        self._most = settings.connection_limit
        self.leaving = False  # no more connections are accepted
        self._closing = False  # the socket is to be closed for all processes
        self._next_tick = 0.0
        super().__init__(
            application.wsgi,
            map={},
            _sock=listening,
            sockinfo=(listening.family, listening.type, listening.proto, listening.getsockname()),
            bind_socket=False,
            threads=settings.threads,
            connection_limit=self._most + 2,  # with the socket itself, and what wakes the loop
            inbuf_overflow=MEMORY,
            outbuf_overflow=MEMORY,
            max_request_body_size=settings.max_body_bytes + 1,
            max_request_header_size=settings.max_header_bytes,
            # With waitress's default of 1, a thread sends while it holds the lock that the loop
            # spins on, and throughput collapses under concurrency.
            send_bytes=262_144,
            channel_timeout=10**6,  # Channel.check_time is stricter
            clear_untrusted_proxy_headers=False,  # nothing here reads them
            ident=None,
        )

    def turn(self) -> None:
        """Read and write whatever can be, after waiting for a tick at most."""
        wasyncore.loop(timeout=TICK, use_poll=True, map=self._map, count=1)
        if self._closing:
            self._closing = False
            self._accept_all()
        if (now := time.monotonic()) > self._next_tick:
            self._next_tick = now + TICK
            for channel in list(self.active_channels.values()):
                channel.check_time(now)
            self.service.note_waiting(len(self.task_dispatcher.queue))

    def readable(self) -> bool:
        return not self.leaving and bool(super().readable())

    def handle_accept(self) -> None:
        # One at a time spreads connections over the workers; a flood is taken in faster.
        for _ in range(1 + len(self.active_channels) // 16):
            idle = [channel for channel in self.active_channels.values() if channel.is_idle]
            if len(self.active_channels) >= self._most - 1 and idle:
                min(idle, key=lambda channel: channel.since).handle_close()
            before = len(self.active_channels)
            if before < self._most:
                super().handle_accept()
            if len(self.active_channels) == before:
                break

    def handle_close(self) -> None:
        """Another process has closed the socket for all."""
        self.leaving = True

    def leave(self, for_all: bool) -> None:
        """Accept no more connections; `for_all` if no other process is to accept them either."""
        if (
            for_all
        ):  # accept for a moment longer, while no connections begin: none is cut off unheard
            ignore_new(self.socket)
            time.sleep(GRACE)
        self._closing, self.leaving = for_all, True
        self.trigger.pull_trigger()  # the owner may have looked at both already

    @property
    def is_busy(self) -> bool:
        """Whether a request is being read, waits, or is being answered."""
        channels = list(self.active_channels.values())
        return any(channel.request or not channel.is_idle for channel in channels)

    def _accept_all(self) -> None:
        """Take in whoever waits at the socket, then close it for every process."""
        before = -1
        while len(self.active_channels) > before:
            before = len(self.active_channels)
            self.handle_accept()
        with suppress(OSError):  # another process was faster
            self.socket.shutdown(socket.SHUT_RDWR)
