"""`poetry ml deploy heroku rollback`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleo.helpers import argument

if TYPE_CHECKING:
    pass

from poetry_ml_plugin.commands.base.heroku import APP, HerokuCommand, count


class Rollback(HerokuCommand):
    name = "ml deploy heroku rollback"
    description = "Brings back an earlier release; the one before, unless a version is named."
    arguments = [argument("version", "The release, like v5.", optional=True)]  # noqa: RUF012
    options = [APP]  # noqa: RUF012

    def work(self) -> int:
        asked = self.argument("version")
        version = count(asked.removeprefix("v"), "The version") if asked else None
        chosen, now = self.app().roll_back(version)
        self.line(f"v{chosen['version']} serves again, as v{now['version']}.")
        return 0
