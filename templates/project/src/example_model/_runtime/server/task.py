"""Writing the answers: the one place where requests are numbered, counted and logged."""

import secrets
import time
from http import HTTPStatus
from typing import Any

from waitress.channel import ClientDisconnected
from waitress.task import ErrorTask, WSGITask

from ..service.protocol import Request

CLIENT_CLOSED_REQUEST = 499  # as nginx has it: nobody was there to take the answer
TOO_LARGE = {
    413: "The body has more than {0.max_body_bytes} bytes. Send the rows in several requests.",
    431: "The headers have more than {0.max_header_bytes} bytes.",
}


class Task(WSGITask):
    """Answers a request by the application."""

    def start(self) -> None:
        super().start()
        self.facts = facts(self.request)
        if self.channel.server.leaving:  # the client should open another connection elsewhere
            self.set_close_on_finish()

    def get_environment(self) -> dict[str, Any]:
        environment: dict[str, Any] = super().get_environment()
        environment["HTTP_X_REQUEST_ID"] = self.facts.id
        return environment

    def build_response_header(self) -> bytes:
        self.response_headers.append(("X-Request-ID", self.facts.id))
        return bytes(super().build_response_header())

    def finish(self) -> None:
        super().finish()
        record(self, int(self.status[:3]))

    def service(self) -> None:
        try:
            super().service()
        except ClientDisconnected:
            if not self.channel.expired:  # else it was recorded with its 504
                record(self, CLIENT_CLOSED_REQUEST)
            raise
        except Exception:
            raise
        except BaseException as error:  # waitress would leave the client without an answer
            raise RuntimeError(f"The application raised {error!r}") from error


class Refusal(ErrorTask):
    """Answers what the transport refuses, in the application's words."""

    def execute(self) -> None:
        error, channel = self.request.error, self.channel
        self.facts = facts(self.request)
        status = HTTPStatus(error.code)
        limit = TOO_LARGE.get(status, "").format(channel.server.settings)
        detail = limit or error.body.strip()
        answer = channel.server.service.refuse(self.facts, status, detail)
        self.status = f"{status.value} {status.phrase}"
        self.response_headers += [*answer.headers, ("X-Request-ID", self.facts.id)]
        self.set_close_on_finish()
        channel.lingers = True
        self.content_length = len(answer.body)
        self.write(answer.body)
        record(self, status.value)


def facts(request: Any) -> Request:
    """What is known of a request; one that was cut short has no path yet."""
    given = request.headers.get("X_REQUEST_ID")
    is_usable = given and given.isascii() and given.isprintable() and len(given) <= 128
    path = getattr(request, "path", "-").encode("latin-1").decode("utf-8", "replace")
    return Request(
        given if is_usable else secrets.token_hex(8),
        getattr(request, "command", "-"),
        path,
        request.headers.get("ORIGIN"),
    )


def record(task: Any, status: int) -> None:
    """Count and log a request, once, by the task that wrote its answer."""
    channel = task.channel
    seconds = time.monotonic() - channel.asked
    channel.server.service.record(task.facts, status, seconds)
