"""One process that serves, from its first connection to a stop that loses no request."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from waitress import wasyncore

from ..package import Package
from ..service import ServeConfig
from ..service.app import Service
from .listener import Listener

TICK = 0.25  # seconds between two looks at what has run out of time
LOOK = 0.1  # seconds that one request may hold the loop up before another thread takes it over
STUCK = 75  # exit code of a process whose prediction does not end
GRACE = 0.1  # seconds for what is on its way to a server that stops accepting

log = logging.getLogger(__name__)


class Server:
    """Serves until stopped, then finishes what is in flight.

    One thread at a time has the loop, which reads, writes, and answers what is quick. Should an answer
    take long after all, another thread takes the loop over. The main thread only watches, so that
    signals are always heard.
    """

    def __init__(
        self,
        package: Package,
        model: Any,
        settings: ServeConfig,
        listening: socket.socket,
        violation: Callable[[], bool] = lambda: False,
        parent: int | None = None,
    ) -> None:
        logging.getLogger("waitress").setLevel(logging.ERROR)
        self._settings, self._violation, self._parent = settings, violation, parent
        self._service = Service(package, model, settings)
        self._service.status.reason = "The service is starting."
        if examples := getattr(model, "examples", None):
            model.predict(examples)  # the first call is slow: it should be nobody's request
        self._listener = Listener(self._service, settings, listening)
        self._polling = threading.Lock()  # held by the thread that has the loop, unless it answers
        self._answering: float | None = None  # since when the loop is held up by an answer
        self._stopping = self._closing = False
        self._next_tick = 0.0

    def stop(self, *_: Any) -> None:
        """Ask the running server to finish and leave. Safe in a signal handler."""
        self._stopping = True

    def stop_all(self, *_: Any) -> None:
        """The same, and let no other process accept from the socket either."""
        self._closing = self._stopping = True

    def run(self) -> None:
        """Serve until stopped."""
        self._service.status.reason = None
        next_check = 0.0
        self._hand_over()
        while not self._stopping:
            now = time.monotonic()
            if self._answering is not None and now - self._answering > LOOK:
                self._hand_over()
            if now > next_check:
                next_check = now + 1
                self._check()
            time.sleep(LOOK)
        self._drain()

    def _check(self) -> None:
        if self._parent is not None and os.getppid() != self._parent:
            self.stop_all()  # nobody is left to replace this process, or to stop it
        changed = "An artifact differs from its manifest." if self._violation() else None
        self._service.status.reason = changed

    def _hand_over(self) -> None:
        """Give the loop to a new thread; the one that had it ends after its answer."""
        self._answering = None
        threading.Thread(target=self._loop, daemon=True).start()

    def _loop(self) -> None:
        self._take()
        while not self._stopping and self._has_loop():
            self._turn(TICK)

    def _take(self) -> None:
        with self._polling:
            self._listener.loop = threading.get_ident()

    def _has_loop(self) -> bool:
        return self._listener.loop == threading.get_ident()

    def _turn(self, seconds: float) -> None:
        """Read and write what can be, for at most so long; then answer what is quick."""
        with self._polling:
            if not self._has_loop():
                return
            self._listener.awake = False
            wasyncore.loop(timeout=seconds, use_poll=True, map=self._listener._map, count=1)
            if (now := time.monotonic()) > self._next_tick:
                self._next_tick = now + TICK
                self._listener.check_time(now)
                self._check_batcher(now)
        while self._answer():
            pass

    def _answer(self) -> bool:
        """Answer one request, if there is one and this thread still has the loop."""
        with self._polling:
            if not (self._has_loop() and self._listener.at_once):
                return False
            channel = self._listener.at_once.popleft()
            self._answering = time.monotonic()
        channel.service()
        with self._polling:
            if self._has_loop():
                self._answering = None
                channel.handle_write()
        self._listener.pull_trigger()  # of the thread that has the loop now
        return True

    def _check_batcher(self, now: float) -> None:
        batcher = self._service.batcher
        self._service.metrics.depth(len(self._listener.task_dispatcher.queue) + batcher.depth)
        since = batcher.busy_since
        if since is not None and now - since > self._settings.stuck_seconds:
            log.error("A prediction did not end in %g s.", self._settings.stuck_seconds)
            os._exit(STUCK)  # no thread can be ended from outside

    def _drain(self) -> None:
        self._service.status.reason = "The service is stopping."
        deadline = time.monotonic() + self._settings.drain_seconds
        quiet = time.monotonic() + GRACE
        self._take()
        self._listener.leave()
        while (now := time.monotonic()) < deadline:
            if self._closing:
                self._closing = False
                self._listener.accept_all()
            self._turn(0.02)
            if self._listener.is_busy:
                quiet = now + GRACE
            elif now > quiet:
                break
        self._listener.task_dispatcher.shutdown(timeout=1)
        wasyncore.close_all(self._listener._map)
