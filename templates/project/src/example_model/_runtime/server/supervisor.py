"""Several processes on one socket: started, watched, replaced, stopped."""

import logging
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NoReturn

from ..errors import ProjectError
from ..service.protocol import UNSHARED, Application, ServeConfig, Source
from .child import SIGNALS, Child, fork
from .sockets import connections_within, listen, url_of
from .worker import Worker

TICK = 0.25
MINUTE = 60.0  # seconds for which a crash counts
LONGEST_PAUSE = 10.0  # seconds between a crash and the next start
NOBODY = 0.5  # seconds without a worker until a stand-in answers 503

log = logging.getLogger(__name__)


class Supervisor:
    """Serves from forked processes, and replaces those that end.

    SIGTERM and SIGINT finish what is in flight and end; SIGHUP reads the settings and the model again
    and, if a process can start with them, replaces the workers one generation by the next.

    All of it happens in one thread that never waits for more than a tick: signals are taken from a
    queue between two steps, and processes are heard, not waited for.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._children: list[Child] = []
        self._crashes: deque[float] = deque()  # when a worker ended unasked in the last minute
        self._next_start = 0.0
        self._seen = time.monotonic()  # when there last was a worker that serves
        self._has_served = self._stopping = self._reload_again = False
        self._failure: str | None = None  # why the service could not start
        self._settings = self._next_settings = source.configure()
        self._model, is_safe = source.share()
        if not is_safe:
            restart_unshared()
        self._connections = connections_within(self._settings.connection_limit)
        self._listening = listen(self._settings.host, self._settings.port)

    def run(self, announce: Callable[[str], None] = lambda url: None) -> None:
        """Serve until a signal says to stop; `announce` is told the address once it is served.

        Raises ProjectError if no worker could start.
        """
        if hasattr(os, "fork"):
            self._supervise(announce)
        else:
            self._serve_alone(announce)

    def _serve_alone(self, announce: Callable[[str], None]) -> None:
        log.warning("This system cannot fork: one process serves.")
        settings = self._settings
        application = self._source.application(self._model, settings, 0)
        worker = self._worker(application, settings)
        signal.signal(signal.SIGINT, worker.stop_all)
        application.begin()
        announce(url_of(self._listening))
        worker.run()

    def _worker(
        self, application: Application, settings: ServeConfig, parent: int | None = None
    ) -> Worker:
        limit = min(self._connections, settings.connection_limit)
        changed = self._source.has_changed
        return Worker(application, settings, self._listening, limit, changed, parent)

    def _supervise(self, announce: Callable[[str], None]) -> None:
        inbox, outbox = socket.socketpair()
        outbox.setblocking(False)
        signal.set_wakeup_fd(outbox.fileno())
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
        self._fill()
        while self._children or not self._stopping:
            pipes = [child.pipe for child in self._children if child.pipe >= 0]
            is_signalled = (
                inbox.fileno() in select.select([inbox.fileno(), *pipes], [], [], TICK)[0]
            )
            numbers = inbox.recv(64) if is_signalled else b""
            self._hear()
            self._reap()
            if self._has_served and announce is not None:
                announce(url_of(self._listening))
                announce = None  # type: ignore[assignment]
            if signal.SIGTERM in numbers or signal.SIGINT in numbers:
                self._stop()
            if signal.SIGHUP in numbers or self._reload_again:
                self._try()
            if not self._stopping:
                self._fill()
            self._kill_late()
        if self._failure is not None:
            raise ProjectError(self._failure)

    def _workers(self, **wanted: bool) -> list[Child]:
        """The workers that were not asked to leave, and that have these properties."""
        return [
            child
            for child in self._children
            if child.kind == "worker" and child.leaves_by is None
            if all(getattr(child, name) == value for name, value in wanted.items())
        ]

    def _fill(self) -> None:
        """Start the workers that are missing, and a stand-in where there have been none for a moment."""
        now = time.monotonic()
        wanted = self._settings.workers or min(os.cpu_count() or 1, 4)
        while len(self._workers(is_old=False)) < wanted and now >= self._next_start:
            self._fork("worker", self._settings)
        stand_ins = [child for child in self._children if child.kind == "stand-in"]
        if self._workers(is_ready=True):
            self._seen = now
            self._retire([child for child in stand_ins if child.leaves_by is None], signal.SIGTERM)
        elif self._has_served and not stand_ins and now - self._seen > NOBODY:
            self._fork("stand-in", self._settings)

    def _fork(self, kind: str, settings: ServeConfig) -> None:
        taken = {child.seat for child in self._children}
        seat = next(n for n in range(len(taken) + 1) if n not in taken)
        model, parent = self._model, os.getpid()

        def live(ready: Callable[[bool], None]) -> None:
            if kind == "stand-in":
                application = self._source.unavailable(settings, seat)
            elif kind == "trial":  # loads anew: to see whether that can be done is what it is for
                shared, is_safe = self._source.share()
                self._source.application(shared, settings, seat)
                return ready(is_safe and shared is not None)
            else:
                application = self._source.application(model, settings, seat)
            worker = self._worker(application, settings, parent)
            signal.signal(signal.SIGTERM, worker.stop)
            signal.signal(signal.SIGUSR1, worker.stop_all)
            application.begin()
            ready(model is not None)
            worker.run()

        self._children.append(fork(kind, seat, settings.stuck_seconds, live))

    def _hear(self) -> None:
        for child in self._children:
            child.hear()
        if self._workers(is_ready=True):
            self._has_served = True
        if self._workers(is_ready=True, is_old=False) and not self._workers(is_ready=False):
            self._retire(self._workers(is_old=True), signal.SIGTERM)

    def _reap(self) -> None:
        for child in list(self._children):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                child.hear()  # what it said last
                child.forget()
                self._children.remove(child)
                self._source.leave(child.seat)
                self._ended(child, os.waitstatus_to_exitcode(status))

    def _ended(self, child: Child, code: int) -> None:
        if child.kind == "trial":
            self._tried(child, code)
        elif child.kind == "worker" and child.leaves_by is None and not self._stopping:
            self._crashed(child, code)

    def _crashed(self, child: Child, code: int) -> None:
        """Have a worker replaced: at once the first time, later and later where it goes on."""
        if not self._has_served:
            self._failure = f"A worker cannot start: {child.reason or self._why(child, code)}"
            self._stop()
            return
        if code == 0:  # it was told to leave, though not by us
            return log.warning("Worker %d has left; another takes its place now.", child.pid)
        now = time.monotonic()
        self._crashes.append(now)
        while now - self._crashes[0] > MINUTE:
            self._crashes.popleft()
        pause = 0.1 * 2 ** (len(self._crashes) - 2) if len(self._crashes) > 1 else 0.0
        self._next_start = now + min(pause, LONGEST_PAUSE)
        when = f"in {min(pause, LONGEST_PAUSE):g} s" if pause else "now"
        log.error("Worker %d ended with %d; another takes its place %s.", child.pid, code, when)

    def _why(self, child: Child, code: int) -> str:
        if time.monotonic() - child.born >= self._settings.stuck_seconds:
            return (
                f"it was not ready within {self._settings.stuck_seconds:g} s (stuck_seconds). "
                "The log above says where it was."
            )
        return f"it ended with {code} before it was ready. The log above may say why."

    def _stop(self) -> None:
        self._stopping = True
        self._retire([c for c in self._children if c.leaves_by is None], signal.SIGUSR1)

    def _retire(self, children: list[Child], number: int) -> None:
        for child in children:
            child.send(number, self._settings.drain_seconds + 2)

    def _kill_late(self) -> None:
        now, patience = time.monotonic(), self._next_settings.stuck_seconds + 2
        for child in self._children:
            is_late = child.leaves_by is not None and now > child.leaves_by
            if is_late or (child.pipe >= 0 and now - child.born > patience):
                os.kill(child.pid, signal.SIGKILL)

    def _try(self) -> None:
        """Read the settings again, and let a process try to start with them and with the model."""
        self._reload_again = any(child.kind == "trial" for child in self._children)
        if self._reload_again or self._stopping:
            return
        try:
            self._next_settings = self._source.configure()
        except ProjectError as error:
            self._keep(str(error))
        else:
            self._fork("trial", self._next_settings)

    def _tried(self, child: Child, code: int) -> None:
        if not child.is_ready:
            self._keep(f"a worker cannot start with it: {child.reason or self._why(child, code)}")
        elif not self._stopping:
            self._adopt(child.shares)

    def _keep(self, reason: str) -> None:
        log.error("The model was not loaded again, the old one stays: %s", reason)

    def _adopt(self, shares: bool) -> None:
        """Start a new generation; the old one leaves once that is ready."""
        try:
            model = self._share() if shares else None
        except Exception as error:
            return self._keep(str(error))
        self._settings, self._model, self._next_start = self._next_settings, model, 0.0
        self._connections = connections_within(self._settings.connection_limit)
        for child in self._workers():
            child.is_old = True
        log.warning("The model was loaded again.")

    def _share(self) -> Any:
        """Load the model in this process, as a trial just did in its own; no signal waits for it."""

        def interrupt(number: int, _: Any) -> None:
            raise TimeoutError(f"loading it was interrupted by signal {number}.")

        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
        former = [signal.signal(number, interrupt) for number in numbers]
        signal.setitimer(signal.ITIMER_REAL, self._next_settings.stuck_seconds)
        try:
            return self._source.share()[0]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in zip(numbers, former, strict=True):
                signal.signal(number, handler)


def restart_unshared() -> NoReturn:
    """Begin again without loading the model before the fork.

    It has started threads here, which a forked process would not have, but wait for.
    """
    os.environ[UNSHARED] = "1"
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
