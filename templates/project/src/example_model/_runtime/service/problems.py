"""Errors as RFC 9457 has them, or as the Open Inference Protocol has them at its addresses."""

import logging
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import falcon
import msgspec

PROBLEM_JSON = "application/problem+json"

log = logging.getLogger(__name__)


def add_to(app: Any) -> None:
    """Let a falcon application answer its errors so."""
    app.set_error_serializer(_serialize)
    app.add_error_handler(Exception, _unexpected)


def refusal(status: HTTPStatus, detail: str) -> falcon.HTTPError:
    """The error of a request that the transport does not hand on."""
    headers = {"Retry-After": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return falcon.HTTPError(status, title=status.phrase, description=detail, headers=headers)


def _serialize(request: falcon.Request, response: falcon.Response, error: falcon.HTTPError) -> None:
    title = (error.title or "").removeprefix(f"{error.status_code} ")
    detail = error.description
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = "There is nothing at this path. See /openapi.json and /v2 for what there is."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"Allowed here: {dict(error.headers or {})['Allow']}."
    response.content_type, document = PROBLEM_JSON, {"title": title, "status": error.status_code}
    if request.path.startswith("/v2"):
        response.content_type, document = falcon.MEDIA_JSON, {"error": detail or title}
    elif detail is not None:
        document["detail"] = detail
    response.data = msgspec.json.encode(document)


def _unexpected(
    request: falcon.Request, response: falcon.Response, error: Exception, params: Any
) -> None:
    log.error("%s %s failed", request.method, quote(request.path), exc_info=error)
    raise falcon.HTTPInternalServerError(description="Internal error; see the service log.")
