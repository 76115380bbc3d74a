"""`poetry ml deploy heroku rollback`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleo.helpers import argument

if TYPE_CHECKING:
    pass

from poetry_ml_plugin.commands.base.command import escape
from poetry_ml_plugin.commands.base.heroku import APP, HerokuCommand, count


class Rollback(HerokuCommand):
    name = "ml deploy heroku rollback"
    description = (
        "Rolls back code and config vars to the previous release, or to the version given."
    )
    arguments = [argument("version", "Release to go back to, like v5.", optional=True)]  # noqa: RUF012
    options = [APP]  # noqa: RUF012

    def work(self) -> int:
        asked = self.argument("version")
        version = count(asked.removeprefix("v"), "The version") if asked else None
        app = self.app()
        unproved = self.unproved(app.name)
        chosen = app.to_roll_back(version, lambda release: app.sources(release) not in unproved)
        names = app.differing(chosen)
        now = app.bring_back(chosen)
        self.line(f"Rolled back to v{chosen['version']} (now v{now['version']}).")
        if names:
            self.line(escape(f"Config vars as they were then: {', '.join(names)}."))
        return 0
