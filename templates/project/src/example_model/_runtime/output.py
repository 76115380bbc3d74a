"""Lines on standard output and standard error, which nobody waits for and nothing fails for."""

import logging
import os
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import ProjectError

MOST = 10_000  # lines that wait to be written
PIECE = 4_096  # bytes: what a pipe takes as a whole, whatever other processes write
FULL = 32 * 1024 * 1024  # bytes of a file of which one full one is kept
PAUSE = 0.02  # seconds in which lines gather, so that the writer is seldom woken


def open_standard_files() -> None:
    """Open those of the files 0, 1 and 2 that are closed: else a socket would get their number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


class Output:
    """Writes lines to a file from a thread of its own.

    Its callers only append to a queue: a reader that stalls, a disk that is full, a pipe that is broken
    cost lines, which are counted, and nothing else. A process that forks must not have one.
    """

    def __init__(self, file: int, on_drop: Callable[[int], None] = lambda lines: None) -> None:
        self._file, self._on_drop = file, on_drop
        self._lines: deque[bytes] = deque()
        self._filled, self._empty = threading.Event(), threading.Event()
        threading.Thread(target=self._run, name=f"output-{file}", daemon=True).start()

    def write(self, line: bytes) -> None:
        """Have a line written some time, or dropped."""
        if len(self._lines) >= MOST:
            self._on_drop(1)
            return
        self._lines.append(line + b"\n")
        if not self._filled.is_set():
            self._empty.clear()
            self._filled.set()

    def close(self, seconds: float) -> None:
        """Wait for what is still to be written, for at most so long."""
        if self._lines or self._filled.is_set():
            self._empty.wait(seconds)

    def _run(self) -> None:
        while True:
            self._filled.wait()
            time.sleep(PAUSE)
            self._filled.clear()  # before the queue is read: who writes later sets it again
            while self._lines:
                self._write_piece()
            if not self._filled.is_set():
                self._empty.set()

    def _write_piece(self) -> None:
        piece = [self._lines.popleft()]
        size = len(piece[0])
        while self._lines and (size := size + len(self._lines[0])) <= PIECE:
            piece.append(self._lines.popleft())
        left = memoryview(b"".join(piece))
        try:
            while left:
                left = left[self._put(left) :]
        except (OSError, ProjectError) as error:
            if isinstance(error, BlockingIOError):  # somebody has made it so, for all
                select.select([], [self._file], [], 1)
            self._on_drop(len(piece))

    def _put(self, piece: memoryview) -> int:
        return os.write(self._file, piece)


class Bounded(Output):
    """Writes lines to a file that is renamed when it is full; one full file is kept."""

    def __init__(self, path: Path, on_drop: Callable[[int], None]) -> None:
        self._path = path
        super().__init__(_appending(path), on_drop)

    def _put(self, piece: memoryview) -> int:
        if self._file >= 0 and os.fstat(self._file).st_size + len(piece) > FULL:
            full, self._file = self._file, -1  # no file, should the next one not open
            os.close(full)
            self._path.replace(self._path.with_suffix(".full.jsonl"))
        if self._file < 0:
            self._file = _appending(self._path)
        return super()._put(piece)


def _appending(path: Path) -> int:
    """Open a file for lines. Raises ProjectError where that cannot be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise ProjectError(f"{path} cannot be written: {error.strerror}.") from error


class LogHandler(logging.Handler):
    """Writes log records to standard error, each as one line with what belongs to it indented below.

    So nothing that a client sends can look like a record of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self._output: Output | None = None

    def use_thread(self) -> None:
        """Write from a thread, from here on. Not for a process that will fork."""
        self._output = Output(2)

    def close_output(self, seconds: float) -> None:
        """Write what is left, for at most so long."""
        if self._output is not None:
            self._output.close(seconds)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = "\n  ".join(self.format(record).splitlines())
            line = text.encode(errors="backslashreplace")
        except Exception:
            return self.handleError(record)
        if self._output is not None:
            self._output.write(line)
            return
        with suppress(OSError), at_most(1):
            os.write(2, line + b"\n")


@contextmanager
def at_most(seconds: float, *numbers: signal.Signals) -> Iterator[None]:
    """Interrupt what the main thread does after a time, or at one of these signals. Raises TimeoutError."""
    is_main = threading.current_thread() is threading.main_thread()
    if not hasattr(signal, "setitimer") or not is_main:
        yield
        return

    def interrupt(number: int, _: Any) -> None:
        raise TimeoutError(f"It was interrupted by signal {number}.")

    former = {number: signal.signal(number, interrupt) for number in (signal.SIGALRM, *numbers)}
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in former.items():
            signal.signal(number, handler)


HANDLER = LogHandler()


def log_to_standard_error() -> None:
    """Let the process log through HANDLER, unless it logs elsewhere already."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(HANDLER)
