"""Display of steps and their times."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING

from poetry_ml_plugin.commands.base.command import escape
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.template.first_run import Skipped, Step

if TYPE_CHECKING:
    from cleo.io.io import IO

WIDTH = 24  # of the titles
INTERRUPTED = 130


class Steps:
    """A sequence of steps, which ends with the first failure."""

    def __init__(self, io: IO) -> None:
        self._io = io
        self._signs = signs(sys.stdout.encoding)
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
            if self.interrupted or not self._run(step):
                if self.failed:
                    left = [left.resume for left in steps[n:] if left.resume]
                    self.resume += [word for word in dict.fromkeys(left) if word not in self.resume]
                return False
        return True

    def _run(self, step: Step) -> bool:
        start = time.monotonic()
        self._begin(step.title)
        try:
            summary = step.run(lambda line: self._tell(step.title, line))
        except Skipped as reason:
            self._end(f"<comment>-</comment> {step.title:<{WIDTH}} left out: {escape(str(reason))}")
            return False
        except MLError as error:
            self._end(f"<error>x</error> {step.title:<{WIDTH}} failed")
            self._io.write_error_line(f"<error>{escape(str(error))}</error>")
            self.exit_code = 1
            return False
        except KeyboardInterrupt as signal:
            self._end(f"<error>x</error> {step.title:<{WIDTH}} interrupted")
            self.exit_code = getattr(signal, "exit_code", INTERRUPTED)
            self.interrupted = True
            return False
        seconds = f"{time.monotonic() - start:.1f} s"
        self._end(
            f"<success>{self._signs[0]}</success> {step.title:<{WIDTH}} {seconds:>7}  {escape(_fit(summary, 40))}"
        )
        return True

    def _begin(self, title: str) -> None:
        if self._io.output.is_decorated():
            self._io.write(f"  {self._signs[1]} {title}")
        else:
            self._io.write_line(f"  {title} {self._signs[1]}")
        self._io.output.flush()

    def _tell(self, title: str, line: str) -> None:
        if self._io.output.is_decorated():
            self._io.write(
                f"\r\x1b[2K  {self._signs[1]} {title:<{WIDTH}} <fg=default;options=dark>{escape(_fit(line, 34))}</>"
            )
            self._io.output.flush()

    def _end(self, line: str) -> None:
        clear = "\r\x1b[2K" if self._io.output.is_decorated() else ""
        self._io.write_line(f"{clear}  {line.rstrip()}")


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
