"""Several processes on one socket: started, watched, replaced, stopped."""

import logging
import os
import select
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, NoReturn

from ..errors import ProjectError
from ..package import Package
from ..service import ServeConfig

TICK = 0.25
CRASHES = 5  # of workers that lived less than YOUNG seconds, one after the other
YOUNG = 5.0
TAKEN = ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGCHLD")  # not all are on every system
SIGNALS = [number for number in signal.Signals if number.name in TAKEN]

log = logging.getLogger(__name__)


class Supervisor:
    """Loads the model once, and serves it from forked processes that share its memory.

    SIGTERM and SIGINT finish what is in flight and end; SIGHUP reads the settings and the model again
    and, if a worker can start with them, replaces the workers one generation by the next.
    """

    def __init__(
        self,
        package: Package,
        load: Callable[[], Any],
        configure: Callable[[], ServeConfig],
        violation: Callable[[], bool] = lambda: False,
    ) -> None:
        self._package = package
        self._load, self._configure, self._violation = load, configure, violation
        self._workers: dict[int, float] = {}  # process id to time of its start
        self._leaving: dict[int, float] = {}  # process id to the time when it is killed
        self._crashes, self._stopping = 0, False
        self._settings = configure()
        self._model = load()
        self._listening = _listen(self._settings)

    @property
    def _url(self) -> str:
        host, port = self._listening.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def run(self, announce: Callable[[str], None] = lambda url: None) -> None:
        """Serve until a signal says to stop; `announce` is told the address once it may be used.

        Raises ProjectError where no worker stays alive.
        """
        if not hasattr(os, "fork"):
            log.warning("This system cannot fork: one process serves.")
            server = self._server()
            signal.signal(signal.SIGINT, server.stop_all)
            announce(self._url)
            server.run()
            return
        with tempfile.TemporaryDirectory(prefix="metrics-", ignore_cleanup_errors=True) as shared:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared
            import_module(f"{__package__}.worker")  # once, for all workers to share
            self._supervise(announce)

    def _server(self, parent: int | None = None) -> Any:
        from .worker import Server  # late: the metrics look for their folder on import

        return Server(
            self._package, self._model, self._settings, self._listening, self._violation, parent
        )

    def _supervise(self, announce: Callable[[str], None]) -> None:
        # Signals are taken one at a time below, never in the middle of something.
        self._inbox, outbox = socket.socketpair()
        outbox.setblocking(False)
        signal.set_wakeup_fd(outbox.fileno())
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
        self._start()
        announce(self._url)
        while self._workers or self._leaving:
            ready, _, _ = select.select([self._inbox], [], [], TICK)
            numbers = self._inbox.recv(64) if ready else b""
            self._reap()
            if self._stopping:
                continue
            if signal.SIGTERM in numbers or signal.SIGINT in numbers:
                self._stopping = True
                self._retire(self._workers, signal.SIGUSR1)
                continue
            if signal.SIGHUP in numbers:
                self._reload()
            self._start()
        if self._crashes >= CRASHES:
            raise ProjectError(
                f"{CRASHES} workers ended within {YOUNG:g} s of their start. The log above says why."
            )

    def _start(self) -> None:
        wanted = self._settings.workers or min(os.cpu_count() or 1, 4)
        while len(self._workers) < wanted:
            if self._crashes >= CRASHES:
                self._stopping = True
                return self._retire(self._workers, signal.SIGUSR1)
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            parent = os.getpid()
            if (pid := os.fork()) == 0:
                self._work(parent)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            self._workers[pid] = time.monotonic()

    def _work(self, parent: int, serves: bool = True) -> NoReturn:
        """The life of a worker."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the supervisor has it too
            server = self._server(parent)
            signal.signal(signal.SIGTERM, server.stop)
            signal.signal(signal.SIGUSR1, server.stop_all)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            if serves:
                server.run()
            code = 0
        except Exception as error:
            _report("A worker failed", error)
        finally:
            sys.stdout.flush()
            os._exit(code)

    def _reap(self) -> None:
        from prometheus_client.multiprocess import mark_process_dead

        while self._workers or self._leaving:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            mark_process_dead(pid)
            started = self._workers.pop(pid, None)
            self._leaving.pop(pid, None)
            if started is not None and not self._stopping:
                self._crashes = self._crashes + 1 if time.monotonic() - started < YOUNG else 0
                code = os.waitstatus_to_exitcode(status)
                log.error("Worker %d ended with %d; another takes its place.", pid, code)
        for pid, deadline in self._leaving.items():
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)

    def _retire(self, workers: dict[int, float], number: int) -> None:
        """Ask workers to finish, and remember until when they may."""
        deadline = time.monotonic() + self._settings.drain_seconds + 2
        for pid in workers:
            os.kill(pid, number)
        self._leaving |= dict.fromkeys(workers, deadline)
        self._workers = {pid: born for pid, born in self._workers.items() if pid not in workers}

    def _reload(self) -> None:
        before = self._settings, self._model
        try:
            self._settings, self._model = self._configure(), self._load()
            self._try()
        except Exception as error:
            self._settings, self._model = before
            _report("The model was not loaded again, the old one stays", error)
        else:
            log.warning("The model was loaded again.")
            old, self._workers = self._workers, {}
            self._start()
            self._retire(old, signal.SIGTERM)

    def _try(self) -> None:
        """Raises ProjectError where no worker could start."""
        if (pid := os.fork()) == 0:
            self._work(os.getppid(), serves=False)
        if os.waitpid(pid, 0)[1]:
            raise ProjectError("a worker cannot start with it.")


def _report(what: str, error: Exception) -> None:
    """Log an error, with its traceback where it is no user's mistake."""
    log.error("%s: %s", what, error, exc_info=not isinstance(error, ProjectError))


def _listen(settings: ServeConfig) -> socket.socket:
    try:
        return socket.create_server(
            (settings.host, settings.port),
            family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET,
            backlog=1024,
        )
    except OSError as error:
        raise ProjectError(
            f"Cannot listen on {settings.host}, port {settings.port}: "
            f"{str(error.strerror).partition(' (')[0]}. Choose others with --host and --port."
        ) from error
