"""The loop over all connections, and in which thread a request is answered."""

import socket
import threading
import time
from collections import deque
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from waitress import wasyncore
from waitress.server import TcpWSGIServer
from waitress.utilities import build_http_date

from ..service.protocol import Application, ServeConfig
from .channel import Channel
from .parser import Failure

MEMORY = 2**40  # bytes; bodies are limited, answers are in memory anyway: nothing goes to a disk
SMALL = 16_384  # bytes; a larger body takes its time even where the model is quick
TICK = 0.25  # seconds between two looks at what has run out of time
LOOK = 0.1  # seconds that one answer may hold the loop up before another thread takes it over


class Loop(TcpWSGIServer):
    """A listening socket with its connections, and a pool of threads for what takes time.

    It runs in one thread at a time, which owns it. Everything is for that thread, but for `add_task` and
    `pull_trigger`, which the threads of the pool call, and `look`, `leave`, `is_busy` and `end`, which the
    main thread calls.

    Answering in the loop saves two switches between threads, a quarter to a third of what a quick request
    costs. Its price is that an answer may turn out to be slow after all. Then the loop changes hands:
    only while its owner is inside an answer, where it touches nothing but the channel of that answer, as
    a thread of the pool does. So at any time one thread at most polls, accepts, and closes.
    """

    channel_class = Channel

    def __init__(
        self, application: Application, settings: ServeConfig, listening: socket.socket
    ) -> None:
        self.service, self.settings = application, settings
        self.leaving = False  # no more connections are accepted
        self._closing = False  # the socket is to be closed for all processes
        self._quick: deque[Channel] = deque()  # what the owner answers itself, after this turn
        self._awake = False  # the owner was woken since it last looked what there is to do
        self._next_tick, self.date = 0.0, build_http_date(time.time())
        self._ended = False
        self._lock = threading.Lock()  # guards _owner and _answering, as a pair
        super().__init__(
            application.wsgi,
            map={},
            _sock=listening,
            sockinfo=(listening.family, listening.type, listening.proto, listening.getsockname()),
            bind_socket=False,
            threads=settings.threads,
            connection_limit=settings.connection_limit
            + 2,  # with the socket, and what wakes the loop
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
        self._hand_over()

    def look(self) -> None:
        """Give the loop to another thread if an answer has held it up for too long. To be called often.

        Raises RuntimeError if the loop has ended by itself, which is a bug.
        """
        with self._lock:
            if not self._owner.is_alive():
                raise RuntimeError("The loop has ended.")
            if self._answering is not None and time.monotonic() - self._answering > LOOK:
                self._hand_over()

    def leave(self, for_all: bool) -> None:
        """Accept no more connections; `for_all` if no other process is to accept them either."""
        self._closing, self.leaving = for_all, True
        super().pull_trigger()  # the owner may have looked at both already

    @property
    def is_busy(self) -> bool:
        """Whether a request is being read, waits, or is being answered."""
        channels = list(self.active_channels.values())
        return any(channel.request or not channel.is_idle for channel in channels)

    def end(self, seconds: float) -> None:
        """Let the loop and the pool end, for at most so long each, and close all connections."""
        self._ended = True
        self._owner.join(seconds)
        self.task_dispatcher.shutdown(timeout=seconds)
        wasyncore.close_all(self._map)

    def readable(self) -> bool:
        return not self.leaving and bool(super().readable())

    def handle_accept(self) -> None:
        # One at a time spreads connections over the workers; a flood is taken in faster.
        for _ in range(1 + len(self.active_channels) // 16):
            if len(self.active_channels) >= self.settings.connection_limit - 1:
                self._evict()
            before = len(self.active_channels)
            if before < self.settings.connection_limit:
                super().handle_accept()
            if len(self.active_channels) == before:
                break

    def handle_close(self) -> None:
        """Another process has closed the socket for all."""
        self.leaving = True

    def add_task(self, channel: Channel) -> None:
        """Have a request answered: by the owner of the loop if that is quicker than to wake a thread."""
        request, pool = channel.requests[0], self.task_dispatcher
        channel.asked = time.monotonic()
        if len(pool.queue) >= self.settings.queue_limit and request.error is None:
            full = "The server is at capacity. Retry after 1 second."
            request.error = Failure(HTTPStatus.SERVICE_UNAVAILABLE, full)
        # The owner alone appends to `_quick`, as it alone takes from it: nobody has to wake it.
        if threading.current_thread() is self._owner and self._is_quick(request):
            self._quick.append(channel)
        else:
            pool.add_task(channel)

    def pull_trigger(self) -> None:
        """Wake the owner of the loop, unless it is the one who asks, or awake already."""
        if not self._awake and threading.current_thread() is not self._owner:
            self._awake = True
            super().pull_trigger()

    def _is_quick(self, request: Any) -> bool:
        if request.error is not None:
            return True
        is_small = request.body_bytes_received <= SMALL and not self.leaving
        return is_small and self.service.is_quick(request.path, alone=not self._quick)

    def _hand_over(self) -> None:
        self._answering: float | None = None  # since when the owner is inside an answer
        self._owner = threading.Thread(target=self._run, name="loop", daemon=True)
        self._owner.start()

    def _run(self) -> None:
        while not self._ended:
            while self._quick:
                if not self._answer(self._quick.popleft()):
                    return
            self._awake = False  # before the look: what comes later wakes the owner again
            wasyncore.loop(timeout=TICK, use_poll=True, map=self._map, count=1)
            if self._closing:
                self._closing = False
                self._accept_all()
            if (now := time.monotonic()) > self._next_tick:
                self._next_tick, self.date = now + TICK, build_http_date(time.time())
                for channel in list(self.active_channels.values()):
                    channel.check_time(now)
                self.service.note_waiting(len(self.task_dispatcher.queue))

    def _answer(self, channel: Channel) -> bool:
        """Answer a request, and say whether this thread still owns the loop then."""
        self._answering = time.monotonic()  # from here on the loop may change hands
        channel.service()
        with self._lock:
            if is_owner := threading.current_thread() is self._owner:
                self._answering = None
        if not is_owner:
            self.pull_trigger()  # for the new owner to look at the channel
        elif channel.writable():
            channel.handle_write()  # now, and not after another turn
        return is_owner

    def _accept_all(self) -> None:
        """Take in whoever waits at the socket, then close it for every process."""
        before = -1
        while len(self.active_channels) > before:
            before = len(self.active_channels)
            self.handle_accept()
        with suppress(OSError):  # another process was faster
            self.socket.shutdown(socket.SHUT_RDWR)

    def _evict(self) -> None:
        """Close the connection that has been idle for longest, to have room for another."""
        idle = [channel for channel in self.active_channels.values() if channel.is_idle]
        if idle:
            min(idle, key=lambda channel: channel.since).handle_close()
