"""Errors as RFC 9457 has them, or as the Open Inference Protocol has them at its addresses."""

import logging
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import falcon
import msgspec

PROBLEM_JSON = "application/problem+json"

log = logging.getLogger(__name__)


def problem(path: str, status: int, title: str, detail: str | None = None) -> tuple[str, bytes]:
    """The media type and the body of an error."""
    if path.startswith("/v2"):
        return falcon.MEDIA_JSON, msgspec.json.encode({"error": detail or title})
    fields = {"title": title, "status": status, "detail": detail}
    return PROBLEM_JSON, msgspec.json.encode({k: v for k, v in fields.items() if v is not None})


def add_to(app: Any) -> None:
    """Let a falcon application answer its errors so."""
    app.set_error_serializer(_serialize)
    app.add_error_handler(Exception, _unexpected)


def _serialize(request: falcon.Request, response: falcon.Response, error: falcon.HTTPError) -> None:
    title = (error.title or "").removeprefix(f"{error.status_code} ")
    detail = error.description
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = "There is nothing at this path. See /openapi.json and /v2 for what there is."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"Allowed here: {dict(error.headers or {})['Allow']}."
    response.content_type, response.data = problem(request.path, error.status_code, title, detail)


def _unexpected(
    request: falcon.Request, response: falcon.Response, error: Exception, params: Any
) -> None:
    log.error("%s %s failed", request.method, quote(request.path), exc_info=error)
    raise falcon.HTTPInternalServerError(description="Internal error; see the service log.")
