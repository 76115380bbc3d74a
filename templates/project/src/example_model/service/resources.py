"""What the service answers at each address."""

from typing import Any

import falcon
import msgspec

from .schema import Schema


class Predict:
    """POST rows, get predictions."""

    def __init__(self, model: Any, schema: Schema) -> None:
        self._model = model
        self._schema = schema

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        if (request.content_type or "").partition(";")[0].strip().lower() != falcon.MEDIA_JSON:
            raise falcon.HTTPUnsupportedMediaType(
                description="Send application/json, as Content-Type says it."
            )
        try:
            rows = self._schema.decode_request(request.bounded_stream.read())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise falcon.HTTPBadRequest(title="Invalid request", description=str(error)) from error
        response.data = self._schema.encode({"predictions": self._model.predict(rows)})


class Document:
    """GET a document that does not change."""

    def __init__(self, document: Any) -> None:
        self._content = msgspec.json.encode(document)

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.data = self._content


class Live:
    """GET whether the process answers at all."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.media = {"status": "live"}


class Ready:
    """GET whether requests are welcome: not while the service is draining."""

    def __init__(self) -> None:
        self.draining = False

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        if self.draining:
            raise falcon.HTTPServiceUnavailable(description="The service is stopping.")
        response.media = {"status": "ready"}
