"""`poetry ml deploy heroku destroy`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleo.helpers import option

from poetry_ml_plugin.deploy import memory
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import pyproject

if TYPE_CHECKING:
    pass

from poetry_ml_plugin.commands.base.heroku import APP, TARGET, HerokuCommand


class Destroy(HerokuCommand):
    name = "ml deploy heroku destroy"
    description = "Destroys the app and its add-ons, after its name is confirmed."
    options = [  # noqa: RUF012
        APP,
        option("confirm", None, "Confirm with the app's name, without a prompt.", flag=False),
    ]

    def work(self) -> int:
        app = self.app()
        app.info()
        typed = self.option("confirm")
        if typed is None and self.io.is_interactive():
            typed = self.ask(f"This destroys {app.name} and its add-ons. Type its name to go on:")
        if typed != app.name:
            raise MLError(f"Not destroyed: the name does not match. Pass: --confirm {app.name}")
        app.destroy()
        if self.remembered() == app.name:
            memory.forget(pyproject.find(self.folder), TARGET)
        self.line(f"{app.name} is destroyed.")
        return 0
