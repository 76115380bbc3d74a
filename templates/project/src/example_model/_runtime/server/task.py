"""Writing the answers: the one place where requests are numbered, counted and logged."""

import secrets
import time
from http import HTTPStatus
from typing import Any

from waitress.channel import ClientDisconnected
from waitress.task import WSGITask

from ..service.protocol import REFUSAL, Request

CLIENT_CLOSED_REQUEST = 499  # as nginx has it: nobody was there to take the answer
SAID = {
    413: "The body has more than {0.max_body_bytes} bytes. Send the rows in several requests.",
    431: "The headers have more than {0.max_header_bytes} bytes.",
    500: "Internal error; see the service log.",
}


class Task(WSGITask):
    """Has a request answered by the application, which words the refusals of the transport too."""

    wrote_header: bool

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        given = environ.get("HTTP_X_REQUEST_ID", "")
        if not (0 < len(given) <= 128 and given.isascii() and given.isprintable()):
            environ["HTTP_X_REQUEST_ID"] = secrets.token_hex(8)
        return environ

    def execute(self) -> None:
        if (error := self.request.error) is not None:
            said = SAID.get(error.code, "").format(self.channel.server.settings)
            self.get_environment()[REFUSAL] = HTTPStatus(error.code), said or error.body.strip()
            self.set_close_on_finish()
            self.channel.lingers = True
        super().execute()

    def write(self, data: bytes) -> None:
        request, server = self.request, self.channel.server
        if not self.wrote_header:
            own = ("X-Request-ID", self.environ["HTTP_X_REQUEST_ID"]), ("Date", server.date)
            self.response_headers += own
            if server.leaving:  # the client should open another connection elsewhere
                self.set_close_on_finish()
        stays = self.version == "1.1" and not (self.close_on_finish or request.connection_close)
        if self.wrote_header or len(data) != self.content_length or not (stays and self.has_body):
            super().write(data)
            return
        # As is the rule, waitress has nothing to add.
        lines = [
            f"HTTP/1.1 {self.status}",
            *(f"{k.title()}: {v}" for k, v in self.response_headers),
            "",
            "",
        ]
        self.wrote_header, self.content_bytes_written = True, len(data)
        self.channel.write_soon("\r\n".join(lines).encode("latin-1") + data, whole=True)

    def service(self) -> None:
        try:
            super().service()
        except ClientDisconnected:
            if not self.channel.expired:  # else it was recorded with its 504
                self._record(CLIENT_CLOSED_REQUEST)
            raise
        except Exception:
            raise
        except BaseException as error:  # waitress would leave the client without an answer
            raise RuntimeError(f"The application raised {error!r}") from error

    def finish(self) -> None:
        super().finish()
        self._record(int(self.status[:3]))

    def _record(self, status: int) -> None:
        environ, seconds = self.environ, time.monotonic() - self.channel.asked
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        request = Request(environ["HTTP_X_REQUEST_ID"], environ["REQUEST_METHOD"], path)
        self.channel.server.service.record(request, status, seconds)
