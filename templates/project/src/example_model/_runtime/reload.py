"""`serve --reload`: a server that is restarted when the code or an artifact changes."""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import NoReturn

from .errors import ProjectError


def run(folder: Path) -> NoReturn:
    """Run this command without --reload, again whenever a file in `folder` changes, until told to stop.

    Raises ProjectError where watchfiles is not installed.
    """
    try:
        from watchfiles import watch
    except ModuleNotFoundError as error:
        raise ProjectError(
            "--reload needs watchfiles. Run: poetry add --group dev watchfiles"
        ) from error
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    command = [sys.executable, *(word for word in sys.orig_argv[1:] if word != "--reload")]
    server = subprocess.Popen(command)
    changes = watch(folder, watch_filter=_is_source, stop_event=stopped, raise_interrupt=False)
    for _ in changes:
        print("The code has changed: restarting.", file=sys.stderr, flush=True)
        _end(server)
        server = subprocess.Popen(command)
    _end(server)
    sys.exit()


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    server.wait()


def _is_source(change: object, path: str) -> bool:
    return not path.endswith(".pyc")
