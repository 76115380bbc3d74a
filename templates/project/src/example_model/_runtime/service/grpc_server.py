"""The Open Inference Protocol over gRPC, beside HTTP: the same model, limits, keys, log and metrics.

Each process has a server of its own, started after the fork, for gRPC's threads do not survive one; all of
them listen on one port. What comes in is read by an asyncio loop in a thread, and answered by threads of
a pool, which wait for the batch as those of HTTP do.
"""

import asyncio
import logging
import math
import secrets
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import Any

import falcon
import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from open_inference.grpc import protocol as messages

from ..errors import ProjectError
from . import grpc_messages
from .auth import ApiKeyMiddleware
from .oip import Protocol
from .protocol import ServeConfig
from .resources import Status, invalid_is_400

SERVICE = "inference.GRPCInferenceService"
METHODS = tuple(
    f"/{SERVICE}/{name}"
    for name in ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")
)  # fmt: skip
OPEN = {METHODS[0], METHODS[1], f"/{health.SERVICE_NAME}/Check", f"/{health.SERVICE_NAME}/Watch"}
CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
CLIENT_CLOSED_REQUEST = 499
LONGEST = 2_000  # characters of an error: it travels in a header
TICK = 0.1  # seconds between two looks at whether the service is ready, and whether it stops

Record = Callable[[str, str, int, float], None]  # id, method, status as in HTTP, seconds

log = logging.getLogger(__name__)


class GrpcServer:
    """Serves one process's share of the calls. `record` is told of each; `working` is around the work for an id."""

    def __init__(
        self,
        settings: ServeConfig,
        protocol: Protocol,
        status: Status,
        keys: ApiKeyMiddleware,
        working: Callable[[str], Any],
        record: Record,
    ) -> None:
        self._settings, self._status, self._keys = settings, status, keys
        self._answers = Answers(settings, protocol, status, working, record)
        self._record = record
        self._started, self._ended = threading.Event(), threading.Event()
        self._failure = ""
        self._leave_within: float | None = None

    def start(self) -> None:
        """Listen and serve, in a thread. Raises ProjectError."""
        threading.Thread(target=self._run, name="grpc", daemon=True).start()
        self._started.wait()
        if self._failure:
            raise ProjectError(self._failure)

    def leave(self, seconds: float) -> None:
        """Take no more calls, and finish those that run within so long."""
        self._leave_within = seconds

    @property
    def is_busy(self) -> bool:
        """Whether a call is being answered, or the server has still to stop."""
        return not self._ended.is_set()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            log.exception("gRPC ended")
            self._failure = f"gRPC cannot be served on {self._address}: {error}."
        finally:
            self._ended.set()
            self._started.set()

    @property
    def _address(self) -> str:
        host = self._settings.host
        return f"{f'[{host}]' if ':' in host else host}:{self._settings.grpc_port}"

    async def _serve(self) -> None:
        settings = self._settings
        options = [
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", settings.grpc_max_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_metadata_size", settings.max_header_bytes),
            ("grpc.max_connection_idle_ms", int(settings.keep_alive_seconds * 1000)),
        ]
        guard = Guard(self._keys, self._record)
        server = grpc.aio.server(interceptors=[guard], options=options)
        server.add_generic_rpc_handlers([self._answers.handler()])
        ready = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(ready, server)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
        server.add_insecure_port(self._address)
        await self._tell(ready)
        await server.start()
        self._started.set()
        while self._leave_within is None:
            await asyncio.sleep(TICK)
            await self._tell(ready)
        await ready.enter_graceful_shutdown()
        await self._stop(server, self._leave_within)

    async def _tell(self, ready: Any) -> None:
        """Let the standard health service say whether calls are welcome."""
        known = health_pb2.HealthCheckResponse
        status = known.NOT_SERVING if self._status.reason else known.SERVING
        for name in ("", SERVICE):
            await ready.set(name, status)

    async def _stop(self, server: Any, seconds: float) -> None:
        """Wait for inferences alone: a stream that only watches would hold the server up to the end."""
        stopping = asyncio.create_task(server.stop(seconds))
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not stopping.done():
            await asyncio.sleep(TICK)
            if not self._answers.running:
                await server.stop(None)
        await stopping


class Guard(grpc.aio.ServerInterceptor):
    """Refuses calls without a known key, if keys are asked for, whatever they are for."""

    def __init__(self, keys: ApiKeyMiddleware, record: Record) -> None:
        self._keys, self._record = keys, record

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], details: Any
    ) -> Any:
        if details.method not in OPEN:
            given = dict(details.invocation_metadata or ())
            try:
                self._keys.check(lambda name: _latin(given.get(name.lower())))
            except falcon.HTTPError as error:
                return grpc.unary_unary_rpc_method_handler(
                    partial(self._refuse, details.method, error)
                )
        return await continuation(details)

    async def _refuse(self, method: str, error: Any, request: Any, context: Any) -> None:
        self._record(_id(context), method, error.status_code, 0.0)
        await context.abort(CODES[error.status_code], error.description)


class Answers:
    """The calls of the protocol."""

    def __init__(
        self,
        settings: ServeConfig,
        protocol: Protocol,
        status: Status,
        working: Callable[[str], Any],
        record: Record,
    ) -> None:
        self._settings, self._protocol, self._status = settings, protocol, status
        self._working, self._record = working, record
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="grpc-answer")
        self.running = 0
        """How many inferences wait or are being answered."""

    def handler(self) -> Any:
        """What gRPC calls, by the methods' names. It is given messages as bytes, which may be none."""
        calls: dict[str, Callable[[Any], Any]] = {
            "ServerLive": lambda _: messages.ServerLiveResponse(live=True),
            "ServerReady": lambda _: messages.ServerReadyResponse(ready=self._is_ready),
            "ModelReady": self._model_ready,
            "ServerMetadata": lambda _: messages.ServerMetadataResponse(**self._protocol.server),
            "ModelMetadata": self._model_metadata,
            "ModelInfer": self._infer,
        }
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                name: grpc.unary_unary_rpc_method_handler(partial(self._answer, name, call))
                for name, call in calls.items()
            },
        )

    @property
    def _is_ready(self) -> bool:
        return self._status.reason is None

    def _model_ready(self, request: Any) -> Any:
        self._protocol.check(request.name, request.version)
        return messages.ModelReadyResponse(ready=self._is_ready)

    def _model_metadata(self, request: Any) -> Any:
        self._protocol.check(request.name, request.version)
        return grpc_messages.metadata(self._protocol.model)

    def _infer(self, request: Any) -> Any:
        self._protocol.check(request.model_name, request.model_version)
        with invalid_is_400():
            asked = grpc_messages.request(request)
        raw = bool(request.raw_input_contents)
        return grpc_messages.response(self._protocol.infer(asked), raw)

    def _work(
        self, request_id: str, name: str, call: Callable[[Any], Any], content: bytes
    ) -> bytes:
        with self._working(request_id):
            try:
                request = getattr(messages, f"{name}Request").FromString(content)
            except DecodeError as error:
                raise falcon.HTTPBadRequest(description=f"This is no {name}Request.") from error
            return bytes(call(request).SerializeToString())

    async def _answer(
        self, name: str, call: Callable[[Any], Any], content: bytes, context: Any
    ) -> bytes | None:
        """The answer to a call, or the error that ends it; recorded either way."""
        start, request_id, method = time.monotonic(), _id(context), f"/{SERVICE}/{name}"
        context.set_trailing_metadata((("x-request-id", request_id),))
        work = partial(self._work, request_id, name, call, content)
        status, said = CLIENT_CLOSED_REQUEST, ""
        try:
            answer = await self._in_time(context, work) if name == "ModelInfer" else work()
            status = HTTPStatus.OK
            return answer
        except TimeoutError:
            status, said = HTTPStatus.GATEWAY_TIMEOUT, "The prediction took too long."
        except falcon.HTTPError as error:
            status, said = error.status_code, error.description or ""
        except Exception as error:
            log.error("%s failed", method, exc_info=error)
            status, said = HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error; see the service log."
        finally:
            self._record(request_id, method, int(status), time.monotonic() - start)
        await context.abort(CODES.get(status, grpc.StatusCode.INTERNAL), said[:LONGEST])
        return None

    async def _in_time(self, context: Any, work: Callable[[], bytes]) -> bytes:
        """What a thread answers. Raises TimeoutError, and HTTPServiceUnavailable at capacity."""
        settings = self._settings
        if self.running >= settings.threads + settings.queue_limit:
            raise falcon.HTTPServiceUnavailable(
                description="The server is at capacity. Retry after 1 second."
            )
        left = context.time_remaining()
        seconds = min(settings.predict_seconds, math.inf if left is None else left)
        self.running += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        try:
            return await asyncio.wait_for(future, seconds)
        finally:
            self.running -= 1


def _id(context: Any) -> str:
    """The id that a client gave its call, or a new one."""
    given = dict(context.invocation_metadata() or ()).get("x-request-id")
    is_usable = isinstance(given, str) and given.isascii() and given.isprintable()
    return given if given and is_usable and len(given) <= 128 else secrets.token_hex(8)


def _latin(value: str | bytes | None) -> str | None:
    """Metadata as WSGI has headers: each byte as one character."""
    return value.encode().decode("latin-1") if isinstance(value, str) else None
