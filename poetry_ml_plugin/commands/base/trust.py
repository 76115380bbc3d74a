"""Question before the code of a foreign template runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from poetry_ml_plugin.commands.base.command import escape
from poetry_ml_plugin.template import find

if TYPE_CHECKING:
    from poetry_ml_plugin.commands.base.command import MLCommand
    from poetry_ml_plugin.template.render import Template


def agree(command: MLCommand, template: Template) -> bool:
    """Tell whether a template's code may run; ask the user about a foreign one.

    Where nobody can be asked the answer is no, unless --trust was given.
    """
    if not find.foreign(template) or command.option("trust"):
        return True
    command.line("")
    command.line(
        f"Installing and training would run the code of <c1>{escape(template.source)}</c1>, "
        f"version {escape(template.version)}."
    )
    if command.io.is_interactive() and sys.stdin.isatty():
        return bool(command.confirm("Do you trust it?", False))
    command.line("Nothing of it was run: read it, or say <c1>--trust</c1>.")
    return False
