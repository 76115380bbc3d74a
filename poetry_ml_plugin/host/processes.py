"""Processes, and what they say while they run."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from poetry_ml_plugin.errors import MLError

Tell = Callable[[str], None]
SHOWN = 12  # lines of what a failed process said last


def start(command: list[str], cwd: Path, orders: bool = False) -> subprocess.Popen[str]:
    """Start a process whose errors go where its output goes, with or without a way to give it orders."""
    return subprocess.Popen(
        command,
        cwd=cwd,
        stdin=subprocess.PIPE if orders else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8" if orders else None,
        errors="replace",
    )


def run(command: list[str], cwd: Path, tell: Tell) -> list[str]:
    """Run a command, passing on each line that it prints. Raises MLError with its last lines if it fails."""
    lines = []
    with start(command, cwd) as process:
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


def failure(lines: list[str], otherwise: str) -> MLError:
    """The error that a process has failed, in its own last words."""
    return MLError("\n".join(lines[-SHOWN:]) or otherwise)
