"""One process that serves, from its first connection to a stop that loses no request."""

import logging
import os
import socket
import time
from typing import Any

from ..service.protocol import Application, ServeConfig, Source
from .loop import LOOK, Loop
from .sockets import ignore_new

GRACE = 0.1  # seconds for what is on its way to a server that stops accepting
LOOKS = 5  # in that time, which a busy machine makes longer
STUCK = 75  # exit code of a process with an answer that does not end

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
        source: Source,
        parent: int = 0,
    ) -> None:
        logging.getLogger("waitress").setLevel(logging.ERROR)
        self._application, self._settings = application, settings
        self._has_changed, self._parent = source.has_changed, parent
        self._loop = Loop(application, settings, listening)
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
        while not self._stopping:
            self._watch(LOOK)
            if (now := time.monotonic()) > self._next_check:
                self._next_check = now + 1
                self._check()
        self._drain()

    def _watch(self, seconds: float) -> None:
        """Replace the thread that an answer holds up, or the whole process where one does not end."""
        self._loop.look()
        since, limit = self._application.working_since(), self._settings.stuck_seconds
        if since is not None and time.monotonic() - since > limit:
            log.error("An answer did not end within %g s (stuck_seconds).", limit)
            self._application.close(1)
            os._exit(STUCK)  # no thread can be ended from outside
        time.sleep(seconds)

    def _check(self) -> None:
        if self._parent and os.getppid() != self._parent:
            self.stop_all()  # nobody is left to replace this process, or to stop it
        changed = "An artifact differs from its manifest." if self._has_changed() else None
        self._application.reason = changed

    def _drain(self) -> None:
        self._application.reason = "The service is stopping."
        self._application.leave(self._settings.drain_seconds)
        busy = time.monotonic()
        deadline, has_left = busy + self._settings.drain_seconds, None
        while time.monotonic() < min(deadline, busy + GRACE):
            if has_left is not self._for_all:  # also if the signal for all came second
                has_left = self._for_all
                if has_left:  # accept for a moment longer, while no connections begin
                    ignore_new(self._loop.socket)
                    for _ in range(LOOKS):
                        self._watch(GRACE / LOOKS)
                self._loop.leave(has_left)
                busy = time.monotonic()
            self._watch(GRACE / LOOKS)
            if self._loop.is_busy or self._application.is_busy:
                busy = time.monotonic()
        self._loop.end(1)
        self._application.close(1)
