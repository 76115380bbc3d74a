"""`poetry ml`: what there is, and what was probably meant."""

from __future__ import annotations

import difflib

from cleo.helpers import argument

from poetry_ml_plugin.commands import COMMANDS
from poetry_ml_plugin.commands.base.command import MLCommand
from poetry_ml_plugin.errors import MLError


class Root(MLCommand):
    name = "ml"
    description = "Lists the commands for machine-learning projects."
    arguments = [argument("name", "A command to find.", optional=True, multiple=True)]  # noqa: RUF012
    help = "Start with <c1>poetry ml new NAME</c1>."

    def act(self) -> int:
        asked = self.argument("name")
        names = [name for name in COMMANDS if name != self.name]
        if asked:
            verbs = [name.removeprefix("ml ") for name in names]
            near = difflib.get_close_matches(asked[0], verbs, 1, 0.5)
            hint = f'Did you mean "poetry ml {near[0]}"?' if near else 'See "poetry ml".'
            raise MLError(f'There is no command "poetry ml {asked[0]}". {hint}')
        width = max(map(len, names))
        for name in names:
            command = self.application.find(name) if self.application else None
            if command:
                self.line(f"  <c1>poetry {name:<{width}}</c1>  {command.description}")
        self.line("")
        self.line("Run <c1>poetry ml COMMAND --help</c1> for its options.")
        return 0
