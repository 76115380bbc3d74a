"""Libraries that a command needs and the project lacks: added after a yes."""

from __future__ import annotations

from pathlib import Path

from poetry_ml_plugin.commands.base.command import MLCommand, escape
from poetry_ml_plugin.commands.base.own_data import can_ask
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import libraries


def provide(command: MLCommand, root: Path, name: str, yes: bool) -> None:
    """See to it that a use's libraries are installed. Raises MLError where nobody agrees to add them."""
    missing = libraries.missing(root, name)
    if not missing:
        return
    wanted = ", ".join(missing)
    if not yes and not can_ask(command):
        raise MLError(f"This needs {wanted}. Run: poetry ml add {name}. Or pass --yes.")
    if not yes and not command.confirm(
        f"This needs {escape(wanted)}. Add it to the project?", True
    ):
        raise MLError(f"This needs {wanted}. Nothing was changed.")
    libraries.add(root, name)
