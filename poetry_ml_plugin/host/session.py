"""A process of Poetry for all its commands on one project: its start is paid for once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from poetry_ml_plugin.host import console, poetry, processes
from poetry_ml_plugin.host.processes import Tell

PATIENCE = 60  # seconds that a command may take after nobody waits for it any more


class Session:
    """Starts at once, and takes one command after the other."""

    def __init__(self, root: Path, *options: str) -> None:
        self._words = poetry.on(root, *options)
        command = [sys.executable, "-m", console.__name__]
        self._process = processes.start(command, poetry.CWD, takes_orders=True)

    def run(self, tell: Tell, *words: str) -> None:
        """Run a command, passing on what it prints. Raises MLError with its last lines if it fails."""
        self.begin(*words)
        self.finish(tell)

    def begin(self, *words: str) -> None:
        """Have a command begun, to be finished later."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{json.dumps([*self._words, *words])}\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it is no more: finish() has its last words

    def finish(self, tell: Tell) -> None:
        """Wait for the command that was begun. Raises MLError with its last lines if it failed."""
        assert self._process.stdout is not None
        lines: list[str] = []
        try:
            for line in self._process.stdout:
                if line.startswith(console.END):
                    if line.strip(f"{console.END}\n") != "0":
                        raise processes.failure(lines, "Poetry failed, and said nothing.")
                    return
                if line.strip():
                    lines.append(line.rstrip())
                    tell(line.strip())
        except KeyboardInterrupt:
            self._process.terminate()  # only Ctrl-C reaches it by itself
            raise
        raise processes.failure(lines, f"Poetry ended with {self._process.wait()}")

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._process.terminate()
        try:
            # Its input ends, and with it the process, after the command that it is at.
            self._process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
