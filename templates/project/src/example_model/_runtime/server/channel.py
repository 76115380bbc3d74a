"""What may happen on a connection, and for how long it may take."""

import time
from contextlib import suppress
from http import HTTPStatus
from socket import SHUT_WR
from typing import Any

from waitress.channel import ClientDisconnected, HTTPChannel

from .parser import Failure, Parser
from .task import Task

LINGER = 2.0  # seconds for a client that was refused to read why


class Channel(HTTPChannel):
    """A connection on which nothing may take for ever.

    The thread that owns the loop reads, writes and closes; the thread that answers a request appends to
    the output, and nothing else. `outbuf_lock` guards the output, and with it `answering` and `expired`:
    whichever thread sets one of them first is the one that answers.
    """

    close_when_flushed: bool
    request: Any
    parser_class = Parser
    task_class = error_task_class = Task

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # The first byte of a request, or of an answer, or its end: what happens now began then.
        self.since = self.asked = time.monotonic()
        self.is_new = True  # nothing was answered yet
        self.answering = self.expired = self.lingers = self.half_closed = False
        super().__init__(*arguments, **options)

    def received(self, data: bytes) -> bool:
        if self.half_closed:
            return False  # of no interest any more
        if self.request is None and not self.requests:
            self.since, self.answering = time.monotonic(), False
        return bool(super().received(data))

    def write_soon(self, data: Any, whole: bool = False) -> int:
        """Send what is a whole answer at once, where nothing is to be sent before it; the rest later."""
        with self.outbuf_lock:
            if self.expired or not self.connected:
                raise ClientDisconnected
            if not self.answering:
                self.answering, self.since = True, time.monotonic()
            sent = self.send(data, do_close=False) if whole and not self.total_outbufs_len else 0
            return sent + (int(super().write_soon(data[sent:])) if sent < len(data) else 0)

    def handle_write(self) -> None:
        if not (self.lingers and self.close_when_flushed):
            super().handle_write()
            return
        self._flush_exception(self._flush_some)
        if not self.total_outbufs_len:
            # To close with bytes unread would take the answer away from the client.
            self.close_when_flushed = False
            self.half_closed = True
            self.since = time.monotonic()
            with suppress(OSError):
                self.socket.shutdown(SHUT_WR)

    def service(self) -> None:
        self.answering = False
        super().service()
        self.is_new = False
        self.since = time.monotonic()

    @property
    def is_idle(self) -> bool:
        """Whether nothing that was asked for is still to be answered."""
        return not self.requests and not self.total_outbufs_len

    def check_time(self, now: float) -> None:
        """Close the connection, or answer 504 or 408, if its time is up. For the loop's owner."""
        settings, in_flight = self.server.settings, bool(self.requests)
        elapsed = now - self.since
        if in_flight and not self.answering:
            if elapsed > settings.predict_seconds:
                late = HTTPStatus.GATEWAY_TIMEOUT, "The prediction took too long."
                self._refuse(self.requests[0], *late)
        elif self.request is not None and not in_flight and not self.half_closed:
            in_body = self.request.headers_finished
            if elapsed > (settings.body_seconds if in_body else settings.header_seconds):
                request, self.request = self.request, None
                self.asked = self.since
                late = HTTPStatus.REQUEST_TIMEOUT, "The request took too long to arrive."
                self._refuse(request, *late)
        elif elapsed > (LINGER if self.half_closed else self._idle_seconds):
            self.handle_close()  # at once: whoever reads nothing would keep it open for ever

    @property
    def _idle_seconds(self) -> float:
        settings, is_known = self.server.settings, self.answering or not self.is_new
        return float(settings.keep_alive_seconds if is_known else settings.header_seconds)

    def _refuse(self, request: Any, status: HTTPStatus, detail: str) -> None:
        """Answer in the place of the thread that still works on the request, or will, or never can."""
        with self.outbuf_lock:
            if self.expired or not self.connected or (self.answering and self.requests):
                return
            self.answering = False
            request.error = Failure(status, detail)
            Task(self, request).service()
            self._flush_exception(self._flush_some, do_close=False)
            self.expired = self.close_when_flushed = True
