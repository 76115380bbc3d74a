"""What the service answers at each address."""

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import falcon
import msgspec

from .. import tables
from ..errors import InvalidRow
from ..signature import Schema, refusal

Predict = Callable[[Any], Any]
PAGE = Path(__file__).parent / "static" / "index.html"
POLICY = (
    "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; "
    "base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
)


class Status:
    """Whether requests are welcome; a reason says why not."""

    reason: str | None = None

    def check(self) -> None:
        """Raises 503 where they are not."""
        if self.reason:
            raise falcon.HTTPServiceUnavailable(description=self.reason)


class Get:
    """GET what a function gives."""

    def __init__(self, content: Callable[[], bytes], media_type: str = falcon.MEDIA_JSON) -> None:
        self._content, self._media_type = content, media_type

    def on_get(self, request: falcon.Request, response: falcon.Response, **_: str) -> None:
        response.content_type = self._media_type
        response.data = self._content()

    on_head = on_get


def fixed(document: Any, check: Callable[[], None] = lambda: None) -> Get:
    """GET a JSON document that does not change, unless a check raises."""
    content = msgspec.json.encode(document)

    def answer() -> bytes:
        check()
        return content

    return Get(answer)


class OpenAPI:
    """GET the description of the service, at the address under which it is reached."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document, self._content = document, msgspec.json.encode(document)

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.data = self._content
        if request.root_path:
            servers = [{"url": request.root_path}]
            response.data = msgspec.json.encode({**self._document, "servers": servers})

    on_head = on_get


class Prediction:
    """POST rows as one of these media types, get predictions of the same."""

    def __init__(
        self, schema: Schema, predict: Predict, kinds: Mapping[str, tables.Decode]
    ) -> None:
        self._schema, self._predict, self._kinds = schema, predict, kinds

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        kind, body = read(request, self._kinds)
        absent = request.get_param_as_list("missing") or ()
        with invalid_is_400():
            rows, render = self._kinds[kind](self._schema, body, absent)
        with refusal_is_400():
            answers = self._predict(rows)
        response.data = render(answers)
        response.content_type = kind


class Page:
    """GET a page to try the model on, which may load and run nothing but itself."""

    def __init__(self) -> None:
        self._content = PAGE.read_bytes()
        self._policy = POLICY.format(*(_hash(tag, self._content) for tag in (b"script", b"style")))

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.content_type, response.data = falcon.MEDIA_HTML, self._content
        response.set_header("Content-Security-Policy", self._policy)
        response.set_header("Referrer-Policy", "no-referrer")
        if request.root_path:  # whether the browser's address ends with a slash, nobody knows here
            base = f'<head><base href="{request.root_path}/">'.encode()
            response.data = self._content.replace(b"<head>", base, 1)

    on_head = on_get


def _hash(tag: bytes, content: bytes) -> str:
    found = re.search(rb"<%s>(.*?)</%s>" % (tag, tag), content, re.DOTALL)
    digest = hashlib.sha256(found[1] if found else b"").digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@contextmanager
def invalid_is_400() -> Iterator[None]:
    """What decoding raises becomes the client's error, in its own words."""
    try:
        yield
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise falcon.HTTPBadRequest(title="Invalid request", description=str(error)) from error


@contextmanager
def refusal_is_400() -> Iterator[None]:
    """A row that the model refuses becomes the client's error, which names row and field."""
    try:
        yield
    except InvalidRow as error:
        said = str(refusal(error))
        raise falcon.HTTPBadRequest(title="Invalid request", description=said) from error


def read(request: falcon.Request, kinds: Iterable[str]) -> tuple[str, bytes]:
    """The media type, which must be one of these, and the body, which must not be compressed."""
    kind = (request.content_type or "").partition(";")[0].strip().lower()
    encoding = (request.get_header("Content-Encoding") or "identity").strip().lower()
    if kind not in kinds or encoding != "identity":
        raise falcon.HTTPUnsupportedMediaType(
            description=f"Send {' or '.join(filter(None, kinds))}, uncompressed, "
            "as Content-Type says it."
        )
    return kind, request.bounded_stream.read()
