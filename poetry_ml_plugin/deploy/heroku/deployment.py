"""Deploy of a packed project to Heroku: app, settings, build, release, smoke test."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

from poetry_ml_plugin.deploy.heroku import smoke_test
from poetry_ml_plugin.deploy.heroku.api import HerokuAPI, HerokuError
from poetry_ml_plugin.deploy.heroku.app import CLI, JSON, NAME, App
from poetry_ml_plugin.deploy.heroku.logs import Log
from poetry_ml_plugin.deploy.heroku.symptoms import explain
from poetry_ml_plugin.deploy.heroku.tarball import Packed
from poetry_ml_plugin.errors import MLError

# How long to wait, in seconds.
BUILD, RELEASE, START, ANSWER = 1800, 900, 180, 60
PAUSE, LONGEST_PAUSE = 0.5, 4.0
LOG_LINES, SHOWN_LINES = 100, 20

TAKEN = (403, 422)  # what is answered to a name that is somebody else's
BUILD_FAILED, START_FAILED, ANSWER_DIFFERS, INTERRUPTED = 3, 4, 5, 130


class DeployError(MLError):
    """A deploy that began and did not end well; the exit code says where."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Screen(Protocol):
    """Display of a deploy's progress."""

    def step(self, title: str) -> AbstractContextManager[Callable[[str], None]]:
        """Show that something is under way. The last that the function is given is shown at its end."""
        ...

    def line(self, text: str) -> None: ...

    def progress(self, done: int, total: int) -> None: ...


@dataclass(frozen=True)
class DeployOptions:
    """Options of a deploy. `named` is false if the app's name is only a proposal."""

    app: str
    named: bool = True
    region: str = ""
    team: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    dynos: int | None = None
    size: str = ""
    force: bool = False


@dataclass(frozen=True)
class Source:
    """What is sent: a tarball, its description, and the local model's prediction of its examples."""

    file: BinaryIO
    packed: Packed
    description: str
    prediction: Any = None
    key: str = ""  # that the service itself asks its callers for


class Deployment:
    """One deploy of one project."""

    def __init__(
        self,
        api: HerokuAPI,
        screen: Screen,
        options: DeployOptions,
        source: Source,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._screen = screen
        self._options = options
        self._source = source
        self._sleep = sleep
        self._clock = clock

    def run(self, remember: Callable[[str], None]) -> str:
        """Deploy, and return the address of the service. Raises DeployError if it does not run.

        `remember` is given the app's name as soon as there is one.
        """
        with self._screen.step("Prepare the app") as done:
            app, url = self._find_or_create()
            remember(app.name)
            before = app.serving()
            configured = app.configure(self._options.env)
            done(f"{app.name}{''.join(f', {name} set' for name in configured)}")
        if (
            before
            and not self._options.force
            and app.sources(before) == self._source.packed.sources
        ):
            scaled = app.scale(self._options.dynos, self._options.size)
            if not (configured or scaled) and self._well(app, before):
                self._screen.line(
                    f"Nothing to do: v{before['version']} was built from these files. "
                    "To deploy again: --force"
                )
                return url
            release = app.serving() or before
        else:
            release = self._build(app)
            app.scale(self._options.dynos, self._options.size)
        web = self._formation(app)
        try:
            self._start(app, release, web)
            self._compare(app, url)
        except DeployError as error:
            raise self._bring_back(app, before, release, error) from None
        return url

    def _find_or_create(self) -> tuple[App, str]:
        """Return the app and its address. A proposed name that is taken is changed."""
        options = self._options
        try:
            return self._app(options.app)
        except HerokuError as error:
            if options.named or error.status not in TAKEN:
                raise
        return self._app(f"{options.app[:23].rstrip('-')}-{secrets.token_hex(3)}")

    def _app(self, name: str) -> tuple[App, str]:
        app, options = App(self._api, name), self._options
        try:
            return app, app.info()["web_url"]
        except HerokuError as error:
            if error.status != 404:
                raise
        return app, app.create(options.region, options.team)["web_url"]

    def _build(self, app: App) -> JSON:
        build = self._under_way(app) or self._send(app)
        with self._screen.step("Build") as done:
            try:
                build = self._follow(app, build)
            except KeyboardInterrupt:
                said = "The build continues on Heroku. Run the same command to follow it."
                raise DeployError(said, INTERRUPTED) from None
            done(self._source.packed.sources[:8])
        with self._screen.step("Release") as done:
            release = self._released(app, build)
            done(f"v{release['version']}")
        return release

    def _under_way(self, app: App) -> JSON | None:
        """Find an unfinished build of these very files."""
        for build in app.building():
            if build["source_blob"].get("version") == self._source.packed.sources:
                self._screen.line("A build of these files is in progress.")
                return build
        return None

    def _send(self, app: App) -> JSON:
        packed = self._source.packed
        with self._screen.step("Upload") as done:
            blob = self._api.post("/sources", repeatable=True)["source_blob"]
            self._api.upload(
                blob["put_url"],
                self._source.file,
                packed.size,
                lambda sent: self._screen.progress(sent, packed.size),
            )
            done(f"{packed.size / 1e6:.1f} MB")
        return app.build(blob["get_url"], packed.sha256, packed.sources, self._source.description)

    def _follow(self, app: App, build: JSON) -> JSON:
        """Wait for a build, showing its log, which is resumed after a dropped connection."""
        log = Log(self._screen.line)
        for _ in self._for(BUILD):
            self._read(build, log)
            build = app.built(build["id"])
            if build["status"] == "failed" or build["release"]:
                break
        else:
            raise self._late("the build", BUILD)
        while self._read(build, log):
            pass  # what was said since, which may come in pieces too
        log.end()
        if build["status"] == "failed":
            raise DeployError(failure("The build failed", [], log.lines), BUILD_FAILED)
        return build

    def _read(self, built: JSON, log: Log) -> bool:
        """Read more of the log of a build or a release; tell whether there was any."""
        before = log.read
        for chunk in self._api.stream(built["output_stream_url"], before):
            log.take(chunk)
        return log.read > before

    def _released(self, app: App, build: JSON) -> JSON:
        for _ in self._for(RELEASE):
            release = app.release(build["release"]["id"])
            if release["status"] != "pending":
                break
        else:
            raise self._late("the release", RELEASE)
        if release["status"] == "succeeded":
            return release
        log = Log()
        if release.get("output_stream_url"):
            self._read(release, log)
            log.end()
        what = f"The release v{release['version']} failed"
        raise DeployError(failure(what, log.lines, log.lines), START_FAILED)

    def _formation(self, app: App) -> JSON:
        """Return the web dynos that are to run. Raises DeployError if there are none."""
        web = app.web()
        if not web.get("quantity"):
            raise DeployError(failure("Nothing serves", [], ["H14"]), START_FAILED)
        return web

    def _start(self, app: App, release: JSON, web: JSON) -> None:
        with self._screen.step("Start") as done:
            for _ in self._for(START):
                states = self._states(app, release)
                if "crashed" in states:
                    raise self._ill(app, f"v{release['version']} crashed")
                if states.count("up") >= web["quantity"]:
                    break
            else:
                raise self._ill(app, f"v{release['version']} did not start")
            done(f"{web['quantity']} {web.get('size', '')}")

    def _well(self, app: App, release: JSON) -> bool:
        states = self._states(app, release)
        return bool(states) and all(state in ("up", "idle") for state in states)

    def _states(self, app: App, release: JSON) -> list[str]:
        new = (dyno for dyno in app.dynos() if dyno["release"]["version"] >= release["version"])
        return [dyno["state"] for dyno in new]

    def _compare(self, app: App, url: str) -> None:
        """Ask the service for the model's examples, and hold the answer against the one from here."""
        base, expected = url.rstrip("/"), self._source.prediction
        with self._screen.step("Predict") as done:
            for _ in self._for(ANSWER):
                ready = self._api.visit(f"{base}/health/ready")
                if ready is not None and ready.ok:
                    break
            else:
                raise self._ill(app, "The service is not ready")
            answer = smoke_test.there(self._api.visit, base, self._source.key)
            if answer.failure:
                raise self._ill(app, f"The service does not predict: {answer.failure}")
            if answer.skipped or expected is None:
                done(f"the service is ready; {answer.skipped or 'nothing to compare with'}")
            elif smoke_test.alike(answer.prediction, expected):
                done("same as the local model")
            else:
                said = f"Predictions differ from the local model: the service returns {answer.prediction}, the local model {expected}."
                raise DeployError(said, ANSWER_DIFFERS)

    def _ill(self, app: App, what: str) -> DeployError:
        """Build the error for an app that does not run, with the end of its log."""
        try:
            lines = list(app.log(LOG_LINES))
        except MLError:  # what happened matters more than why its log cannot be had
            lines = []
        return DeployError(failure(what, lines, lines), START_FAILED)

    def _bring_back(
        self, app: App, before: JSON | None, release: JSON, error: DeployError
    ) -> DeployError:
        """Roll back to the release that served before, and say so in the error."""
        if before is None or before["id"] == release["id"]:
            return error
        back = app.bring_back(before)
        said = f"{error}\nRolled back to v{before['version']} (now v{back['version']})."
        return DeployError(said, error.exit_code)

    def _for(self, seconds: float) -> Iterator[None]:
        """Again and again, with ever longer pauses in between, for as long as that."""
        deadline, pause = self._clock() + seconds, PAUSE
        while self._clock() < deadline:
            yield
            self._sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _late(self, what: str, seconds: float) -> DeployError:
        said = f"Heroku did not finish {what} within {seconds / 60:.0f} minutes. See: {CLI} status"
        return DeployError(said, START_FAILED)


def app_name(distribution: str) -> str:
    """Derive an app's name from a distribution's."""
    name = re.sub(r"[^a-z0-9]+", "-", distribution.lower()).strip("-")[:30].strip("-")
    return name if NAME.fullmatch(name) else f"model-{name}"[:30].strip("-")


def failure(what: str, shown: list[str], log: list[str]) -> str:
    """Describe a failure: the end of the log, and the causes recognized in it."""
    end = [f"  {line}" for line in shown[-SHOWN_LINES:]]
    return "\n".join([f"{what}:" if end else f"{what}.", *end, *explain("\n".join(log))])
