"""Processes whose output is passed on line by line."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from poetry_ml_plugin.errors import MLError

LAST = 12  # lines of a failure that are shown


def follow(
    command: Sequence[str],
    cwd: Path,
    tell: Callable[[str], None],
    env: Mapping[str, str] | None = None,
) -> list[str]:
    """Run a command, passing on each line that it prints, and return the lines.

    Raises MLError with the last of them if it fails.
    """
    lines = []
    with subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.strip():
                    lines.append(line.rstrip())
                    tell(line.strip())
        except KeyboardInterrupt:
            process.terminate()  # only Ctrl-C reaches it by itself
            raise
    if process.returncode != 0:
        raise MLError("\n".join(lines[-LAST:]) or f"{command[0]} ended with {process.returncode}")
    return lines
