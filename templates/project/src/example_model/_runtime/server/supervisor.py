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

import msgspec

from ..errors import ProjectError
from ..output import at_most
from ..service.protocol import UNSHARED, ServeConfig, Source
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
        self._settings = self._next_settings = self._configure()
        self._model, is_safe = source.share()
        if not is_safe:
            restart_unshared()
        self._listening = listen(self._settings.host, self._settings.port)

    def run(self, announce: Callable[[str], None] = lambda url: None) -> None:
        """Serve until a signal says to stop; `announce` is told the address once it is served.

        Raises ProjectError if no worker could start.
        """
        if hasattr(os, "fork"):
            self._supervise(announce)
            return
        log.warning("This system cannot fork: one process serves.")
        application = self._source.application(self._model, self._settings, 0)
        worker = Worker(application, self._settings, self._listening, self._source)
        signal.signal(signal.SIGINT, worker.stop_all)
        application.begin()
        announce(url_of(self._listening))
        worker.run()

    def _configure(self) -> ServeConfig:
        settings = self._source.configure()
        possible = connections_within(settings.connection_limit)
        return msgspec.structs.replace(settings, connection_limit=possible)

    def _supervise(self, announce: Callable[[str], None]) -> None:
        inbox, outbox = socket.socketpair()
        outbox.setblocking(False)
        signal.set_wakeup_fd(outbox.fileno())
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
        self._fill()
        while self._children or not self._stopping:
            pipes: list[Any] = [child.pipe for child in self._children if not child.pipe.closed]
            is_signalled = inbox in select.select([inbox, *pipes], [], [], TICK)[0]
            numbers = inbox.recv(64) if is_signalled else b""
            had_served = self._has_served
            self._hear()
            if self._has_served and not had_served:
                announce(url_of(self._listening))
            if signal.SIGTERM in numbers or signal.SIGINT in numbers:
                self._stop()
            if signal.SIGHUP in numbers or self._reload_again:
                self._try()
            if not self._stopping:
                self._fill()
            self._kill_late()
        if self._failure is not None:
            raise ProjectError(self._failure)

    def _of(self, kind: str, **wanted: bool) -> list[Child]:
        """The children of a kind that were not asked to leave, and that have these properties."""
        return [
            child
            for child in self._children
            if child.kind == kind and child.leaves_by is None
            if all(getattr(child, name) == value for name, value in wanted.items())
        ]

    def _fill(self) -> None:
        """Start who is missing, a stand-in too where nobody served for a moment; retire who is replaced."""
        now = time.monotonic()
        wanted = self._settings.workers or min(os.cpu_count() or 1, 4)
        while len(self._of("worker", is_old=False)) < wanted and now >= self._next_start:
            self._fork("worker", self._settings)
        if self._of("worker", is_ready=True):
            self._seen = now
            self._retire(self._of("stand-in"))
            if not self._of("worker", is_ready=False):
                self._retire(self._of("worker", is_old=True))
        elif self._has_served and not self._of("stand-in") and now - self._seen > NOBODY:
            self._fork("stand-in", self._settings)

    def _fork(self, kind: str, settings: ServeConfig) -> None:
        taken = {child.seat for child in self._children}
        seat = min(set(range(len(taken) + 1)) - taken)
        source, model, parent = self._source, self._model, os.getpid()

        def live(ready: Callable[[bool], None]) -> None:
            if kind == "trial":  # loads anew: to see whether that can be done is what it is for
                shared, is_safe = source.share()
                source.application(shared, settings, seat)
                return ready(is_safe and shared is not None)
            if kind == "stand-in":
                application = source.unavailable(settings, seat)
            else:
                application = source.application(model, settings, seat)
            worker = Worker(application, settings, self._listening, source, parent)
            signal.signal(signal.SIGTERM, worker.stop)
            signal.signal(signal.SIGUSR1, worker.stop_all)
            application.begin()
            ready(model is not None)
            worker.run()

        self._children.append(fork(kind, seat, settings.stuck_seconds, live))

    def _hear(self) -> None:
        """Take in what the processes say, and which of them have ended."""
        for child in list(self._children):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            child.hear()  # also what it said last
            self._has_served |= child.is_ready and child.kind == "worker"
            if pid:
                child.pipe.close()
                self._children.remove(child)
                self._ended(child, os.waitstatus_to_exitcode(status))

    def _ended(self, child: Child, code: int) -> None:
        if child.kind == "trial":
            self._tried(child, code)
        if child.kind != "worker" or child.leaves_by is not None or self._stopping:
            return
        if not self._has_served:
            self._failure = f"A worker cannot start: {self._why(child, code)}"
            self._stop()
        elif code == 0:  # it was told to leave, though not by us
            log.warning("Worker %d has left; another takes its place now.", child.pid)
        else:
            log.error(
                "Worker %d ended with %d; another takes its place %s.",
                child.pid,
                code,
                self._pause(),
            )

    def _pause(self) -> str:
        """Put off the next start after a crash: not for the first, longer and longer where it goes on."""
        now = time.monotonic()
        self._crashes.append(now)
        while now - self._crashes[0] > MINUTE:
            self._crashes.popleft()
        if len(self._crashes) == 1:
            return "now"
        pause = min(0.1 * 2 ** (len(self._crashes) - 2), LONGEST_PAUSE)
        self._next_start = now + pause
        return f"in {pause:g} s"

    def _why(self, child: Child, code: int) -> str:
        limit = self._settings.stuck_seconds
        late = (
            f"it was not ready within {limit:g} s (stuck_seconds). The log above says where it was."
        )
        if time.monotonic() - child.born >= limit:
            return child.reason or late
        return (
            child.reason or f"it ended with {code} before it was ready. The log above may say why."
        )

    def _stop(self) -> None:
        self._stopping = True
        self._retire([c for c in self._children if c.leaves_by is None], signal.SIGUSR1)

    def _retire(self, children: list[Child], number: int = signal.SIGTERM) -> None:
        for child in children:
            child.send(number, self._settings.drain_seconds + 2)

    def _kill_late(self) -> None:
        now, patience = time.monotonic(), self._next_settings.stuck_seconds + 2
        for child in self._children:
            is_late = child.leaves_by is not None and now > child.leaves_by
            if is_late or (not child.pipe.closed and now - child.born > patience):
                os.kill(child.pid, signal.SIGKILL)

    def _try(self) -> None:
        """Read the settings again, and let a process try to start with them and with the model."""
        self._reload_again = any(child.kind == "trial" for child in self._children)
        if self._reload_again or self._stopping:
            return
        try:
            self._next_settings = self._configure()
            self._fork("trial", self._next_settings)
        except ProjectError as error:
            self._keep(str(error))

    def _tried(self, trial: Child, code: int) -> None:
        """Start a new generation if the trial could; the old one leaves once that is ready."""
        if self._stopping:
            return
        if not trial.is_ready:
            return self._keep(f"a worker cannot start with it: {self._why(trial, code)}")
        try:
            with at_most(self._next_settings.stuck_seconds, signal.SIGTERM, signal.SIGINT):
                model = self._source.share()[0] if trial.shares else None
        except Exception as error:
            return self._keep(str(error))
        self._settings, self._model, self._next_start = self._next_settings, model, 0.0
        for child in self._of("worker"):
            child.is_old = True
        log.warning("The model was loaded again.")

    def _keep(self, reason: str) -> None:
        log.error("The model was not loaded again, the old one stays: %s", reason)


def restart_unshared() -> NoReturn:
    """Begin again without loading the model before the fork.

    It has started threads here, which a forked process would not have, but wait for.
    """
    os.environ[UNSHARED] = "1"
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
