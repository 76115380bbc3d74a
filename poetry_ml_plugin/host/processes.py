"""Processes whose output is passed on line by line."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from poetry_ml_plugin.errors import MLError

Tell = Callable[[str], None]
LAST = 12  # lines of a failure that are shown


def start(
    command: Sequence[str],
    cwd: Path,
    env: Mapping[str, str] | None = None,
    takes_orders: bool = False,
) -> subprocess.Popen[str]:
    """Start a process whose errors go where its output goes, with an input or without."""
    return subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.PIPE if takes_orders else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8" if takes_orders else None,
        errors="replace",
    )


def follow(
    command: Sequence[str],
    cwd: Path,
    tell: Tell,
    env: Mapping[str, str] | None = None,
) -> list[str]:
    """Run a command, passing on each line that it prints, and return the lines.

    Raises MLError with the last of them if it fails.
    """
    lines = []
    with start(command, cwd, env) as process:
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
        raise failure(lines, f"{command[0]} ended with {process.returncode}")
    return lines


def ask(command: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str] | None:
    """Run a command that takes no input; None where it does not start, or does not end within so long."""
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def failure(lines: Sequence[str], otherwise: str) -> MLError:
    """The error that a process has failed, in its own last words."""
    return MLError("\n".join(lines[-LAST:]) or otherwise)
