"""`poetry ml deploy heroku releases`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

from poetry_ml_plugin.commands.base.heroku import APP, HerokuCommand, told


class Releases(HerokuCommand):
    name = "ml deploy heroku releases"
    description = "Lists the newest releases."
    options = [APP]  # noqa: RUF012

    def work(self) -> int:
        for release in self.app().releases():
            self.line(told(release))
        return 0
