"""`poetry ml deploy heroku status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poetry_ml_plugin.commands.base.command import escape
from poetry_ml_plugin.deploy.heroku.app import CLI

if TYPE_CHECKING:
    pass

from poetry_ml_plugin.commands.base.heroku import APP, HerokuCommand, told


class Status(HerokuCommand):
    name = "ml deploy heroku status"
    description = "Shows what runs on Heroku. The exit code is 1 if it is not healthy."
    options = [APP]  # noqa: RUF012

    def work(self) -> int:
        app = self.app()
        self.line(f"<c1>{app.name}</c1>  {escape(app.info()['web_url'])}")
        current = next((release for release in app.releases() if release.get("current")), None)
        self.line(told(current) if current else "no release yet")
        dynos = app.dynos()
        for dyno in dynos:
            version = f"v{dyno['release']['version']}"
            self.line(f"{dyno['name']:<8} {dyno['state']:<9} {escape(dyno['size'])}, {version}")
        if not dynos:
            self.line(f"no web dyno is running. Start one with: {CLI} scale 1")
        if app.building():
            self.line(f"A build is in progress. Follow it with: {CLI}")
        well = current and current["status"] == "succeeded"
        return 0 if well and dynos and all(dyno["state"] == "up" for dyno in dynos) else 1
