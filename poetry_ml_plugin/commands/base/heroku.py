"""`poetry ml deploy heroku` and what can be done with an app afterwards."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from cleo.helpers import option

from poetry_ml_plugin.commands.base.command import MLCommand, escape
from poetry_ml_plugin.deploy import memory
from poetry_ml_plugin.deploy.heroku.api import HerokuAPI
from poetry_ml_plugin.deploy.heroku.app import CLI, JSON, App
from poetry_ml_plugin.deploy.heroku.ending import INTERRUPTED, DeployError
from poetry_ml_plugin.deploy.heroku.key import api_address, find_key
from poetry_ml_plugin.deploy.heroku.unproved import Unproved, at_home
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import platforms
from poetry_ml_plugin.project import pyproject

if TYPE_CHECKING:
    pass

TARGET = "heroku"
APP = option("app", "a", "The app, if it is not the saved one.", flag=False)
SIZE = option("size", None, "Dyno size, like standard-2x.", flag=False)


class HerokuCommand(MLCommand):
    """Ends with the exit code that an error carries; 130 or 143 where it was interrupted."""

    def act(self) -> int:
        # With -vvv it would tell each address, and who has that of an upload or a log needs no key.
        logging.getLogger("urllib3").setLevel(logging.INFO)
        try:
            with platforms.signals_raise():
                return self.work()
        except DeployError as error:
            self.line_error(escape(str(error)), style="error")
            return error.exit_code
        except KeyboardInterrupt as signal:
            self.line_error("Interrupted.")
            return int(getattr(signal, "exit_code", INTERRUPTED))

    def work(self) -> int:
        """Do what the command is for, and return the exit code."""
        raise NotImplementedError

    def api(self) -> HerokuAPI:
        address = api_address(os.environ)
        return HerokuAPI(find_key(os.environ, address), address)

    def unproved(self, app: str) -> Unproved:
        """Return the deploys to an app that were not seen to serve well."""
        return Unproved(at_home(), f"{api_address(os.environ)}/apps/{app}")

    def app(self) -> App:
        """Return the app that was named, or else the remembered one."""
        name = self.option("app") or self.remembered()
        if not name:
            raise MLError(
                f"No app is saved in pyproject.toml. Name one with --app, or create one with: {CLI}"
            )
        return App(self.api(), name)

    def remembered(self) -> str:
        return str(memory.recall(pyproject.find(self.folder), TARGET).get("app", ""))


def count(text: str, what: str) -> int:
    """Parse a whole number."""
    if not (text.isascii() and text.isdigit()):
        raise MLError(f'{what} must be a whole number, not "{text}".')
    return int(text)


def told(release: JSON) -> str:
    mark = "*" if release.get("current") else " "
    when = str(release["created_at"])[:16].replace("T", " ")
    told = escape(str(release["description"]))
    return f"{mark} v{release['version']:<4} {when}  {release['status']:<9}  {told}"
