"""What the service answers at each address."""

import base64
import csv
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import falcon
import msgspec

from .. import rows
from .metrics import Metrics
from .schema import Schema

Predict = Callable[[Any], Any]
PAGE = Path(__file__).parent / "static" / "index.html"


class Status:
    """Whether requests are welcome; a reason says why not."""

    def __init__(self, reason: str | None = None) -> None:
        self.reason = reason


class Prediction:
    """POST rows, get predictions."""

    def __init__(self, schema: Schema, predict: Predict) -> None:
        self._schema = schema
        self._predict = predict

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        body = read(request, [falcon.MEDIA_JSON])
        with invalid_is_400():
            data = self._schema.decode_request(body)
        response.data = self._schema.encode({"predictions": self._predict(data)})


class Invocations:
    """POST rows as SageMaker does: JSON, JSON lines or CSV, answered in kind."""

    def __init__(self, schema: Schema, predict: Predict) -> None:
        self._schema = schema
        self._predict = predict

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        body = read(request, list(rows.KINDS))
        kind = media_type(request)
        response.content_type = kind
        with invalid_is_400():
            data, render = rows.KINDS[kind](self._schema, body)
        response.data = render(self._predict(data))


class Live:
    """GET whether the process answers at all."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.data = b'{"status":"live"}'


class Ready:
    """GET whether requests are welcome."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        if self._status.reason:
            raise falcon.HTTPServiceUnavailable(description=self._status.reason)
        response.data = b'{"status":"ready"}'


class Document:
    """GET a JSON document that does not change."""

    def __init__(self, document: Any) -> None:
        self._content = msgspec.json.encode(document)

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.data = self._content


class Exposition:
    """GET the metrics, as Prometheus reads them."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.content_type = "text/plain; version=0.0.4; charset=utf-8"
        response.data = self._metrics.render()


class Page:
    """GET a page to try the model on, which may load and run nothing but itself."""

    def __init__(self) -> None:
        self._content = PAGE.read_bytes()
        allowed = {
            "default-src": "'none'",
            "script-src": self._hash(b"script"),
            "style-src": self._hash(b"style"),
            "connect-src": "'self'",
            "img-src": "data:",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
        }
        self._policy = "; ".join(f"{what} {source}" for what, source in allowed.items())

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.content_type = falcon.MEDIA_HTML
        response.set_header("Content-Security-Policy", self._policy)
        response.set_header("Referrer-Policy", "no-referrer")
        response.data = self._content

    def _hash(self, tag: bytes) -> str:
        found = re.search(rb"<%s>(.*?)</%s>" % (tag, tag), self._content, re.DOTALL)
        digest = hashlib.sha256(found[1] if found else b"").digest()
        return f"'sha256-{base64.b64encode(digest).decode()}'"


@contextmanager
def invalid_is_400() -> Iterator[None]:
    """What decoding raises becomes the client's error, in its own words."""
    try:
        yield
    except (msgspec.DecodeError, ValueError, csv.Error, RecursionError) as error:
        raise falcon.HTTPBadRequest(title="Invalid request", description=str(error)) from error


def media_type(request: falcon.Request) -> str:
    """The type of the request's body, without its parameters."""
    return (request.content_type or "").partition(";")[0].strip().lower()


def read(request: falcon.Request, kinds: list[str], untyped: bool = False) -> bytes:
    """The body, which must be of one of these media types, or of none, and not be compressed."""
    known = media_type(request) in kinds or (untyped and request.content_type is None)
    if not known or request.get_header("Content-Encoding"):
        raise falcon.HTTPUnsupportedMediaType(
            description=f"Send {' or '.join(kinds)}, uncompressed, as Content-Type says it."
        )
    body: bytes = request.bounded_stream.read()
    return body
