"""Say how far a job is: on a terminal in one line that is written over, elsewhere now and then."""

import sys
import time
from typing import TextIO

OFTEN, SELDOM = 0.5, 30.0  # seconds between two lines, on a terminal and elsewhere


class Progress:
    """Rows and bytes that were scored, of so many bytes."""

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self._total, self._stream = max(1, total), stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self.rows, self._done = 0, 0.0
        self._began = self._said = time.monotonic()

    def add(self, rows: int, weight: float) -> None:
        """Count what was scored, and say so if it is time to."""
        self.rows += rows
        self._done += weight
        now = time.monotonic()
        if now - self._said >= (OFTEN if self._is_terminal else SELDOM):
            self._said = now
            end = "" if self._is_terminal else "\n"
            start = "\r\x1b[K" if self._is_terminal else ""
            self._stream.write(f"{start}{self.text(now)}{end}")
            self._stream.flush()

    def text(self, now: float) -> str:
        """The rows, their number a second, and the time that is left."""
        share = min(1.0, self._done / self._total)
        seconds = max(now - self._began, 1e-9)
        left = seconds * (1 - share) / share if share else 0.0
        return f"{self.rows:,} rows, {share:.0%}, {self.rows / seconds:,.0f} rows/s, {_span(left)} left"

    def close(self) -> float:
        """Remove the line from a terminal, and return the seconds since the beginning."""
        if self._is_terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
        return time.monotonic() - self._began


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
