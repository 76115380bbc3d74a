"""The WSGI application: addresses, doors, and what an error looks like."""

import hashlib
import hmac
import logging
import os
import secrets
import sys
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import falcon
import msgspec

from .. import tables
from ..errors import ProjectError
from ..package import Package
from ..signature import Schema, about, openapi
from . import ServeConfig
from .batching import Batcher
from .metrics import Metrics
from .oip import Protocol
from .resources import Get, Page, Prediction, Status, fixed

PROBLEM_JSON = "application/problem+json"
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
HEALTH = {"/ping", "/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"}
WSGI = falcon.App[falcon.Request, falcon.Response]

log = logging.getLogger(__name__)


class Service:
    """A model as a WSGI application, and what its server must know of it."""

    def __init__(self, package: Package, model: Any, settings: ServeConfig | None = None) -> None:
        settings = settings or ServeConfig()
        name = package.distribution
        info = about(name)
        number = info["version"]
        schema = Schema.of(model, settings.max_rows)
        together = getattr(model, "batch", True) and schema.is_batchable
        self.status = Status()
        self.metrics = Metrics(name, number)
        self.batcher = Batcher(
            schema.bind(model.predict),
            settings.max_batch if together else 1,
            settings.max_rows,
            self.metrics.batch,
        )
        document = openapi(info, schema, getattr(model, "examples", []))
        protocol = Protocol(name, number, schema, self.predict, self.status)
        routes = {
            "/": Page(),
            "/predict": Prediction(schema, self.predict, {falcon.MEDIA_JSON: tables.from_request}),
            "/invocations": Prediction(schema, self.predict, tables.KINDS),
            "/ping": fixed({"status": "ready"}, self.status.check),
            "/health/live": fixed({"status": "live"}),
            "/health/ready": fixed({"status": "ready"}, self.status.check),
            "/metrics": Get(self.metrics.render, EXPOSITION),
            "/openapi.json": fixed(document),
            **protocol.routes(),
        }
        self.observer = Observer(self.metrics, settings.log, set(routes))
        self.app: WSGI = falcon.App(middleware=[self.observer, Doors(settings)])
        self.app.req_options.strip_url_path_trailing_slash = True
        if settings.cors_origins:
            origins = [origin.strip() for origin in settings.cors_origins.split(",")]
            allowed = "*" if "*" in origins else origins
            self.app.add_middleware(falcon.CORSMiddleware(allow_origins=allowed))
        for address, resource in routes.items():
            self.app.add_route(address, resource)
        self.app.set_error_serializer(_problem)
        self.app.add_error_handler(Exception, _unexpected)

    def predict(self, data: Any) -> Any:
        """The model's answers, in a batch with those for others who ask at this moment."""
        answers = self.batcher.predict(data)
        self.metrics.predictions(answers)
        return answers


def create(package: Package, model: Any, **settings: Any) -> WSGI:
    """Make the WSGI application of a model, with these settings of configs/serve.yaml."""
    return Service(package, model, ServeConfig(**settings)).app


class Doors:
    """Lets in only who has a key, where there are keys."""

    def __init__(self, settings: ServeConfig) -> None:
        self._given = settings.api_keys
        self._file = Path(settings.api_keys_file) if settings.api_keys_file else None
        self._seen = -1
        self._digests: list[bytes] = []
        self._read()

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        if request.path in HEALTH or request.path == "/" or request.method == "OPTIONS":
            return
        if self._file is not None:
            self._read()
        elif not self._digests:
            return
        scheme, _, key = (request.get_header("Authorization") or "").partition(" ")
        if scheme.lower() != "bearer":
            key = request.get_header("X-API-Key") or ""
        digest = hashlib.sha256(key.strip().encode()).digest()
        # Every key is compared, so that the time does not tell which was near.
        if sum(hmac.compare_digest(digest, known) for known in self._digests) == 0:
            raise falcon.HTTPUnauthorized(
                description="Send a key, as Authorization: Bearer KEY or as X-API-Key: KEY.",
                challenges=["Bearer"],
            )

    def _read(self) -> None:
        keys = self._given.reveal().split(",")
        if self._file is not None:
            try:
                changed = self._file.stat().st_mtime_ns
                if changed == self._seen:
                    return
                keys += self._file.read_text(encoding="utf-8").splitlines()
            except OSError as error:
                raise ProjectError(f"api_keys_file {self._file}: {error.strerror}.") from error
            self._seen = changed
        known = [key.strip() for key in keys if key.strip()]
        self._digests = [hashlib.sha256(key.encode()).digest() for key in known]


class Observer:
    """Numbers each request, times it, counts it, and logs it: as JSON, or plain on a terminal."""

    def __init__(self, metrics: Metrics, log: str, routes: set[str]) -> None:
        self._metrics, self._routes, self._log = metrics, routes, log
        if log == "auto":
            self._log = "plain" if sys.stdout.isatty() else "json"

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        request.context.id = request_id(request.get_header("X-Request-ID"))
        request.context.start = time.perf_counter()

    def process_response(
        self, request: falcon.Request, response: falcon.Response, resource: Any, succeeded: bool
    ) -> None:
        if getattr(request.env.get("service.channel"), "expired", False):
            return  # it was answered with 504 already
        response.set_header("X-Request-ID", request.context.id)
        response.set_header("X-Content-Type-Options", "nosniff")
        seconds = time.perf_counter() - request.context.start
        status = str(response.status_code)
        self.note(request.context.id, request.method, request.path, status, seconds)

    def note(self, number: str, method: str, path: str, status: str, seconds: float) -> None:
        """Count a request that was answered, and write its line."""
        self._metrics.request(path if path in self._routes else "other", status, seconds)
        if self._log == "off":
            return
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        took = round(seconds * 1000, 2)
        if self._log == "plain":
            line = f"{now} {method} {quote(path)} {status} {took} ms".encode()
        else:
            fields = {"time": now, "id": number, "method": method, "path": path}
            line = msgspec.json.encode({**fields, "status": int(status), "ms": took})
        os.write(1, line + b"\n")  # in one piece, whatever other processes write


def request_id(given: str | None) -> str:
    """What a request is called: by its client, or by chance."""
    usable = given and given.isascii() and given.isprintable() and len(given) <= 128
    return given if given and usable else secrets.token_hex(8)


def problem(path: str, status: int, title: str, detail: str | None = None) -> tuple[str, bytes]:
    """An error's media type and body: as RFC 9457 has them, or as the protocol at /v2 has."""
    if path.startswith("/v2"):
        return falcon.MEDIA_JSON, msgspec.json.encode({"error": detail or title})
    fields = {"title": title, "status": status, "detail": detail}
    return PROBLEM_JSON, msgspec.json.encode({k: v for k, v in fields.items() if v is not None})


def _problem(request: falcon.Request, response: falcon.Response, error: falcon.HTTPError) -> None:
    title = (error.title or "").removeprefix(f"{error.status_code} ")
    detail = error.description
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = "There is nothing at this address; /openapi.json and /v2 say what is where."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"This address takes {dict(error.headers or {})['Allow']}."
    response.content_type, response.data = problem(request.path, error.status_code, title, detail)


def _unexpected(
    request: falcon.Request, response: falcon.Response, error: Exception, params: Any
) -> None:
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    raise falcon.HTTPInternalServerError(description="The service failed. Its log says why.")
