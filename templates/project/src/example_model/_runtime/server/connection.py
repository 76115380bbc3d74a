"""What a connection may send, and for how long it may take: waitress, with stricter manners."""

import re
import time
from contextlib import suppress
from http import HTTPStatus
from socket import SHUT_WR
from typing import Any

from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import Error

from ..service.app import problem, request_id

LINGER = 2.0  # seconds for a client that was refused to read why
FOLDED = re.compile(rb"\r\n[ \t]")
FRAMING = re.compile(rb"^(host|content-length|transfer-encoding)[ \t]*:", re.I | re.M)
TOO_LARGE = {
    413: "The body has more than {0.max_body_bytes} bytes. Send the rows in several requests.",
    431: "The headers have more than {0.max_header_bytes} bytes.",
}


class Failure(Error):
    """What is refused though the request is well."""

    def __init__(self, status: HTTPStatus, body: str) -> None:
        self.code, self.reason, self.body = status.value, status.phrase, body


class Parser(HTTPRequestParser):
    """Refuses requests that another program on the way may read otherwise."""

    def parse_header(self, header_plus: bytes) -> None:
        if FOLDED.search(header_plus):
            raise ParsingError("A header is folded over two lines")
        super().parse_header(header_plus)
        names = [name.lower() for name in FRAMING.findall(header_plus)]
        if names.count(b"host") != 1 and (self.version == "1.1" or b"host" in names):
            raise ParsingError("There must be one Host header")
        if names.count(b"content-length") + names.count(b"transfer-encoding") > 1:
            raise ParsingError("The length of the body is given twice")
        if self.version != "1.1" and b"transfer-encoding" in names:
            raise ParsingError("Transfer-Encoding is of HTTP/1.1")


class Task(WSGITask):
    """Tells the client to open another connection where this server is about to leave."""

    def start(self) -> None:
        super().start()
        if self.channel.server.leaving:
            self.set_close_on_finish()

    def get_environment(self) -> dict[str, Any]:
        environment: dict[str, Any] = super().get_environment()
        environment["service.channel"] = self.channel
        return environment


class Refusal(ErrorTask):
    """What waitress refuses, said as the application says it."""

    def execute(self) -> None:
        request, channel = self.request, self.channel
        error = request.error
        number = request_id(request.headers.get("X_REQUEST_ID"))
        limit = TOO_LARGE.get(error.code, "").format(channel.server.settings)
        path = getattr(request, "path", "-")
        kind, body = problem(path, error.code, error.reason, limit or error.body.strip())
        self.status = f"{error.code} {error.reason}"
        self.response_headers += [("Content-Type", kind), ("X-Request-ID", number)]
        if error.code == HTTPStatus.SERVICE_UNAVAILABLE:
            self.response_headers.append(("Retry-After", "1"))
        self.set_close_on_finish()
        channel.lingers = True
        self.content_length = len(body)
        seconds = time.monotonic() - channel.since
        self.write(body)
        method = getattr(request, "command", "-")
        channel.server.service.observer.note(number, method, path, str(error.code), seconds)


class Channel(HTTPChannel):
    """A connection on which nothing may take for ever."""

    close_when_flushed: bool
    parser_class = Parser
    task_class = Task
    error_task_class = Refusal

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.since = time.monotonic()  # the first byte of a request, or of an answer, or its end
        self.served = 0
        self.answering = self.expired = self.lingers = False
        self.half_closed = False
        super().__init__(*arguments, **options)

    def received(self, data: bytes) -> bool:
        if self.half_closed:
            return False  # of no interest any more
        if self.request is None and not self.requests:
            now = time.monotonic()
            if self.served:
                self.server.service.batcher.back_after(now - self.since)
            self.since, self.answering = now, False
        return bool(super().received(data))

    def write_soon(self, data: Any) -> int:
        with self.outbuf_lock:
            if self.expired:
                raise ClientDisconnected
            if not self.answering:
                self.answering, self.since = True, time.monotonic()
            return int(super().write_soon(data))

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
        self.served += 1
        self.since = time.monotonic()

    @property
    def is_idle(self) -> bool:
        """Whether nothing that was asked for is still to be answered."""
        return not self.requests and not self.total_outbufs_len

    def check_time(self, now: float) -> None:
        """Close the connection, or answer 504 on it, where its time is up. For the main loop."""
        if now - self.since > self._seconds():
            if self.requests and not self.answering:
                self._expire()
            else:  # at once: whoever reads nothing would keep it open for ever
                self.handle_close()

    def _seconds(self) -> float:
        """How long what happens on the connection may take."""
        settings = self.server.settings
        if self.half_closed:
            return LINGER
        if self.requests and not self.answering:
            return float(settings.predict_seconds)
        if self.request is not None and not self.requests:
            in_body = self.request.headers_finished
            return float(settings.body_seconds if in_body else settings.header_seconds)
        is_known = self.served or self.answering
        return float(settings.keep_alive_seconds if is_known else settings.header_seconds)

    def _expire(self) -> None:
        """Answer in the place of the thread that still works on the request, or will."""
        with self.outbuf_lock:
            if self.answering or self.expired or not self.connected:
                return
            request = self.requests[0]
            request.error = Failure(HTTPStatus.GATEWAY_TIMEOUT, "The prediction took too long.")
            Refusal(self, request).service()
            self._flush_exception(self._flush_some, do_close=False)
            self.expired = self.close_when_flushed = True
