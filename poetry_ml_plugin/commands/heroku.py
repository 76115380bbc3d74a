"""`poetry ml deploy heroku` and what can be done with an app afterwards."""

from __future__ import annotations

import difflib
import logging
import os
import re
import tempfile
import webbrowser
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from cleo.helpers import argument, option

from poetry_ml_plugin import deploy, project
from poetry_ml_plugin.commands.command import MLCommand, escape
from poetry_ml_plugin.commands.screen import Screen
from poetry_ml_plugin.deploy import memory, preflight
from poetry_ml_plugin.deploy.heroku import (
    INTERRUPTED,
    DeployError,
    Deployment,
    Source,
    Wish,
    app_name,
)
from poetry_ml_plugin.deploy.heroku_api import HerokuAPI
from poetry_ml_plugin.deploy.heroku_app import CLI, JSON, App
from poetry_ml_plugin.deploy.heroku_key import api_address, find_key
from poetry_ml_plugin.errors import MLError

if TYPE_CHECKING:
    from typing import BinaryIO

    from poetry_ml_plugin.deploy.preflight import Prepared
    from poetry_ml_plugin.project import Project

TARGET = "heroku"
APP = option("app", "a", "The app, unless it is the one that is remembered.", flag=False)
SIZE = option("size", None, "The dynos' size, like standard-2x.", flag=False)


class HerokuCommand(MLCommand):
    """Ends with the exit code that an error carries; 130 where it was interrupted."""

    def act(self) -> int:
        # With -vvv it would tell each address, and who has that of an upload or a log needs no key.
        logging.getLogger("urllib3").setLevel(logging.INFO)
        try:
            return self.work()
        except DeployError as error:
            self.line_error(escape(str(error)), style="error")
            return error.exit_code
        except KeyboardInterrupt:
            self.line_error("Interrupted.")
            return INTERRUPTED

    def work(self) -> int:
        """What `act` is to others."""
        raise NotImplementedError

    def api(self) -> HerokuAPI:
        address = api_address(os.environ)
        return HerokuAPI(find_key(os.environ, address), address)

    def app(self) -> App:
        """The app that is named, or remembered."""
        name = self.option("app") or self.remembered()
        if not name:
            raise MLError(f"No app is remembered here. Name it with --app, or make one with: {CLI}")
        return App(self.api(), name)

    def remembered(self) -> str:
        return str(memory.recall(project.find(self.folder), TARGET).get("app", ""))


class Deploy(HerokuCommand):
    name = "ml deploy heroku"
    description = "Builds and runs the service on Heroku."
    arguments = [argument("app", "The app: an own one, or a new one.", optional=True)]  # noqa: RUF012
    options = [  # noqa: RUF012
        option(
            "env",
            "e",
            "A config var: KEY=VALUE, or KEY for its value here.",
            flag=False,
            multiple=True,
        ),
        option("dynos", None, "How many web dynos.", flag=False),
        SIZE,
        option("region", None, "Where a new app is made, like eu.", flag=False),
        option("team", None, "Whose a new app is.", flag=False),
        option("dry-run", None, "Show what would travel, and stop."),
        option("force", None, "Deploy files that are deployed already."),
    ]
    help = f"""\
Sends what git tracks and the trained artifacts to Heroku, builds and starts it there, and compares
its first prediction with the one of the model here. It needs neither a commit nor the heroku CLI. The
app is remembered in pyproject.toml.

    <c1>{CLI} my-app --env LOG_LEVEL=info --env API_TOKEN</c1>

Exit codes: 1 nothing was changed, or Heroku refused; 3 the build failed; 4 the service did not start;
5 it predicts otherwise; 130 interrupted. Whatever served before serves on.
"""

    def work(self) -> int:
        found = project.find(self.folder)
        wish = self._wish(found)
        screen = Screen(self.io)
        with tempfile.TemporaryFile() as file:
            with screen.step("Check and pack") as done:
                ready = preflight.prepare(found, wish.size, cast("BinaryIO", file))
                done(_summary(ready))
            for note in ready.notes:
                self.line(f"  <comment>{escape(note)}</comment>")
            if self.option("dry-run"):
                self._show(wish, ready)
                return 0
            source = Source(
                cast("BinaryIO", file),
                ready.packed,
                ready.description,
                ready.trial.prediction,
                _service_key(found.package.upper(), wish.env),
            )
            url = Deployment(self.api(), screen, wish, source).run(self._remember(found, screen))
        self.line("")
        self.line(f"  <c1>{escape(url)}</c1>")
        return 0

    def _wish(self, found: Project) -> Wish:
        verbs = [verb for verb in deploy.TARGETS[TARGET].commands if verb]
        if near := difflib.get_close_matches(self.argument("app") or "", verbs, 1, 0.75):
            # Else a slip of the finger would make an app.
            raise MLError(f'Did you mean "{CLI} {near[0]}"? An app needs a name less like it.')
        named = self.argument("app") or self.remembered()
        dynos = self.option("dynos")
        return Wish(
            app=named or app_name(preflight.distribution(found)),
            named=bool(named),
            region=self.option("region") or "",
            team=self.option("team") or "",
            env=variables(self.option("env"), dict(os.environ)),
            dynos=None if dynos is None else count(dynos, "--dynos"),
            size=self.option("size") or "",
            force=self.option("force"),
        )

    def _remember(self, found: Project, screen: Screen) -> Callable[[str], None]:
        def remember(app: str) -> None:
            if not self.remembered():  # else another app is for this one time
                memory.remember(found, TARGET, {"app": app})
                screen.line(f"pyproject.toml remembers the app {app}.")

        return remember

    def _show(self, wish: Wish, ready: Prepared) -> None:
        self.line("")
        for member in ready.bundle.members:
            self.line(f"  {member.size:>12,}  {escape(member.name)}")
        self.line(f"  {ready.bundle.size:>12,}  in all; {ready.packed.size:,} packed")
        if ready.bundle.left_out:
            self.line(f"  left here: {escape(', '.join(ready.bundle.left_out))}")
        self.line("")
        self.line(f"  would go to the app <c1>{escape(wish.app)}</c1>, made if it is not there")
        for name in wish.env:
            self.line(f"  with {escape(name)} set")
        if wish.dynos is not None or wish.size:
            dynos = wish.dynos if wish.dynos is not None else "its"
            size = f" {escape(wish.size)}" if wish.size else ""
            self.line(f"  on {dynos}{size} web dynos")


class Status(HerokuCommand):
    name = "ml deploy heroku status"
    description = "Says what runs on Heroku, and how it is. Exit code 1 where it does not run well."
    options = [APP]  # noqa: RUF012

    def work(self) -> int:
        app = self.app()
        self.line(f"<c1>{app.name}</c1>  {escape(app.info()['web_url'])}")
        current = next((release for release in app.releases() if release.get("current")), None)
        self.line(_release(current) if current else "nothing was released yet")
        dynos = app.dynos()
        for dyno in dynos:
            version = f"v{dyno['release']['version']}"
            self.line(f"{dyno['name']:<8} {dyno['state']:<9} {escape(dyno['size'])}, {version}")
        if not dynos:
            self.line(f"no web dyno runs. Start one with: {CLI} scale 1")
        if app.building():
            self.line(f"A build is under way. Watch it with: {CLI}")
        well = current and current["status"] == "succeeded"
        return 0 if well and dynos and all(dyno["state"] == "up" for dyno in dynos) else 1


class Logs(HerokuCommand):
    name = "ml deploy heroku logs"
    description = "Prints the end of the app's log."
    options = [  # noqa: RUF012
        APP,
        option("tail", "t", "Go on with what comes. Stop with Ctrl-C."),
        option("lines", None, "How many lines.", flag=False, default="100"),
    ]

    def work(self) -> int:
        lines = count(self.option("lines"), "--lines")
        with suppress(KeyboardInterrupt):  # how to end --tail
            for line in self.app().log(lines, self.option("tail")):
                self.line(escape(line))
                self.io.output.flush()
        return 0


class Releases(HerokuCommand):
    name = "ml deploy heroku releases"
    description = "Lists the newest releases."
    options = [APP]  # noqa: RUF012

    def work(self) -> int:
        for release in self.app().releases():
            self.line(_release(release))
        return 0


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


class Scale(HerokuCommand):
    name = "ml deploy heroku scale"
    description = "Sets how many web dynos run, and of what size."
    arguments = [argument("dynos", "How many.")]  # noqa: RUF012
    options = [APP, SIZE]  # noqa: RUF012

    def work(self) -> int:
        dynos = count(self.argument("dynos"), "The number")
        changed = self.app().scale(dynos, self.option("size") or "")
        self.line(f"{dynos} web dynos{'' if changed else ', as before'}.")
        return 0


class Open(HerokuCommand):
    name = "ml deploy heroku open"
    description = "Opens the service's page in a browser."
    options = [APP]  # noqa: RUF012

    def work(self) -> int:
        url = self.app().info()["web_url"]
        self.line(escape(url))
        webbrowser.open(url)
        return 0


class Destroy(HerokuCommand):
    name = "ml deploy heroku destroy"
    description = "Destroys the app with all that belongs to it, once its name is repeated."
    options = [APP, option("confirm", None, "The app's name, instead of a question.", flag=False)]  # noqa: RUF012

    def work(self) -> int:
        app = self.app()
        app.info()
        typed = self.option("confirm")
        if typed is None and self.io.is_interactive():
            typed = self.ask(f"This destroys {app.name} and its add-ons. Type its name to go on:")
        if typed != app.name:
            raise MLError(f"Not destroyed: its name was not repeated. See: --confirm {app.name}")
        app.destroy()
        if self.remembered() == app.name:
            memory.forget(project.find(self.folder), TARGET)
        self.line(f"{app.name} is destroyed.")
        return 0


def variables(words: list[str], environ: dict[str, str]) -> dict[str, str]:
    """Config vars from KEY=VALUE and KEY. Raises MLError that names every word that is neither."""
    pairs = {}
    wrong = []
    for word in words:
        name, equals, value = word.partition("=")
        if not re.fullmatch(r"\w+", name, re.ASCII):
            wrong.append("one word is no KEY=VALUE")  # it may hold a value: not to be shown
        elif not equals and name not in environ:
            wrong.append(f"{name} is not set here")
        else:
            pairs[name] = value if equals else environ[name]
    if wrong:
        raise MLError(f"--env: {'; '.join(wrong)}. Write --env KEY=VALUE, or --env KEY.")
    return pairs


def count(text: str, what: str) -> int:
    """A whole number that somebody typed."""
    if not (text.isascii() and text.isdigit()):
        raise MLError(f'{what} is a whole number, not "{text}".')
    return int(text)


def _service_key(prefix: str, env: Mapping[str, str]) -> str:
    """What the service may ask its callers for: as a caller has it, or as it is being set."""
    known = os.environ.get(f"{prefix}_API_KEY") or env.get(f"{prefix}_SERVE_API_KEYS", "")
    return known.split(",")[0].strip()


def _summary(ready: Prepared) -> str:
    files, size = len(ready.bundle.members), ready.bundle.size / 1e6
    return f"{files} files, {size:.1f} MB; {ready.packed.size / 1e6:.1f} MB packed"


def _release(release: JSON) -> str:
    mark = "*" if release.get("current") else " "
    when = str(release["created_at"])[:16].replace("T", " ")
    told = escape(str(release["description"]))
    return f"{mark} v{release['version']:<4} {when}  {release['status']:<9}  {told}"
