"""An environment that is active and not the project's: said before anything goes into it, or left alone."""

from __future__ import annotations

import contextlib
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from cleo.helpers import option

from poetry_ml_plugin.commands.base.command import escape
from poetry_ml_plugin.host import venv

if TYPE_CHECKING:
    from cleo.io.inputs.option import Option

    from poetry_ml_plugin.commands.base.command import MLCommand


def options() -> list[Option]:
    """The option of a command that installs a project."""
    return [option("own-venv", None, "Leave the active virtual environment alone.")]


def chosen(command: MLCommand, root: Path) -> tuple[AbstractContextManager[None], list[str]]:
    """Say which environment the project in a folder goes into, where that is not its own.

    Returns what holds while it is installed, and the commands to go on with in its own environment.
    """
    active = None if command.option("no-install") else venv.foreign(root)
    if active is None:
        return contextlib.nullcontext(), []
    if command.option("own-venv"):
        conda = "VIRTUAL_ENV" not in os.environ
        return venv.without_active(), ["conda deactivate" if conda else "deactivate"]
    command.line(
        f"Poetry installs into the active virtual environment <c1>{escape(str(active))}</c1>. "
        "For one of the project's own, add --own-venv.",
        style="comment",
    )
    return contextlib.nullcontext(), []
