"""The WSGI application: its addresses, and what the transport asks of it."""

import threading
import time
from collections.abc import Callable, Collection, Iterable
from http import HTTPStatus
from typing import Any

import falcon

from .. import tables
from ..manifest import Manifest
from ..output import HANDLER
from ..package import Package
from ..signature import Schema, about, openapi
from . import labels, problems
from .access_log import AccessLog
from .auth import OPEN, ApiKeyMiddleware
from .batching import Batcher
from .cors import Cors
from .inputs import Inputs
from .metrics import Board, Metrics
from .oip import Protocol
from .prediction_log import PredictionLog
from .protocol import Answer, Request, ServeConfig
from .resources import Get, OpenAPI, Page, Prediction, Status, fixed
from .root_path import RootPath

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
HEALTH = OPEN - {"/"}
WSGI = falcon.App[falcon.Request, falcon.Response]


class Front:
    """What an application says and notes without a model."""

    def __init__(self, settings: ServeConfig, metrics: Metrics, routes: Collection[str]) -> None:
        self._status = Status()
        self._metrics = metrics
        self._cors = Cors(settings.cors_origins)
        self._root = RootPath(settings)
        self._log = AccessLog(metrics, settings.log, routes, self._root)
        self.record = self._log.record

    @property
    def reason(self) -> str | None:
        """Why the service is not ready, if it is not."""
        return self._status.reason

    @reason.setter
    def reason(self, reason: str | None) -> None:
        self._status.reason = reason

    def refuse(self, request: Request, status: HTTPStatus, detail: str) -> Answer:
        """The answer to a request that is not handed on."""
        path = self._root.strip(request.path)
        kind, body = problems.problem(path, status, status.phrase, detail)
        headers = [("Content-Type", kind), ("X-Content-Type-Options", "nosniff")]
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers.append(("Retry-After", "1"))
        return Answer([*headers, *self._cors.headers(request.origin)], body)

    def note_waiting(self, requests: int) -> None:
        """Note how many requests wait."""
        self._metrics.depth(requests)

    def close(self, seconds: float) -> None:
        """Write what is still to be logged, for at most so long."""
        self._log.close(seconds)
        HANDLER.close_output(seconds)


class Unavailable(Front):
    """Stands in for a model while no process can serve it (protocol.Application)."""

    def __init__(
        self, package: Package, settings: ServeConfig, board: Board | None = None, seat: int = 0
    ) -> None:
        name = package.distribution
        super().__init__(settings, Metrics(name, about(name)["version"], board, seat), set())

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request with 503."""
        request = Request("", environ["REQUEST_METHOD"], environ["PATH_INFO"])
        request = request._replace(origin=environ.get("HTTP_ORIGIN"))
        status = HTTPStatus.SERVICE_UNAVAILABLE
        answer = self.refuse(request, status, "The model is being restarted. Retry after 1 second.")
        size = ("Content-Length", str(len(answer.body)))
        start_response(f"{status.value} {status.phrase}", [*answer.headers, size])
        return [answer.body]

    def is_quick(self, path: str, alone: bool) -> bool:
        """Whether an answer takes less time than waking a thread."""
        return True

    def working_since(self) -> float | None:
        """Nothing here takes long."""
        return None


class Service(Front):
    """A model as an application of the transport (protocol.Application)."""

    def __init__(
        self,
        package: Package,
        model: Any,
        settings: ServeConfig | None = None,
        board: Board | None = None,
        seat: int = 0,
    ) -> None:
        settings = settings or ServeConfig()
        name = package.distribution
        info = about(name)
        number = info["version"]
        schema = Schema.of(model, settings.max_rows)
        manifest = Manifest(package)
        independent, run = manifest.independent, manifest.recorded
        together = bool(independent) and getattr(model, "batch", True) and schema.is_batchable
        metrics = Metrics(name, number, board, seat, labels.of(schema.answer, model))
        routes: dict[str, Any] = {}
        super().__init__(settings, metrics, routes.keys())
        self.record = self._record
        self._inputs = Inputs(run.get("reference", {}), schema.fields, metrics.inputs)
        trained = {"version": number, "trained": run.get("created")}
        self._predicted = PredictionLog(settings, seat, schema, trained, metrics.dropped)
        self._batcher = Batcher(
            schema.bind(model.predict),
            settings.max_batch if together else 1,
            settings.max_rows,
            metrics.batch,
        )
        self._working: dict[int, float] = {}  # thread to since when it works, waits left out
        document = openapi(info, schema, getattr(model, "examples", []))
        protocol = Protocol(name, number, schema, self._predict, self._status, independent)
        routes |= {
            "/": Page(),
            "/predict": Prediction(schema, self._predict, {falcon.MEDIA_JSON: tables.from_request}),
            "/invocations": Prediction(schema, self._predict, tables.KINDS),
            "/ping": fixed({"status": "ready"}, self._status.check),
            "/health/live": fixed({"status": "live"}),
            "/health/ready": fixed({"status": "ready"}, self._status.check),
            "/metrics": Get(metrics.render, EXPOSITION),
            "/openapi.json": OpenAPI(document),
            **protocol.routes(),
        }
        self.app: WSGI = falcon.App(middleware=[NoSniff(), self._cors, ApiKeyMiddleware(settings)])
        self.app.req_options.strip_url_path_trailing_slash = True
        for address, resource in routes.items():
            self.app.add_route(address, resource)
        problems.add_to(self.app)

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        thread = threading.get_ident()
        self._working[thread] = time.monotonic()
        self._root.mount(environ)
        try:
            return self.app(environ, start_response)
        finally:
            self._working.pop(thread, None)

    def is_quick(self, path: str, alone: bool) -> bool:
        """Whether an answer takes about as little time as waking a thread."""
        return path in HEALTH or self._batcher.is_quick(alone)

    def working_since(self) -> float | None:
        """Since when the oldest answer is being worked on; what waits for a batch is not worked on."""
        running = self._batcher.busy_since
        return min([*self._working.values(), *([running] if running else [])], default=None)

    def note_waiting(self, requests: int) -> None:
        """Note how many requests wait, beside those that wait for a batch."""
        self._metrics.depth(requests + self._batcher.depth)

    def _predict(self, data: Any) -> Any:
        """The model's answers, in a batch with those for others who ask at this moment."""
        thread = threading.get_ident()
        self._working.pop(thread, None)
        answers = self._batcher.predict(data)
        self._working[thread] = time.monotonic()
        self._metrics.predictions(answers)
        self._inputs.note(data)
        self._predicted.hold(data, answers)
        return answers

    def _record(self, request: Request, status: int, seconds: float) -> None:
        """Count and log a request, and what was predicted for it."""
        self._log.record(request, status, seconds)
        self._predicted.write(request)

    def close(self, seconds: float) -> None:
        """Write what is still to be logged, for at most so long."""
        self._predicted.close(seconds)
        super().close(seconds)


def create(package: Package, model: Any, **settings: Any) -> WSGI:
    """Make the WSGI application of a model, with these settings of configs/serve.yaml."""
    return Service(package, model, ServeConfig(**settings)).app


class NoSniff:
    """Tells browsers to believe the content type."""

    def process_response(
        self, request: falcon.Request, response: falcon.Response, resource: Any, succeeded: bool
    ) -> None:
        response.set_header("X-Content-Type-Options", "nosniff")
