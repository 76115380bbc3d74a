"""Everything that the transport and the application know of each other.

The transport (`server/`) reads requests, decides when and in which thread each is answered, and writes the
answers. The application (`service/`) makes them. Neither imports anything else of the other.
"""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, NamedTuple, Protocol

import msgspec
from msgspec import Meta

from ..secret import Secret

Count = Annotated[int, Meta(ge=1)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(gt=0)]
UNSHARED = "SERVE_UNSHARED"  # an environment variable: set where each process loads its own model
REFUSAL = (
    "service.refusal"  # in the environ of a request: the status and the words to refuse it with
)


class ServeConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """configs/serve.yaml, which says what each is for. These defaults are its values too."""

    host: str = "127.0.0.1"
    port: Port = 8000
    grpc_port: Port | None = None
    workers: Annotated[int, Meta(ge=0)] = 0
    threads: Count = 64
    max_batch: Count = 64
    max_rows: Count = 10_000
    max_body_bytes: Count = 1_048_576
    max_header_bytes: Count = 16_384
    grpc_max_bytes: Count = 4_194_304
    connection_limit: Count = 2_000
    queue_limit: Count = 512
    predict_seconds: Seconds = 20
    stuck_seconds: Seconds = 60
    header_seconds: Seconds = 10
    body_seconds: Seconds = 30
    keep_alive_seconds: Seconds = 95
    drain_seconds: Seconds = 20
    log: Literal["auto", "json", "plain", "off"] = "auto"
    log_predictions: str = ""
    log_predictions_share: Annotated[float, Meta(ge=0, le=1)] = 0.1
    api_keys: Secret = Secret()
    api_keys_file: str = ""
    cors_origins: str = ""
    root_path: str = ""
    trusted_proxies: str = ""


class Request(NamedTuple):
    """The facts of a request, as far as they were read: one that was cut short has few."""

    id: str
    method: str = "-"
    path: str = "-"


class Application(Protocol):
    """What the transport asks of the application.

    Everything may be called from any thread. Only `wsgi` may take time.
    """

    reason: str | None
    """Why the service is not ready, if it is not."""

    @property
    def is_busy(self) -> bool:
        """Whether it answers requests that do not come by this transport."""

    def begin(self) -> None:
        """Start what serves beside this transport. Raises ProjectError."""

    def leave(self, seconds: float) -> None:
        """Let that finish what it does, within so long, and end."""

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request; or refuse it, where the transport has put a refusal into the environ."""

    def record(self, request: Request, status: int, seconds: float) -> None:
        """Count and log a request that was answered."""

    def is_quick(self, path: str, alone: bool) -> bool:
        """Whether an answer takes about as little time as waking a thread; `alone` if nobody waits."""

    def working_since(self) -> float | None:
        """The time.monotonic() since which the oldest answer is being worked on, if one is."""

    def note_waiting(self, requests: int) -> None:
        """Note how many requests wait for a thread."""

    def close(self, seconds: float) -> None:
        """Write what is still to be logged, for at most so long."""


class Source(Protocol):
    """Where the supervisor of the transport gets settings and applications."""

    def configure(self) -> ServeConfig:
        """Read the settings. Raises ProjectError."""

    def share(self) -> tuple[Any, bool]:
        """The model, loaded for all processes to share, or None; and whether forking is still safe."""

    def application(self, model: Any, settings: ServeConfig, seat: int) -> Application:
        """An application that has predicted once, for the process at a seat.

        It loads a model of its own where it is given none.
        """

    def unavailable(self, settings: ServeConfig, seat: int) -> Application:
        """An application without a model, which refuses everything."""

    def has_changed(self) -> bool:
        """Whether an artifact differs from what was saved."""
