"""`poetry ml deploy heroku logs`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cleo.helpers import option

from poetry_ml_plugin.commands.base.command import escape

if TYPE_CHECKING:
    pass

from poetry_ml_plugin.commands.base.heroku import APP, HerokuCommand, count


class Logs(HerokuCommand):
    name = "ml deploy heroku logs"
    description = "Prints the end of the app's log."
    options = [  # noqa: RUF012
        APP,
        option("tail", "t", "Keep printing new lines. Stop with Ctrl-C."),
        option("lines", None, "Number of lines.", flag=False, default="100"),
    ]

    def work(self) -> int:
        lines = count(self.option("lines"), "--lines")
        with suppress(KeyboardInterrupt):  # how to end --tail
            for line in self.app().log(lines, self.option("tail")):
                self.line(escape(line))
                self.io.output.flush()
        return 0
