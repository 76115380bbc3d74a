"""`serve`: the transport and the application, put together."""

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from . import output
from .board import Board
from .errors import ProjectError
from .package import Package
from .server.sockets import address_of, keep_port
from .server.supervisor import Supervisor
from .service.app import Service
from .service.protocol import UNSHARED, Application, ServeConfig

GRPC = ("grpc", "grpc_health", "grpc_reflection", "open_inference")
TASKS = Path("/proc/self/task")


class Project:
    """Gives the supervisor a project's settings, and its model as an application (protocol.Source)."""

    def __init__(
        self,
        package: Package,
        load: Callable[[], Any],
        configure: Callable[[], ServeConfig],
        has_changed: Callable[[], bool],
        is_shareable: Callable[[], bool],
    ) -> None:
        self._configure, self.has_changed = configure, has_changed
        self._grpc: socket.socket | None = None  # keeps the port of gRPC for the processes
        self._package, self._load, self._is_shareable = package, load, is_shareable
        self._board = Board()

    def configure(self) -> ServeConfig:
        """Read the settings, with the port of gRPC that is kept where any free one will do."""
        settings = self._configure()
        if settings.grpc_port is None:
            return settings
        if lacking := [name for name in GRPC if find_spec(name) is None]:
            raise ProjectError(f"gRPC needs {', '.join(lacking)}. Run: poetry ml add grpc")
        self._grpc = self._grpc or keep_port(settings.host, settings.grpc_port)
        return msgspec.structs.replace(settings, grpc_port=self._grpc.getsockname()[1])

    @property
    def grpc_address(self) -> str:
        """Where gRPC is served, or nothing."""
        return address_of(self._grpc) if self._grpc else ""

    def share(self) -> tuple[Any, bool]:
        """The model, loaded for all processes to share, or None; and whether forking is still safe.

        A process that is forked while a library has threads does not get them, and may wait for them
        for ever. So only models that consist of data are loaded before the fork, and no threads may
        come of it but those that numpy and onnxruntime start when they are imported, which know forks.
        """
        if os.environ.get(UNSHARED) or not hasattr(os, "fork") or not self._is_shareable():
            return None, True
        for library in ("numpy", "onnxruntime"):
            with suppress(ImportError):
                import_module(library)
        before = _threads()
        model = self._load()
        return model, _threads() <= before

    def application(self, model: Any, settings: ServeConfig, seat: int) -> Application:
        """An application that has predicted once, with a model of its own where it is given none."""
        output.HANDLER.use_thread()
        # Processes that each use all cores for one row are in each other's way.
        cores = os.cpu_count() or 1
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // (settings.workers or cores))))
        model = self._load() if model is None else model
        service = Service(self._package, model, settings, self._board, seat)
        if examples := getattr(model, "examples", None):
            model.predict(examples)  # the first call is slow: it should be nobody's request
        return service

    def unavailable(self, settings: ServeConfig, seat: int) -> Application:
        """An application without a model, which refuses everything."""
        output.HANDLER.use_thread()
        return Service(self._package, None, settings, self._board, seat)


def serve(
    package: Package,
    load: Callable[[], Any],
    configure: Callable[[], ServeConfig],
    announce: Callable[[str], None] = lambda url: None,
    has_changed: Callable[[], bool] = lambda: False,
    is_shareable: Callable[[], bool] = lambda: False,
) -> None:
    """Serve the model that `load` gives until a signal says to stop.

    `is_shareable` says whether the model may be loaded before processes are forked. Raises ProjectError.
    """
    output.open_standard_files()
    output.log_to_standard_error()

    def say(url: str) -> None:
        with suppress(OSError):  # nobody reads it
            announce(f"{url} and grpc://{grpc}" if (grpc := project.grpc_address) else url)

    project = Project(package, load, configure, has_changed, is_shareable)
    Supervisor(project).run(say)


def _threads() -> int:
    """How many threads the process has; those of libraries too, where the system tells."""
    return len(list(TASKS.iterdir())) if TASKS.is_dir() else threading.active_count()
