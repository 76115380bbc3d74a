"""A stricter parser: it refuses requests that another program on the way may read otherwise."""

import re

from waitress.parser import HTTPRequestParser, ParsingError

FOLDED = re.compile(rb"\r\n[ \t]")
FRAMING = re.compile(rb"^(host|content-length|transfer-encoding)[ \t]*:", re.I | re.M)


class Parser(HTTPRequestParser):
    """Reads one request."""

    def parse_header(self, header_plus: bytes) -> None:
        if FOLDED.search(header_plus):
            raise ParsingError("A header is folded over two lines.")
        super().parse_header(header_plus)
        names = [name.lower() for name in FRAMING.findall(header_plus)]
        if names.count(b"host") != 1 and (self.version == "1.1" or b"host" in names):
            raise ParsingError("There must be exactly one Host header.")
        if names.count(b"content-length") + names.count(b"transfer-encoding") > 1:
            raise ParsingError("The length of the body is given twice.")
        if self.version != "1.1" and b"transfer-encoding" in names:
            raise ParsingError("Transfer-Encoding needs HTTP/1.1.")
