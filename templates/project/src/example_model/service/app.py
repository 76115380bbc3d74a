"""The WSGI application: addresses, and what an error looks like."""

import logging
from importlib.metadata import version
from typing import Any

import falcon
import msgspec

from . import openapi
from .resources import Document, Live, Predict, Ready
from .schema import Schema

DISTRIBUTION = "example-model"
PROBLEM_JSON = "application/problem+json"

WSGI = falcon.App[falcon.Request, falcon.Response]

log = logging.getLogger(__name__)


def create_app(model: Any, max_rows: int | None = None, ready: Ready | None = None) -> WSGI:
    """A service of one model. Whoever runs it holds `ready`, and says there when it is draining."""
    schema = Schema.of(model, max_rows)
    examples = getattr(model, "examples", [])
    document = openapi.document(DISTRIBUTION, version(DISTRIBUTION), schema, examples)
    app = falcon.App()
    app.add_route("/predict", Predict(model, schema))
    app.add_route("/openapi.json", Document(document))
    app.add_route("/health/live", Live())
    app.add_route("/health/ready", ready or Ready())
    app.set_error_serializer(_problem)
    app.add_error_handler(Exception, _unexpected)
    return app


def _problem(request: falcon.Request, response: falcon.Response, error: falcon.HTTPError) -> None:
    """RFC 9457."""
    problem = {
        "title": error.title,
        "status": error.status_code,
        "detail": error.description,
    }
    response.content_type = PROBLEM_JSON
    response.data = msgspec.json.encode({k: v for k, v in problem.items() if v is not None})


def _unexpected(
    request: falcon.Request, response: falcon.Response, error: Exception, params: Any
) -> None:
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    raise falcon.HTTPInternalServerError(description="The service failed. Its log says why.")
