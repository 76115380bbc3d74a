"""Base class of every `poetry ml` command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cleo.formatters.formatter import Formatter
from poetry.console.commands.command import Command

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import platforms, venv

if TYPE_CHECKING:
    from poetry.console.application import Application


class MLCommand(Command):
    """Prints an MLError as it reads, and ends with 1."""

    def handle(self) -> int:
        venv.leave_own(self.folder)
        platforms.print_anything()
        # Whoever set it for Poetry did not mean that a project should compile what it imports anew each time.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        try:
            return self.act()
        except MLError as error:
            self.line_error(escape(str(error)), style="error")
            return 1

    def act(self) -> int:
        """Do what the command is for, and return the exit code."""
        raise NotImplementedError

    @property
    def folder(self) -> Path:
        """The folder that Poetry was told to work on, or was started in."""
        # Poetry has gone to a relative one already.
        folder = cast("Application", self.application).project_directory
        return folder.resolve() if folder.is_absolute() else Path.cwd()

    @property
    def uses_cache(self) -> bool:
        """Whether Poetry's own option --no-cache is not given."""
        return not self.option("no-cache")

    def way_to(self, folder: Path) -> list[str]:
        """Return the command that changes to a folder; nothing if it is the current one."""
        way = platforms.relative(folder, self.folder)
        return [] if way == Path() else [f"cd {platforms.quoted(str(way))}"]


def escape(text: str) -> str:
    """Escape cleo's markup in a text."""
    return Formatter.escape(text)
