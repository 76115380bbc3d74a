"""Differences between Windows and other systems; each takes the platform as an argument."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from filelock import FileLock, Timeout

WINDOWS = sys.platform == "win32"
ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # not all are on every system


class Ended(KeyboardInterrupt):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


@contextmanager
def signals_raise() -> Iterator[None]:
    """Turn signals that end a process into Ended, so that cleanup runs on the way out."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Ended(number)

    numbers = [getattr(signal, name) for name in ENDING if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    taken = [n for n, old in before.items() if old in (signal.SIG_DFL, signal.default_int_handler)]
    if threading.current_thread() is not threading.main_thread():
        taken = []  # no other thread may say what a signal does
    try:
        for number in taken:
            signal.signal(number, end)
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold signals back for the few moments that must happen whole or not at all."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    numbers = [getattr(signal, name) for name in ENDING if hasattr(signal, name)]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Try to take a lock file; yield whether that worked. The lock ends with the process."""
    lock = FileLock(path, timeout=0)
    ours = _take(lock, path)
    try:
        yield ours
    finally:
        if ours:
            with uninterrupted():
                if not WINDOWS:
                    path.unlink(missing_ok=True)  # before the lock ends, or it could be another's
                lock.release()
                if WINDOWS:
                    path.unlink(missing_ok=True)


def _take(lock: FileLock, path: Path) -> bool:
    try:
        lock.acquire()
        while not path.exists():  # another process had it, and has removed it since
            lock.release()
            lock.acquire()
    except Timeout:
        if not path.exists():  # nobody has it: the file cannot be made, and this says why
            path.touch()
        return False
    except NotImplementedError:  # a file system without locks
        return True
    return True


def put_folder(
    stage: Path,
    target: Path,
    windows: bool = WINDOWS,
    rename: Callable[[Path, Path], None] = os.rename,
) -> None:
    """Rename a folder with something in it to `target`, in the place of nothing but an empty folder.

    Raises OSError where anything else is there.
    """
    if windows:
        if target.is_dir():
            target.rmdir()
        rename(stage, target)  # which refuses whatever exists
        return
    # Here a rename replaces an empty folder, and that only. So where there is none, claim the place
    # with one: of two who try, one succeeds.
    claimed = not target.is_dir()
    if claimed:
        target.mkdir()
    try:
        rename(stage, target)
    except OSError:
        if claimed:
            with suppress(OSError):
                target.rmdir()
        raise


def put_file(source: Path, target: Path, link: Callable[[Path, Path], None] = os.link) -> None:
    """Put a whole file at `target`. Raises FileExistsError where something is."""
    try:
        link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        with source.open("rb") as old, target.open("xb") as new:
            try:
                shutil.copyfileobj(old, new)
            except OSError:
                target.unlink()
                raise
        shutil.copymode(source, target)


def write_whole(path: Path, content: bytes) -> None:
    """Put this in a file's place, whole or not at all; a mode that was set stays, and a link one."""
    path = path.resolve()
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    beside = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
        beside.chmod(path.stat().st_mode if path.exists() else 0o644)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def flush_folder(folder: Path, windows: bool = WINDOWS) -> None:
    """Have the names in a folder on the disk. Windows sees to it by itself."""
    if windows:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def relative(
    path: Path, start: Path, relpath: Callable[[Path, Path], str] = os.path.relpath
) -> Path:
    """Return a path as seen from a folder. On Windows one on another drive stays absolute."""
    try:
        return Path(relpath(path, start))
    except ValueError:
        return path


def quoted(word: str, windows: bool = WINDOWS) -> str:
    """Quote a word for the shell."""
    return subprocess.list2cmdline([word]) if windows else shlex.quote(word)


def print_anything() -> None:
    """Have a question mark printed for what the output's encoding does not have, not an error raised."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def execute(
    python: Path,
    arguments: Sequence[str],
    windows: bool = WINDOWS,
    replace: Callable[[str, list[str]], int] = os.execv,
) -> int:
    """Run a virtualenv's Python in the place of this process, so that signals and exit code are its own.

    Windows has no such thing: there the call waits, and returns the exit code.
    """
    command = [str(python), *arguments]
    if not windows:
        sys.stdout.flush()
        sys.stderr.flush()
        return replace(command[0], command)
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the child has had Ctrl-C too, and ends as it sees fit
