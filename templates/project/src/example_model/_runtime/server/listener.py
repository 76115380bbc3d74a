"""Which connections are taken in, and which thread answers what they ask."""

import socket
import threading
from collections import deque
from contextlib import suppress
from http import HTTPStatus

from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from ..service import ServeConfig
from ..service.app import HEALTH, Service
from .connection import Channel, Failure

SMALL = 16_384  # bytes; a larger body takes its time even where the model is quick


class Listener(TcpWSGIServer):
    """Accepts connections, and decides in which thread a request is answered."""

    channel_class = Channel

    def __init__(self, service: Service, settings: ServeConfig, listening: socket.socket) -> None:
        self.settings = settings
        self.service = service
        self.leaving = False
        self.loop = 0  # the thread that runs the loop
        self.awake = False  # whether it was woken since it last looked what there is to do
        self.at_once: deque[Channel] = deque()  # what that thread answers itself
        adjustments = Adjustments(
            sockets=[listening],
            threads=settings.threads,
            connection_limit=settings.connection_limit + 100,  # we evict before waitress stops
            max_request_body_size=settings.max_body_bytes + 1,
            max_request_header_size=settings.max_header_bytes,
            # With waitress's default of 1, a thread sends while it holds the lock that the loop
            # spins on, and throughput collapses under concurrency.
            send_bytes=262_144,
            channel_timeout=10**6,  # Channel.check_time is stricter
            clear_untrusted_proxy_headers=False,  # nothing here reads them
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
        """Answer in the loop what takes less time than waking a thread, and what no busy thread may delay."""
        request = channel.requests[0]
        if len(self.task_dispatcher.queue) >= self.settings.queue_limit and not request.error:
            full = "Too many requests wait. Try again in a second."
            request.error = Failure(HTTPStatus.SERVICE_UNAVAILABLE, full)
        is_small = request.body_bytes_received <= SMALL and not self.leaving
        batcher = self.service.batcher
        is_quick = batcher.is_quick or (batcher.is_alone and not self.at_once)
        if request.error or request.path in HEALTH or (is_small and is_quick):
            self.at_once.append(channel)
            self.pull_trigger()
        else:
            self.task_dispatcher.add_task(channel)

    def pull_trigger(self) -> None:
        """Wake the loop, unless it is the one who asks, or awake already."""
        if not self.awake and threading.get_ident() != self.loop:
            self.awake = True
            super().pull_trigger()

    def leave(self) -> None:
        """Accept no more connections: other processes may. Tell clients to open new ones."""
        self.leaving = True
        self._map.pop(self._fileno, None)

    def handle_close(self) -> None:
        """Another process has closed the socket for all."""
        self.leave()

    def check_time(self, now: float) -> None:
        """Let go of connections whose time is up and, where there are too many, of the oldest idle ones."""
        for channel in list(self.active_channels.values()):
            channel.check_time(now)
        excess = len(self.active_channels) - self.settings.connection_limit
        if excess > 0:
            idle = [c for c in list(self.active_channels.values()) if not c.requests]
            for channel in sorted(idle, key=lambda channel: channel.since)[:excess]:
                channel.handle_close()

    @property
    def is_busy(self) -> bool:
        """Whether a request is being read, waits, or is being answered."""
        channels = list(self.active_channels.values())
        return any(channel.request or not channel.is_idle for channel in channels)

    def accept_all(self) -> None:
        """Take in whoever waits at the socket, then close it for every process."""
        before = -1
        while len(self.active_channels) > before:
            before = len(self.active_channels)
            self.handle_accept()
        with suppress(OSError):  # another process was faster
            self.socket.shutdown(socket.SHUT_RDWR)
