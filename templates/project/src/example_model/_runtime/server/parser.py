"""A stricter parser: it refuses requests that another program on the way may read otherwise."""

import re
from http import HTTPStatus

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import Error

FIRST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ \S+( HTTP/(?P<version>\S+))?")


class Failure(Error):
    """Why a request is refused."""

    def __init__(self, status: HTTPStatus, body: str) -> None:
        self.code, self.reason, self.body = status.value, status.phrase, body


class Parser(HTTPRequestParser):
    """Reads one request."""

    error: Error | None
    is_foreign = False  # it is of a version of HTTP that this server does not speak
    # What a request that was cut short did not say.
    command = path = request_uri = "-"
    query, url_scheme = "", "http"

    def parse_header(self, header_plus: bytes) -> None:
        line = FIRST_LINE.fullmatch(header_plus.partition(b"\r\n")[0].rstrip())
        if line is None:
            raise ParsingError("The request line is malformed.")
        if line["version"] is None:
            raise ParsingError("The request line names no version of HTTP.")
        if line["version"] not in (b"1.0", b"1.1"):
            self.is_foreign = True
            raise ParsingError("Send HTTP/1.1.")
        if b"\r\n " in header_plus or b"\r\n\t" in header_plus:
            raise ParsingError("A header is folded over two lines.")
        super().parse_header(header_plus)  # which joins what comes twice with a comma
        host = self.headers.get("HOST", "," if self.version == "1.1" else "")
        if "," in host:
            raise ParsingError("There must be exactly one Host header.")
        if self.chunked:
            lengths = header_plus.lower().count(b"\ntransfer-encoding:")
            if lengths + ("CONTENT_LENGTH" in self.headers) > 1:
                raise ParsingError("The length of the body is given twice.")
        elif "TRANSFER_ENCODING" in self.headers:
            raise ParsingError("Transfer-Encoding needs HTTP/1.1.")

    def received(self, data: bytes) -> int:
        count = int(super().received(data))
        if self.error is not None:
            # No body is read after a refusal, so none must be waited for, or asked for.
            self.expect_continue = False
            if self.is_foreign:
                self.error = Failure(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "Send HTTP/1.1.")
        return count
