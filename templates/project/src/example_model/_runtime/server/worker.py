"""One process that serves, from its first connection to a stop that loses no request."""

import logging
import os
import socket
import time
from collections.abc import Callable
from typing import Any

from waitress import wasyncore

from ..service.protocol import Application, ServeConfig
from .listener import Listener
from .loop import LOOK, Loop
from .sockets import ignore_new

STUCK = 75  # exit code of a process with an answer that does not end
GRACE = 0.1  # seconds for what is on its way to a server that stops accepting

log = logging.getLogger(__name__)


class Worker:
    """Serves until stopped, then finishes what is in flight.

    The main thread only watches, so that signals are always heard.
    """

    def __init__(
        self,
        application: Application,
        settings: ServeConfig,
        listening: socket.socket,
        connections: int,
        has_changed: Callable[[], bool] = lambda: False,
        parent: int | None = None,
    ) -> None:
        logging.getLogger("waitress").setLevel(logging.ERROR)
        self._application, self._settings = application, settings
        self._has_changed, self._parent = has_changed, parent
        self._listener = Listener(application, settings, listening, connections)
        self._stopping = self._for_all = False
        self._next_check = 0.0

    def stop(self, *_: Any) -> None:
        """Ask the running server to finish and leave. Safe in a signal handler."""
        self._stopping = True

    def stop_all(self, *_: Any) -> None:
        """The same, and let no other process accept from the socket either."""
        self._for_all = self._stopping = True

    def run(self) -> None:
        """Serve until stopped."""
        loop = Loop(self._listener)
        while not self._stopping:
            self._watch(loop)
            if (now := time.monotonic()) > self._next_check:
                self._next_check = now + 1
                self._check()
            time.sleep(LOOK)
        self._drain(loop)

    def _watch(self, loop: Loop) -> None:
        """Replace the thread that an answer holds up, or the whole process where one does not end."""
        loop.look()
        since, limit = self._application.working_since(), self._settings.stuck_seconds
        if since is not None and time.monotonic() - since > limit:
            log.error("An answer did not end within %g s (stuck_seconds).", limit)
            self._application.close(1)
            os._exit(STUCK)  # no thread can be ended from outside

    def _check(self) -> None:
        if self._parent is not None and os.getppid() != self._parent:
            self.stop_all()  # nobody is left to replace this process, or to stop it
        changed = "An artifact differs from its manifest." if self._has_changed() else None
        self._application.reason = changed

    def _begin_to_close(self, loop: Loop) -> None:
        """Accept for a moment longer, while no connections begin: none is to be cut off unheard."""
        ignore_new(self._listener.socket)
        until = time.monotonic() + GRACE
        while time.monotonic() < until:
            self._watch(loop)
            time.sleep(GRACE / 5)

    def _drain(self, loop: Loop) -> None:
        self._application.reason = "The service is stopping."
        self._application.leave(self._settings.drain_seconds)
        now = time.monotonic()
        deadline, quiet = now + self._settings.drain_seconds, now + GRACE
        is_closed = False
        while now < min(deadline, quiet):
            if not (self._listener.leaving and is_closed == self._for_all):
                # Also if the signal for all came second.
                if is_closed := self._for_all:
                    self._begin_to_close(loop)
                self._listener.leave(is_closed)
                quiet = time.monotonic() + GRACE
            self._watch(loop)
            time.sleep(GRACE / 5)
            now = time.monotonic()
            if self._listener.is_busy or self._application.is_busy:
                quiet = now + GRACE
        loop.end(1)
        self._listener.task_dispatcher.shutdown(timeout=1)
        wasyncore.close_all(self._listener._map)
        self._application.close(1)
