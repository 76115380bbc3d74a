"""Holds `poetry build` and `poetry publish` back from a package that would not work."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from poetry.console.exceptions import PoetryRuntimeError

from poetry_ml_plugin import packaging
from poetry_ml_plugin.commands.command import escape
from poetry_ml_plugin.errors import MLError

if TYPE_CHECKING:
    from poetry.console.commands.command import Command


def check(command: Command) -> None:
    """Raises what Poetry prints and ends with, where the artifacts of an ML project are not in order."""
    try:
        packaging.guard(command.poetry.file.path.parent)
    except MLError as error:
        raise PoetryRuntimeError(escape(str(error))) from error
    except Exception as error:  # noqa: BLE001
        # A bug of ours must not be the reason why somebody cannot build.
        print(f"poetry-ml-plugin did not check the artifacts: {error!r}", file=sys.stderr)
