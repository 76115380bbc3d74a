"""`poetry ml deploy heroku open`."""

from __future__ import annotations

import webbrowser
from typing import TYPE_CHECKING

from poetry_ml_plugin.commands.base.command import escape

if TYPE_CHECKING:
    pass

from poetry_ml_plugin.commands.base.heroku import APP, HerokuCommand


class Open(HerokuCommand):
    name = "ml deploy heroku open"
    description = "Opens the service's page in a browser."
    options = [APP]  # noqa: RUF012

    def work(self) -> int:
        url = self.app().info()["web_url"]
        self.line(escape(url))
        webbrowser.open(url)
        return 0
