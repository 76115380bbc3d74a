"""Display of steps: what is under way, how far it is, and how long it took."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cleo.ui.progress_bar import ProgressBar

from poetry_ml_plugin.commands.base.command import escape
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.template.first_run import Skipped, Step

if TYPE_CHECKING:
    from cleo.io.io import IO

WIDTH = 24  # of the titles
INTERRUPTED = 130
CLEAR = "\r\x1b[2K"


class Steps:
    """Steps with their times. Off a terminal, nothing is drawn over."""

    def __init__(self, io: IO, clock: Callable[[], float] = time.monotonic) -> None:
        self._io = io
        self._clock = clock
        self._terminal = io.output.is_decorated()
        self._done, self._busy = signs(sys.stdout.encoding)
        self._title = ""
        self._bar: ProgressBar | None = None
        self.exit_code = 0
        self.interrupted = False
        self.resume: list[str] = []
        """The commands that do by hand what failed, and what was to follow it."""

    @property
    def failed(self) -> bool:
        return self.exit_code != 0

    def run(self, steps: list[Step]) -> bool:
        """Run steps, and tell whether all were done. What a failure leaves undone is in `resume`.

        After an interruption nothing is done any more.
        """
        for n, step in enumerate(steps):
            if not step.needed():
                continue
            if self.interrupted or not self._run(step):
                if self.failed:
                    left = [left.resume for left in steps[n:] if left.resume and left.needed()]
                    self.resume += [word for word in dict.fromkeys(left) if word not in self.resume]
                return False
        return True

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """Show that something is under way. The last that the function is given is shown at its end."""
        start, said = self._clock(), [""]
        self._begin(title)
        try:
            yield said.append
        except Skipped as reason:
            self._end(f"<comment>-</comment> {title:<{WIDTH}} left out: {escape(str(reason))}")
            raise
        except KeyboardInterrupt:
            self._end(f"<error>x</error> {title:<{WIDTH}} interrupted")
            raise
        except BaseException:
            self._end(f"<error>x</error> {title:<{WIDTH}} failed")
            raise
        seconds = f"{self._clock() - start:.1f} s"
        summary = escape(_fit(said[-1], 40) if self._terminal else said[-1])
        self._end(f"<success>{self._done}</success> {title:<{WIDTH}} {seconds:>7}  {summary}")

    def line(self, text: str) -> None:
        """Print a line that stays."""
        self._io.write_line(f"{CLEAR if self._terminal else ''}  {escape(text)}")
        self.tell("")

    def tell(self, text: str) -> None:
        """Show what the step under way has to say, on a terminal, until the next."""
        if self._terminal and self._title:
            quiet = f"<fg=default;options=dark>{escape(_fit(text, 34))}</>"
            self._io.write(f"{CLEAR}  {self._busy} {self._title:<{WIDTH}} {quiet}")
        self._io.output.flush()

    def progress(self, done: int, total: int) -> None:
        """Show how far the step under way is, on a terminal."""
        if not self._terminal:
            return
        if self._bar is None:
            self._io.write(CLEAR)
            self._bar = ProgressBar(self._io.output, total)
            self._bar.set_format(f"  {self._busy} {self._title:<{WIDTH}} [%bar%] %percent:3s% %")
            self._bar.start()
        self._bar.set_progress(done)

    def _run(self, step: Step) -> bool:
        try:
            with self.step(step.title) as done:
                done(step.run(self.tell))
        except Skipped:
            return False
        except MLError as error:
            self._io.write_error_line(f"<error>{escape(str(error))}</error>")
            self.exit_code = 1
            return False
        except KeyboardInterrupt as signal:
            self.exit_code = getattr(signal, "exit_code", INTERRUPTED)
            self.interrupted = True
            return False
        return True

    def _begin(self, title: str) -> None:
        self._title, self._bar = title, None
        if self._terminal:
            self._io.write(f"  {self._busy} {title}")
        else:
            self._io.write_line(f"  {title} {self._busy}")
        self._io.output.flush()

    def _end(self, line: str) -> None:
        self._title, self._bar = "", None
        self._io.write_line(f"{CLEAR if self._terminal else ''}  {line.rstrip()}")
        self._io.output.flush()


def signs(encoding: str | None) -> tuple[str, str]:
    """Choose signs for "done" and "under way" that the terminal's encoding has."""
    try:
        "✓…".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "+", "..."
    return "✓", "…"


def _fit(text: str, taken: int) -> str:
    width = max(shutil.get_terminal_size().columns - taken, 20)
    return text if len(text) <= width else text[: width - 1] + "…"
