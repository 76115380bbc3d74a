"""The WSGI application: its addresses, and what the transport asks of it."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import falcon

from .. import block, tables
from ..board import Board
from ..columns import ALONE
from ..fields import fields
from ..manifest import Manifest
from ..output import HANDLER
from ..package import Package
from ..signature import Schema, about, openapi
from . import cors, labels, problems
from .access_log import AccessLog
from .auth import OPEN, ApiKeyMiddleware
from .batching import Batcher
from .inputs import Inputs
from .metrics import OTHER, Metrics
from .oip import Protocol
from .prediction_log import PredictionLog
from .protocol import REFUSAL, Request, ServeConfig
from .resources import Get, OpenAPI, Page, Prediction, Status, fixed
from .root_path import RootPath

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
HEALTH = OPEN - {"/"}
DEFAULTS = ServeConfig()
RESTARTING = (
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The model is being restarted. Retry after 1 second.",
)
WSGI = falcon.App[falcon.Request, falcon.Response]


class Service(Status):
    """A model as an application of the transport (protocol.Application).

    Without a model it refuses everything: so it stands in while no process can serve the model.
    """

    def __init__(
        self,
        package: Package,
        model: Any,
        settings: ServeConfig = DEFAULTS,
        board: Board | None = None,
        seat: int = 0,
    ) -> None:
        info = about(package.distribution)
        self._metrics = Metrics(info["title"], info["version"], board, seat)
        self._root = RootPath(settings)
        self._log = AccessLog(settings.log, self._metrics.dropped)
        self._working: dict[int, float] = {}  # thread to since when it works, waits left out
        self._asked = threading.local()  # the id of the request that this thread answers
        self._batcher = Batcher(list)
        self._predicted: Any = None  # the log of predictions, where there is a model
        self._known: set[str] = set()  # addresses and methods that are counted by their names
        self._grpc: Any = None  # the server beside HTTP, where the settings name a port for it
        routes: dict[str, Any] = {}
        middleware: list[Any] = [Refusals(), *cors.middleware(settings.cors_origins)]
        if model is not None:
            keys = ApiKeyMiddleware(settings)
            middleware.append(keys)
            routes = self._serve(model, settings, info, keys, Manifest(package), seat)
            self._known.update(routes)
        self.app: WSGI = falcon.App(middleware=middleware)
        self.app.req_options.strip_url_path_trailing_slash = True
        for address, resource in routes.items():
            self.app.add_route(address, resource)
        problems.add_to(self.app)

    def _serve(
        self,
        model: Any,
        settings: ServeConfig,
        info: dict[str, str],
        keys: ApiKeyMiddleware,
        manifest: Manifest,
        seat: int,
    ) -> dict[str, Any]:
        """What answers at each address."""
        schema, independent = Schema.of(model, settings.max_rows), manifest.independent
        together = independent and getattr(model, "batch", True) and schema.is_batchable
        most = settings.max_batch if together else 1
        schema.columnwise = block.takes_columns(schema, model)
        predict = block.bind(schema, model)
        self._batcher = Batcher(predict, most, settings.max_rows, self._metrics.batch)
        self._label = next((part.key for part in fields(schema.answer)), ALONE)
        self._metrics.know(labels.of(schema.answer, model))
        name, number, run = info["title"], info["version"], manifest.recorded
        self._inputs = Inputs(run.get("reference", {}), schema.fields, self._metrics.inputs)
        trained = {"version": number, "trained": run.get("created")}
        self._predicted = PredictionLog(settings, seat, schema, trained, self._metrics.dropped)
        protocol = Protocol(name, number, schema, self._predict, self, independent)
        if settings.grpc_port is not None:
            from . import grpc_server  # late: not every project has grpcio

            self._known.update(grpc_server.METHODS)
            self._grpc = grpc_server.GrpcServer(
                settings, protocol, self, keys, self._at_work, self._record_call
            )
        document = openapi(info, schema, getattr(model, "examples", []))
        return {
            "/": Page(),
            "/predict": Prediction(schema, self._predict, tables.REQUESTS),
            "/invocations": Prediction(schema, self._predict, tables.KINDS),
            "/ping": fixed({"status": "ready"}, self.check),
            "/health/live": fixed({"status": "live"}),
            "/health/ready": fixed({"status": "ready"}, self.check),
            "/metrics": Get(self._metrics.render, EXPOSITION),
            "/openapi.json": OpenAPI(document),
            **protocol.routes(),
        }

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        if not self._known:
            environ.setdefault(REFUSAL, RESTARTING)
        self._root.mount(environ)
        with self._at_work(environ["HTTP_X_REQUEST_ID"]):
            return self.app(environ, start_response)

    @contextmanager
    def _at_work(self, request_id: str) -> Iterator[None]:
        thread, self._asked.id = threading.get_ident(), request_id
        self._working[thread] = time.monotonic()
        try:
            yield
        finally:
            self._working.pop(thread, None)

    def record(self, request: Request, status: int, seconds: float) -> None:
        """Count and log a request that was answered."""
        path = request.path.rstrip("/") or "/"
        self._metrics.request(path if path in self._known else OTHER, status, seconds)
        self._log.record(request, status, seconds)

    def _record_call(self, name: str, method: str, status: int, seconds: float) -> None:
        self.record(Request(name, "gRPC", method), status, seconds)

    @property
    def is_busy(self) -> bool:
        """Whether requests are answered that do not come by HTTP."""
        return self._grpc is not None and self._grpc.is_busy

    def begin(self) -> None:
        """Start what serves beside HTTP. Raises ProjectError."""
        if self._grpc is not None:
            self._grpc.start()

    def leave(self, seconds: float) -> None:
        """Let that finish what it does, within so long, and end."""
        if self._grpc is not None:
            self._grpc.leave(seconds)

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

    def close(self, seconds: float) -> None:
        """Write what is still to be logged, for at most so long."""
        self._metrics.depth(0)
        if self._predicted is not None:
            self._predicted.close(seconds)
        self._log.close(seconds)
        HANDLER.close_output(seconds)

    def _predict(self, data: Any) -> Any:
        """The model's answers, in a batch with those for others who ask at this moment."""
        thread = threading.get_ident()
        self._working.pop(thread, None)
        answers = self._batcher.predict(data)
        self._working[thread] = time.monotonic()
        is_block = isinstance(answers, block.Block)
        self._metrics.predictions(answers.count(self._label) if is_block else answers)
        self._inputs.note(data)
        self._predicted.write(getattr(self._asked, "id", ""), data, answers)
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
