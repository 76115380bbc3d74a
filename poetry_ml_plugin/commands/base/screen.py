"""Display of a deploy's steps, with a progress bar."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from poetry_ml_plugin.commands.base.command import escape

if TYPE_CHECKING:
    from cleo.io.io import IO

TITLE = 20
BAR = 24


class Screen:
    """Steps with their times, and lines in between. Off a terminal, nothing is drawn over."""

    def __init__(self, io: IO, clock: Callable[[], float] = time.monotonic) -> None:
        self._io = io
        self._clock = clock
        self._terminal = io.output.is_decorated()
        self._title = ""
        self._drawn = -1

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """Show that something is under way. The last that the function is given is shown at its end."""
        start = self._clock()
        said = [""]
        self._title = title
        self._draw("…")
        try:
            yield said.append
        except BaseException:
            self._print(f"<error>x</error> {title}")
            raise
        finally:
            self._title, self._drawn = "", -1
        seconds = f"{self._clock() - start:.1f} s"
        self._print(
            f"<success>✓</success> {title:<{TITLE}} {seconds:>7}  {escape(said[-1])}".rstrip()
        )

    def line(self, text: str) -> None:
        self._print(f"  {escape(text)}")
        self._draw("…")

    def progress(self, done: int, total: int) -> None:
        """Draw a bar, anew at each percent."""
        percent = 100 * done // max(total, 1)
        if percent != self._drawn:
            self._drawn = percent
            full = BAR * percent // 100
            self._draw(f"{'█' * full}{'░' * (BAR - full)} {percent:3} % of {total / 1e6:.1f} MB")

    def _draw(self, text: str) -> None:
        if self._terminal and self._title:
            self._io.write(f"\r\x1b[2K  … {self._title:<{TITLE}} {escape(text)}")
            self._io.output.flush()

    def _print(self, line: str) -> None:
        self._io.write_line(f"\r\x1b[2K  {line}" if self._terminal else f"  {line}")
        self._io.output.flush()
