"""Libraries that a command needs and the project lacks: added after a yes."""

from __future__ import annotations

from pathlib import Path

from poetry_ml_plugin.commands.base.command import MLCommand, escape
from poetry_ml_plugin.commands.base.own_data import can_ask
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import libraries


def provide(command: MLCommand, root: Path, name: str, yes: bool, insists: bool = True) -> None:
    """See to it that a use's libraries are installed, if somebody agrees to add them.

    Where nobody does, the command goes on without; one that insists on them raises MLError.
    """
    missing = libraries.missing(root, name)
    if not missing:
        return
    wanted = ", ".join(missing)
    asked = can_ask(command)
    question = f"This needs {escape(wanted)}. Add it to the project?"
    if yes or (asked and command.confirm(question, True)):
        libraries.add(root, name)
    elif insists:
        advice = "Nothing was changed." if asked else f"Run: poetry ml add {name}. Or pass --yes."
        raise MLError(f"This needs {wanted}. {advice}")
