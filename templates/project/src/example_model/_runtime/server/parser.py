"""A stricter parser: it refuses requests that another program on the way may read otherwise."""

from http import HTTPStatus

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import Error


class Failure(Error):
    """Why a request is refused."""

    def __init__(self, status: HTTPStatus, body: str) -> None:
        self.code, self.reason, self.body = status.value, status.phrase, body


class Parser(HTTPRequestParser):
    """Reads one request."""

    error: Error | None
    # What a request that was cut short did not say.
    command = path = request_uri = "-"
    query, url_scheme = "", "http"

    def parse_header(self, header_plus: bytes) -> None:
        words = header_plus.partition(b"\r\n")[0].split()
        if len(words) != 3:
            raise ParsingError("The request line is not a method, a path and a version of HTTP.")
        if words[2] not in (b"HTTP/1.0", b"HTTP/1.1"):
            self.error = Failure(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "Send HTTP/1.1.")
            return
        if b"\r\n " in header_plus or b"\r\n\t" in header_plus:
            raise ParsingError("A header is folded over two lines.")
        super().parse_header(header_plus)  # which joins what comes twice with a comma
        if "," in self.headers.get("HOST", "," if self.version == "1.1" else ""):
            raise ParsingError("There must be exactly one Host header.")
        lengths = header_plus.lower().count(b"\ntransfer-encoding:") if self.chunked else 0
        if lengths + ("CONTENT_LENGTH" in self.headers) > 1:
            raise ParsingError("The length of the body is given twice.")
        if "TRANSFER_ENCODING" in self.headers:
            raise ParsingError("Transfer-Encoding needs HTTP/1.1.")

    def received(self, data: bytes) -> int:
        count = int(super().received(data))
        if self.error is not None:  # no body is read, so none must be waited for, or asked for
            self.expect_continue = False
        return count
