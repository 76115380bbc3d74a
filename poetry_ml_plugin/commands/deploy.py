"""`poetry ml deploy`: where a project can be deployed to."""

from __future__ import annotations

import difflib

from cleo.helpers import argument, option

from poetry_ml_plugin import deploy
from poetry_ml_plugin.commands.base.command import MLCommand, escape
from poetry_ml_plugin.errors import MLError


class Deploy(MLCommand):
    name = "ml deploy"
    description = "Deploys the model's service to Heroku or another target."
    arguments = [argument("target", "Deploy target.", optional=True, multiple=True)]  # noqa: RUF012
    options = [option("list", None, "List the targets, and what each needs.")]  # noqa: RUF012
    help = "Deploy with <c1>poetry ml deploy heroku</c1>."

    def act(self) -> int:
        known = deploy.targets()
        asked = self.argument("target")
        if asked:
            near = difflib.get_close_matches(asked[0], known, 1, 0.5)
            hint = f'Did you mean "poetry ml deploy {near[0]}"?' if near else _LIST
            raise MLError(f'There is no target "{asked[0]}". {hint}')
        width = max(map(len, known))
        for name, target in known.items():
            self.line(f"  <c1>{escape(name):<{width}}</c1>  {escape(target.summary)}")
            self.line(f"  {'':<{width}}  needs {escape(target.needs)}")
        self.line("")
        self.line("Run <c1>poetry ml deploy TARGET --help</c1> for its options.")
        return 0


_LIST = 'See "poetry ml deploy --list".'
