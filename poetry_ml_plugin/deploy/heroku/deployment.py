"""Deploy of a packed project to Heroku: app, settings, build, release, smoke test."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

from poetry_ml_plugin.deploy import smoke_test
from poetry_ml_plugin.deploy.heroku.api import HerokuAPI, HerokuError
from poetry_ml_plugin.deploy.heroku.app import CLI, JSON, NAME, App
from poetry_ml_plugin.deploy.heroku.ending import (
    ANSWER_DIFFERS,
    BUILD_FAILED,
    NOT_CHECKED,
    START_FAILED,
    DeployError,
    Ending,
    Trail,
    told,
)
from poetry_ml_plugin.deploy.heroku.logs import Log, since
from poetry_ml_plugin.deploy.heroku.symptoms import explain
from poetry_ml_plugin.deploy.heroku.tarball import Packed
from poetry_ml_plugin.deploy.heroku.unproved import Unproved
from poetry_ml_plugin.deploy.smoke_test import SmokeTest
from poetry_ml_plugin.errors import MLError

# How long to wait, in seconds.
BUILD, RELEASE, START, ANSWER = 1800, 900, 180, 60
PAUSE, LONGEST_PAUSE = 0.5, 4.0
LOG_LINES, SHOWN_LINES = 100, 20

TAKEN = (403, 422)  # what is answered to a name that is somebody else's


class NoDynosError(DeployError):
    """Nobody wants a dyno, so what was released cannot be judged, and stays."""


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
    """What is sent: a tarball, its description, and what the local model predicts."""

    file: BinaryIO
    packed: Packed
    description: str
    prediction: Any = None
    rows: list[Any] = field(default_factory=list)  # which it predicted; empty: the model's examples
    key: str = ""  # that the service itself asks its callers for


class Deployment:
    """One deploy of one project."""

    def __init__(
        self,
        api: HerokuAPI,
        screen: Screen,
        options: DeployOptions,
        source: Source,
        unproved: Callable[[str], Unproved],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._screen = screen
        self._options = options
        self._source = source
        self._unproved = unproved  # by the app's name, which may be changed
        self._sleep = sleep
        self._clock = clock

    def run(self, remember: Callable[[str], None]) -> str:
        """Deploy, and return the address of the service. Raises DeployError if it does not run.

        `remember` is given the app's name as soon as there is one.
        """
        sources, env = self._source.packed.sources, self._options.env
        with self._screen.step("Prepare the app") as done:
            app, url = self._find_or_create()
            remember(app.name)
            trail, unproved = Trail(app, sources), self._unproved(app.name)
            before = app.serving()
            same = before is not None and app.sources(before) == sources
            done(app.name)
        try:
            if before is not None and same and not self._options.force:
                changed = self._adjust(trail, before, sources in unproved)
                release = before
            else:
                changed = True
                if before is None:
                    self._configure(trail, env, None)
                release = self._build(trail, unproved)
                self._configure(trail, env, release)
                app.scale(self._options.dynos, self._options.size)
            self._judge(app, release, url)
        except NoDynosError:
            raise
        except (MLError, KeyboardInterrupt) as error:
            raise self._ending(trail, unproved, url).of(error) from None
        unproved.discard(sources)
        if not changed:
            self._screen.line(
                f"Nothing to do: v{release['version']} was built from these files. "
                "To deploy again: --force"
            )
        return url

    def _adjust(self, trail: Trail, release: JSON, unproved: bool) -> bool:
        """Set what else was asked for where these very files serve already; tell whether that changed anything."""
        if unproved:  # an earlier deploy from here was cut off, and this one ends it
            trail.releases.append(release)
        configured = self._configure(trail, self._options.env, release)
        scaled = trail.app.scale(self._options.dynos, self._options.size)
        return bool(configured or scaled)

    def _configure(self, trail: Trail, env: Mapping[str, str], release: JSON | None) -> list[str]:
        """Set config vars right after a release: before it, other code would run with them."""
        changed = trail.configure(env, release) if env else []
        if changed:
            self._screen.line(f"Config vars set: {', '.join(changed)}.")
        return changed

    def _judge(self, app: App, release: JSON, url: str) -> None:
        web = self._formation(app)
        self._start(app, release, web)
        self._compare(app, release, url)

    def _ending(self, trail: Trail, unproved: Unproved, url: str) -> Ending:
        def fault(release: JSON) -> str:
            try:
                self._start(trail.app, release, trail.app.web())
                self._answer(trail.app, release, url)
            except DeployError as error:
                return str(error).partition("\n")[0]
            return ""

        def proved(release: JSON) -> bool:
            return trail.app.sources(release) not in unproved

        return Ending(trail, proved, fault)

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

    def _build(self, trail: Trail, unproved: Unproved) -> JSON:
        app = trail.app
        trail.build = self._under_way(app)
        trail.joined = trail.asked = trail.build is not None
        if trail.build is None:
            blob = self._upload()
            unproved.add(trail.sources)
            trail.asked = True
            packed, said = self._source.packed, self._source.description
            trail.build = app.build(blob["get_url"], packed.sha256, packed.sources, said)
        with self._screen.step("Build") as done:
            build = self._follow(app, trail.build)
            done(self._source.packed.sources[:8])
        with self._screen.step("Release") as done:
            release = app.release(build["release"]["id"])
            trail.releases.append(release)
            self._released(app, release)
            done(f"v{release['version']}")
        return release

    def _under_way(self, app: App) -> JSON | None:
        """Find an unfinished build of these very files, and name those who build others."""
        for build in app.building():
            if build["source_blob"].get("version") == self._source.packed.sources:
                self._screen.line("A build of these files is in progress.")
                return build
            who = (build.get("user") or {}).get("email", "Somebody")
            self._screen.line(f"{who} is deploying other files: their build is in progress.")
        return None

    def _upload(self) -> JSON:
        packed = self._source.packed
        with self._screen.step("Upload") as done:
            blob: JSON = self._api.post("/sources", repeatable=True)["source_blob"]
            self._api.upload(
                blob["put_url"],
                self._source.file,
                packed.size,
                lambda sent: self._screen.progress(sent, packed.size),
            )
            done(f"{packed.size / 1e6:.1f} MB")
        return blob

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

    def _released(self, app: App, release: JSON) -> None:
        """Wait until a release is there. Raises DeployError if it fails."""
        for _ in self._for(RELEASE):
            release = app.release(release["id"])
            if release["status"] != "pending":
                break
        else:
            raise self._late("the release", RELEASE)
        if release["status"] == "succeeded":
            return
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
            raise NoDynosError(failure("Nothing serves", [], ["H14"]), START_FAILED)
        return web

    def _start(self, app: App, release: JSON, web: JSON) -> None:
        with self._screen.step("Start") as done:
            for _ in self._for(START):
                current = self._current(app, release)
                states = [d["state"] for d in app.dynos() if d["release"]["id"] == current["id"]]
                if "crashed" in states:
                    raise self._ill(app, release, f"v{current['version']} crashed")
                if states.count("up") + states.count("idle") >= web["quantity"]:
                    break
            else:
                raise self._ill(app, release, f"v{release['version']} did not start")
            done(f"{web['quantity']} {web.get('size', '')}")

    def _current(self, app: App, release: JSON) -> JSON:
        """Return the current release of the code of `release`: its own, or one that set config vars since.

        Raises DeployError if other code was released meanwhile: what is seen from now on says nothing of this.
        """
        current = app.serving() or release
        if current["version"] < release["version"]:  # not there yet
            return release
        if current["slug"] == release["slug"]:
            return current
        what = f"v{release['version']} was replaced before it was checked"
        raise DeployError(f"{what}: {told(current)}.", NOT_CHECKED)

    def _compare(self, app: App, release: JSON, url: str) -> None:
        """Ask the service to predict, and hold the answer against the one from here."""
        expected = self._source.prediction
        with self._screen.step("Predict") as done:
            answer = self._answer(app, release, url)
            if answer.skipped or expected is None:
                done(f"the service is ready; {answer.skipped or 'nothing to compare with'}")
            elif smoke_test.alike(answer.prediction, expected):
                done("same as the local model")
            else:
                said = f"Predictions differ from the local model: the service returns {answer.prediction}, the local model {expected}."
                raise DeployError(said, ANSWER_DIFFERS)

    def _answer(self, app: App, release: JSON, url: str) -> SmokeTest:
        """Wait until a release is ready, and ask it to predict. Raises DeployError if it does not."""
        base = url.rstrip("/")
        for _ in self._for(ANSWER):
            ready = self._api.visit(f"{base}/health/ready")
            if ready is not None and ready.ok:
                break
            self._current(app, release)
        else:
            raise self._ill(app, release, "The service is not ready")
        answer = smoke_test.there(self._api.visit, base, self._source.key, self._source.rows)
        self._current(app, release)  # else it was somebody else's that answered
        if answer.failure:
            raise self._ill(app, release, f"The service does not predict: {answer.failure}")
        return answer

    def _ill(self, app: App, release: JSON, what: str) -> DeployError:
        """Build the error for a release that does not run, with the end of its log."""
        try:
            lines = since(app.log(LOG_LINES), release["created_at"])
        except MLError:  # what happened matters more than why its log cannot be had
            lines = []
        return DeployError(failure(what, lines, lines), START_FAILED)

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
