"""The WSGI application: its addresses, and what the transport asks of it."""

import threading
import time
from collections.abc import Callable, Collection, Iterable
from http import HTTPStatus
from typing import Any

import falcon

from .. import tables
from ..board import Board
from ..manifest import Manifest
from ..output import HANDLER
from ..package import Package
from ..signature import Schema, about, openapi
from . import cors, labels, problems
from .access_log import AccessLog
from .auth import OPEN, ApiKeyMiddleware
from .batching import Batcher
from .metrics import OTHER, Metrics
from .oip import Protocol
from .protocol import REFUSAL, Request, ServeConfig
from .resources import Get, OpenAPI, Page, Prediction, Status, fixed
from .root_path import RootPath

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
HEALTH = OPEN - {"/"}
WSGI = falcon.App[falcon.Request, falcon.Response]


class Unavailable(Status):
    """Stands in for a model while no process can serve it (protocol.Application)."""

    def __init__(
        self,
        package: Package,
        settings: ServeConfig,
        board: Board | None = None,
        seat: int = 0,
        known: Iterable[str] = (),
        guards: Iterable[Any] = (),
    ) -> None:
        name = package.distribution
        self._metrics = Metrics(name, about(name)["version"], board, seat, known)
        self._routes: Collection[str] = ()
        self._root = RootPath(settings)
        self._log = AccessLog(settings.log, self._metrics.dropped)
        first = [Refusals(), *cors.middleware(settings.cors_origins)]
        self.app: WSGI = falcon.App(middleware=[*first, *guards])
        self.app.req_options.strip_url_path_trailing_slash = True
        problems.add_to(self.app)

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request, here with 503."""
        said = "The model is being restarted. Retry after 1 second."
        environ.setdefault(REFUSAL, (HTTPStatus.SERVICE_UNAVAILABLE, said))
        self._root.mount(environ)
        return self.app(environ, start_response)

    def record(self, request: Request, status: int, seconds: float) -> None:
        """Count and log a request that was answered."""
        path = request.path.rstrip("/") or "/"
        self._metrics.request(path if path in self._routes else OTHER, status, seconds)
        self._log.record(request, status, seconds)

    def is_quick(self, path: str, alone: bool) -> bool:
        """Whether an answer takes about as little time as waking a thread."""
        return True

    def working_since(self) -> float | None:
        """Since when the oldest answer is being worked on; here nothing takes long."""
        return None

    def note_waiting(self, requests: int) -> None:
        """Note how many requests wait."""
        self._metrics.depth(requests)

    def close(self, seconds: float) -> None:
        """Write what is still to be logged, for at most so long."""
        self._metrics.depth(0)
        self._log.close(seconds)
        HANDLER.close_output(seconds)


class Service(Unavailable):
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
        schema = Schema.of(model, settings.max_rows)
        known, guards = labels.of(schema.answer, model), [ApiKeyMiddleware(settings)]
        super().__init__(package, settings, board, seat, known, guards)
        independent = Manifest(package).independent
        together = bool(independent) and getattr(model, "batch", True) and schema.is_batchable
        self._batcher = Batcher(
            schema.bind(model.predict),
            settings.max_batch if together else 1,
            settings.max_rows,
            self._metrics.batch,
        )
        self._working: dict[int, float] = {}  # thread to since when it works, waits left out
        info = about(package.distribution)
        document = openapi(info, schema, getattr(model, "examples", []))
        protocol = Protocol(
            package.distribution, info["version"], schema, self._predict, self, independent
        )
        self._routes = {
            "/": Page(),
            "/predict": Prediction(schema, self._predict, {falcon.MEDIA_JSON: tables.from_request}),
            "/invocations": Prediction(schema, self._predict, tables.KINDS),
            "/ping": fixed({"status": "ready"}, self.check),
            "/health/live": fixed({"status": "live"}),
            "/health/ready": fixed({"status": "ready"}, self.check),
            "/metrics": Get(self._metrics.render, EXPOSITION),
            "/openapi.json": OpenAPI(document),
            **protocol.routes(),
        }
        for address, resource in self._routes.items():
            self.app.add_route(address, resource)

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
        return answers


def create(package: Package, model: Any, **settings: Any) -> WSGI:
    """Make the WSGI application of a model, with these settings of configs/serve.yaml."""
    return Service(package, model, ServeConfig(**settings)).app


class Refusals:
    """Refuses what the transport says, in the words of all other errors."""

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        if (refusal := request.env.get(REFUSAL)) is not None:
            raise problems.refusal(*refusal)

    def process_response(
        self, request: falcon.Request, response: falcon.Response, resource: Any, succeeded: bool
    ) -> None:
        response.set_header("X-Content-Type-Options", "nosniff")  # browsers: believe Content-Type
