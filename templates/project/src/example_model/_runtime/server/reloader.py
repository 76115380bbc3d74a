"""`serve --reload`: a server that is restarted when the code or an artifact changes."""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn


def run(command: Sequence[str], folder: Path) -> NoReturn:
    """Run a server, and restart it whenever a file in `folder` changes, until told to stop."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit())
    while True:
        seen = _newest(folder)
        server = subprocess.Popen(command)
        try:
            while _newest(folder) == seen:
                time.sleep(0.25)
            print("The code has changed: restarting.", file=sys.stderr, flush=True)
        finally:
            server.terminate()
            server.wait()


def _newest(folder: Path) -> float:
    """When a file of the code, or an artifact, was last changed."""
    try:
        return max(
            p.stat().st_mtime for p in folder.rglob("*") if p.suffix != ".pyc" and p.is_file()
        )
    except FileNotFoundError:  # a temporary file that has its name now
        return _newest(folder)
