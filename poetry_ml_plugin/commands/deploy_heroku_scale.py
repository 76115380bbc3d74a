"""`poetry ml deploy heroku scale`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleo.helpers import argument

if TYPE_CHECKING:
    pass

from poetry_ml_plugin.commands.base.heroku import APP, SIZE, HerokuCommand, count


class Scale(HerokuCommand):
    name = "ml deploy heroku scale"
    description = "Sets the number and the size of the web dynos."
    arguments = [argument("dynos", "How many.")]  # noqa: RUF012
    options = [APP, SIZE]  # noqa: RUF012

    def work(self) -> int:
        dynos = count(self.argument("dynos"), "The number")
        changed = self.app().scale(dynos, self.option("size") or "")
        self.line(f"{dynos} web dynos{'' if changed else ' (unchanged)'}.")
        return 0
