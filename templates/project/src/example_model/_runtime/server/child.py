"""A process of the supervisor: how it is forked, and how it tells that it is ready."""

import faulthandler
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO, NoReturn

from ..errors import ProjectError
from ..output import HANDLER

READY, SHARES = b"ready", b"ready, and shares its model"
TAKEN = ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGCHLD")  # not all are on every system
SIGNALS = [number for number in signal.Signals if number.name in TAKEN]

Life = Callable[[Callable[[bool], None]], None]

log = logging.getLogger(__name__)


@dataclass
class Child:
    """A forked process, as its supervisor sees it."""

    kind: str  # "worker"; "trial", which only starts; "stand-in", which answers 503
    pid: int
    seat: int
    pipe: BinaryIO  # on which it says once that it is ready, or why it cannot be
    born: float = field(default_factory=time.monotonic)
    is_ready: bool = False
    shares: bool = False  # the model that was loaded before the fork, or could
    is_old: bool = False  # of a generation that is to be replaced
    reason: str = ""  # why it could not start
    leaves_by: float | None = None  # the time.monotonic() when it is killed, once asked to leave

    def hear(self) -> None:
        """Take in what it said of its start, without waiting."""
        if not self.pipe.closed and select.select([self.pipe], [], [], 0)[0]:
            said = self.pipe.read(4096)
            self.is_ready, self.shares = said in (READY, SHARES), said == SHARES
            self.reason = "" if self.is_ready else said.decode(errors="replace")
            self.pipe.close()

    def send(self, number: int, seconds: float) -> None:
        """Ask it to leave with a signal, and remember until when it may take."""
        self.leaves_by = time.monotonic() + seconds
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


def fork(kind: str, seat: int, seconds: float, life: Life) -> Child:
    """Fork a process that lives `life`, which is given a function to call once it is ready to serve.

    One that is not ready in time writes where it is stuck, and ends.
    """
    mine, its = os.pipe()
    # No signal between the fork and the child's own handlers: it would be taken by its parent's.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    if (pid := os.fork()) == 0:
        _live(its, seconds, life)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    os.close(its)
    return Child(kind, pid, seat, os.fdopen(mine, "rb", buffering=0))


def _live(pipe: int, seconds: float, life: Life) -> NoReturn:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:  # what a terminal sends, the supervisor has too
            is_ours = number in (signal.SIGHUP, signal.SIGINT)
            signal.signal(number, signal.SIG_IGN if is_ours else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        # Its thread needs no lock of Python's: it works where a library holds them all.
        faulthandler.dump_traceback_later(seconds, exit=True, file=2)

        def ready(shares: bool) -> None:
            faulthandler.cancel_dump_traceback_later()
            os.write(pipe, SHARES if shares else READY)

        life(ready)
        code = 0
    except BaseException as error:
        is_expected = isinstance(error, ProjectError)
        log.error("A process failed: %s", error, exc_info=None if is_expected else error)
        with suppress(OSError):
            said = str(error) if is_expected else f"{type(error).__name__}: {error}"
            os.write(pipe, said[:1000].encode(errors="replace") or b"?")
    finally:
        HANDLER.close_output(1)
        with suppress(Exception):
            sys.stdout.flush()
        os._exit(code)
