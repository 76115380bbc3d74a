"""Start the service of a project, talk to it, stop it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Service:
    """A running service."""

    process: subprocess.Popen[str]
    url: str

    def get(self, path: str) -> Any:
        """What the service answers to GET, as JSON."""
        with urllib.request.urlopen(self.url + path, timeout=30) as response:
            return json.load(response)

    def post(self, path: str, body: bytes, kind: str = "application/json") -> tuple[int, Any]:
        """Status and body, as JSON where it is, of the answer to POST."""
        headers = {"Content-Type": kind}
        request = urllib.request.Request(self.url + path, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            content = error.read()
            is_json = "json" in error.headers.get("Content-Type", "")
            return error.code, json.loads(content) if is_json else content.decode()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """The exit code after a signal."""
        self.process.send_signal(number)
        return self.process.wait(timeout=30)


@contextmanager
def service(
    command: Sequence[str | Path], cwd: Path, env: dict[str, str] | None = None
) -> Iterator[Service]:
    """A service that says its address on the first line, for as long as the block lasts."""
    with subprocess.Popen(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = ""
        try:
            while not (found := re.search(r"http://[^\s/]+:\d+", said)):
                line = process.stdout.readline()
                assert line, f"{command} ended: {said}"
                said += line
            yield Service(process, found[0])
        finally:
            process.kill()
