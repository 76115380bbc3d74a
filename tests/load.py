"""Clients that ask a service again and again, and count what became of each request."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Load:
    """Threads with a connection each, which ask until told to stop, or `most` times."""

    port: int
    bodies: list[bytes]
    clients: int = 16
    most: int = 1_000_000
    path: str = "/predict"
    outcomes: Counter[str] = field(default_factory=Counter)
    answers: dict[bytes, Any] = field(default_factory=dict)

    def __enter__(self) -> Load:
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._ask, args=(n,), daemon=True) for n in range(self.clients)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.wait()

    def wait(self) -> None:
        """Until every client has asked as often as it should."""
        for thread in self._threads:
            thread.join(timeout=120)
            assert not thread.is_alive(), "a client waits for ever"

    @property
    def lost(self) -> int:
        """Requests that were sent and never answered."""
        return sum(n for outcome, n in self.outcomes.items() if outcome.startswith("lost"))

    def _ask(self, number: int) -> None:
        connection: http.client.HTTPConnection | None = None
        for n in range(self.most):
            if self._stopped.is_set():
                break
            body = self.bodies[(number * 7919 + n) % len(self.bodies)]
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                try:
                    connection.connect()
                except OSError:
                    self._count("refused")  # nothing was sent: nothing is lost
                    connection = None
                    time.sleep(0.02)
                    continue
            try:
                headers = {"Content-Type": "application/json"}
                connection.request("POST", self.path, body, headers)
                response = connection.getresponse()
                content = response.read()
            except (OSError, http.client.HTTPException) as error:
                self._count(f"lost: {error!r}")
                connection = None
                continue
            self._count(str(response.status))
            if response.status == 200:
                self.answers[body] = json.loads(content)
            if response.will_close:
                connection.close()
                connection = None

    def _count(self, outcome: str) -> None:
        with self._lock:
            self.outcomes[outcome] += 1
