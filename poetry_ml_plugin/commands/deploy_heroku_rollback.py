"""`poetry ml deploy heroku rollback`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleo.helpers import argument

if TYPE_CHECKING:
    pass

from poetry_ml_plugin.commands.base.heroku import APP, HerokuCommand, count


class Rollback(HerokuCommand):
    name = "ml deploy heroku rollback"
    description = "Rolls back to an earlier release: the previous one, or the version given."
    arguments = [argument("version", "Release to go back to, like v5.", optional=True)]  # noqa: RUF012
    options = [APP]  # noqa: RUF012

    def work(self) -> int:
        asked = self.argument("version")
        version = count(asked.removeprefix("v"), "The version") if asked else None
        chosen, now = self.app().roll_back(version)
        self.line(f"Rolled back to v{chosen['version']} (now v{now['version']}).")
        return 0
