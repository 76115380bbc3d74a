"""Start the service of a project, talk to it, stop it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Service:
    """A running service."""

    process: subprocess.Popen[str]
    url: str
    log: list[str]

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

    def request(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer. Underscores in the headers' names are dashes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body or None, named)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def raw(self, sent: bytes, seconds: float = 10) -> bytes:
        """All that comes back for these bytes until the connection is closed, or time is up."""
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(sent)
            try:
                while part := connection.recv(65536):
                    received += part
            except TimeoutError:
                pass
        return received

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    @property
    def grpc(self) -> str:
        """Where gRPC is served."""
        return re.findall(r"grpc://([^\s,]+)", self.log[0])[0]  # type: ignore[no-any-return]

    def workers(self) -> list[int]:
        """The process ids of its workers."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        return [int(child) for child in children.read_text().split()]

    def unread(self) -> list[int]:
        """For each connection that it has accepted, how many bytes of it still wait to be read."""
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        own = [row for row in rows if int(row[1].partition(":")[2], 16) == self.port]
        # Of established ones (01), those in the backlog have no inode yet.
        accepted = [row for row in own if row[3] == "01" and row[9] != "0"]
        return [int(row[4].partition(":")[2], 16) for row in accepted]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """The exit code after a signal."""
        self.process.send_signal(number)
        return self.process.wait(timeout=30)


def closed(connection: socket.socket) -> bool:
    """Whether the other end has closed a connection, after what it still said."""
    connection.settimeout(0)
    try:
        while connection.recv(65536):
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True


def until(true: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something to become true; the limit is for what never will, on a busy machine too."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


@contextmanager
def service(
    command: Sequence[object], cwd: Path, env: dict[str, str] | None = None
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
        reader: threading.Thread | None = None
        try:
            while not (found := re.search(r"http://[^\s/]+:\d+", said)):
                line = process.stdout.readline()
                assert line, f"{command} ended: {said}"
                said += line
            # Its log must not fill the pipe, and the test may want to read it.
            log: list[str] = [said]
            reader = threading.Thread(target=lambda: log.extend(process.stdout or []), daemon=True)
            reader.start()
            yield Service(process, found[0], log)
        finally:
            process.kill()
            if reader is not None:
                reader.join(timeout=30)  # its workers leave when they see that it is gone
