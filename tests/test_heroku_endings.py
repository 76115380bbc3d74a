"""Deploys to Heroku that meet a colleague's, a signal or a lost network: who is told what, and what serves."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import Churn
from fake_heroku import KEY, KEY_OF_BOB, FakeHeroku, Line, fake_heroku
from serving import until
from test_heroku import Paper, Time, command

from poetry_ml_plugin.deploy.heroku import preflight
from poetry_ml_plugin.deploy.heroku.api import HerokuAPI
from poetry_ml_plugin.deploy.heroku.deployment import Deployment, DeployOptions, Source
from poetry_ml_plugin.deploy.heroku.ending import DeployError
from poetry_ml_plugin.deploy.heroku.key import Secret
from poetry_ml_plugin.deploy.heroku.tarball import Packed
from poetry_ml_plugin.deploy.heroku.unproved import Unproved
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import pyproject

# A service that starts in no time, and says which one it is.
PAGE = """\
import json, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

IS = json.loads(Path(__file__).with_suffix(".json").read_text())
if IS["kind"] == "crashes" or IS["kind"] == "needs B" and os.environ.get("B") != "2":
    sys.exit("it does not start")
if IS["kind"] == "not with B" and "B" in os.environ:
    sys.exit("B breaks it")
BODY = {"content": {"application/json": {"example": {"data": []}}}}
SAID = {
    "/health/ready": {},
    "/which": IS["name"],
    "/openapi.json": {"paths": {"/predict": {"post": {"requestBody": BODY}}}},
    "/predict": {"predictions": ["Emu"] if IS["kind"] == "differs" else IS["predictions"]},
}


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        said = json.dumps(SAID[self.path]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_POST = do_GET

    def log_message(self, *words):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()
"""


@dataclass(frozen=True)
class Code:
    """A version of the project, packed."""

    path: Path
    packed: Packed
    prediction: Any


@dataclass
class Stage:
    """A project, a Heroku, and people who deploy the one to the other."""

    fake: FakeHeroku
    root: Path
    prediction: Any = None
    kept: dict[tuple[str, str], Code] = field(default_factory=dict)

    def write(self, name: str, kind: str) -> None:
        said = {"name": name, "kind": kind, "predictions": self.prediction}
        (self.root / "src/page.json").write_text(json.dumps(said))

    def code(self, name: str, kind: str = "good") -> Code:
        """A version that answers with its name; it is good, differs, crashes, needs B or breaks with it."""
        if (name, kind) not in self.kept:
            self.write(name, kind)
            path = self.root.parent / f"{name} {kind}.tgz"
            with path.open("wb") as file:
                ready = preflight.prepare(pyproject.find(self.root), "", file)
            self.kept[name, kind] = Code(path, ready.packed, ready.smoke_test.prediction)
        return self.kept[name, kind]

    def deploy(
        self,
        app: str,
        code: Code,
        screen: Paper | None = None,
        key: str = KEY,
        machine: str = "here",
        **options: Any,
    ) -> str:
        """Deploy; "done", or the error that it ended with, after its exit code."""
        clock = Time()
        api = HerokuAPI(Secret(key, "a test"), self.fake.api, sleep=clock.sleep)
        notes = self.root.parent / f"{machine}.json"
        with code.path.open("rb") as file:
            source = Source(file, code.packed, "churn 0.1.0", code.prediction)
            deployment = Deployment(
                api,
                screen or Paper(),
                DeployOptions(app, **options),
                source,
                lambda name: Unproved(notes, name),
                clock.sleep,
                clock.clock,
            )
            try:
                deployment.run(lambda name: None)
            except DeployError as error:
                return f"{error.exit_code} {error}"
        return "done"

    def serving(self, app: str) -> Any:
        """The name of the code that answers."""
        known = self.fake.apps[app]
        until(lambda: any(dyno.state == "up" for dyno in known.dynos))
        answer = requests.get(f"{self.fake.outside}/router/{app}/which", timeout=30)
        return answer.json()


@pytest.fixture(scope="module")
def stage(churn: Churn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("endings")
    root = folder / "churn"
    shutil.copytree(churn.root, root, ignore=shutil.ignore_patterns(".git", ".venv"))
    (root / "src/page.py").write_text(PAGE)
    (root / "Procfile").write_text("web: python src/page.py\n")
    with (
        fake_heroku(folder / "heroku", churn.python.parent) as fake,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("VIRTUAL_ENV", str(churn.python.parents[1]))
        patch.setenv("PYTHONPATH", str(root / "src"))
        patch.setenv("POETRY_HOME", str(folder / "poetry"))
        made = Stage(fake, root)
        with io.BytesIO() as file:
            made.prediction = preflight.prepare(
                pyproject.find(root), "", file
            ).smoke_test.prediction
        assert made.prediction
        yield made
        assert fake.wrong == []


# Colleagues


class Turns:
    """Lets one of several go on at a time, in an order of their names."""

    def __init__(self, order: str) -> None:
        self._order, self._condition = list(order), threading.Condition()
        self._holder = ""

    def wait(self, who: str) -> None:
        with self._condition:
            self._end(who)
            assert self._condition.wait_for(lambda: self._free(who), 60)
            self._holder = who

    def leave(self, who: str) -> None:
        with self._condition:
            self._end(who)
            self._order = [other for other in self._order if other != who]
            self._condition.notify_all()

    def _end(self, who: str) -> None:
        if self._holder == who:
            self._holder = ""
            self._order.remove(who)
            self._condition.notify_all()

    def _free(self, who: str) -> bool:
        return not self._holder and bool(self._order) and self._order[0] == who


@dataclass
class InTurn(Paper):
    """Waits before it releases, before it looks at the start, and before it predicts."""

    turns: Turns = field(default_factory=lambda: Turns(""))
    who: str = ""
    ahead: list[str] = field(default_factory=lambda: ["Upload", "Start", "Predict"])

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        if self.ahead[:1] == [title]:
            self.ahead.pop(0)
            self.turns.wait(self.who)
        with super().step(title) as done:
            yield done


ORDERS = [
    "".join("a" if n in first else "b" for n in range(6)) for first in combinations(range(6), 3)
]


def meet(stage: Stage, order: str, first: str, second: str) -> dict[str, str]:
    """Two people deploy to one app at once, one's step after the other's; what each is told."""
    app, turns = f"two-{order}-{first[:4]}-{second[:4]}", Turns(order)
    assert stage.deploy(app, stage.code("base")) == "done"
    codes = {"a": stage.code("a", first), "b": stage.code("b", second)}
    keys, ready = {"a": KEY, "b": KEY_OF_BOB}, threading.Barrier(2)

    def act(who: str) -> str:
        ready.wait(30)
        screen = InTurn(turns=turns, who=who)
        try:
            return stage.deploy(app, codes[who], screen, keys[who], machine=f"{who}'s")
        finally:
            turns.leave(who)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip("ab", pool.map(act, "ab"), strict=True))


def test_there_are_twenty_orders_of_two_deploys() -> None:
    assert len(ORDERS) == len(set(ORDERS)) == 20


@pytest.mark.parametrize("order", ORDERS)
def test_a_bad_deploy_beside_a_good_one_leaves_the_good_one(stage: Stage, order: str) -> None:
    told = meet(stage, order, "differs", "good")
    assert stage.serving(f"two-{order}-diff-good") == "b"
    releases = [n for n, who in enumerate(order) if order[:n].count(who) == 0]
    a, b = order.index("a"), order.index("b")
    assert releases == sorted([a, b])
    seen = [n for n, who in enumerate(order) if who == "a"][2]
    if a < b < seen:
        assert told["a"].startswith("6 ")
        assert "bob@example.org released v" in told["a"]
        assert "Rolled back" not in told["a"]
    else:
        assert told["a"].startswith("5 Predictions differ")
        assert "Rolled back to v" in told["a"]
    assert told["b"] == "done" or (
        b < a and told["b"].startswith("6 ") and "ann@example.org released v" in told["b"]
    )


@pytest.mark.parametrize("order", ORDERS)
def test_of_two_good_deploys_the_later_one_serves_and_the_earlier_one_is_told(
    stage: Stage, order: str
) -> None:
    told = meet(stage, order, "good", "good")
    later, earlier = ("a", "b") if order.index("a") > order.index("b") else ("b", "a")
    assert stage.serving(f"two-{order}-good-good") == later
    assert told[later] == "done"
    in_time = max(n for n, who in enumerate(order) if who == earlier) < order.index(later)
    assert told[earlier] == "done" if in_time else told[earlier].startswith("6 ")


def test_two_deploys_of_the_same_bad_files_go_back_once(stage: Stage) -> None:
    app = "twice-the-same"
    assert stage.deploy(app, stage.code("base")) == "done"
    stage.fake.build_gate = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(stage.deploy, app, stage.code("new", "differs"))
        until(lambda: stage.fake.apps[app].builds[-1]["status"] == "pending")
        other = pool.submit(stage.deploy, app, stage.code("new", "differs"), None, KEY_OF_BOB, "b")
        stage.fake.build_gate.set()
        told = sorted([one.result(), other.result()])
    stage.fake.build_gate = None
    assert stage.serving(app) == "base"
    assert all(said[:2] in ("5 ", "6 ") for said in told)
    rolled = [r for r in stage.fake.apps[app].releases if r["description"].startswith("Rollback")]
    assert len(rolled) in (1, 2)
    assert {release["slug"]["id"] for release in rolled} == {
        stage.fake.apps[app].releases[1]["slug"]["id"]
    }


def test_a_rollback_that_a_release_slipped_in_before_is_undone(stage: Stage) -> None:
    app = "slipped-in"
    assert stage.deploy(app, stage.code("base")) == "done"
    hold = stage.fake.hold(f"POST /apps/{app}/releases")
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(stage.deploy, app, stage.code("a", "differs"))
        assert hold.reached.wait(60)
        assert stage.deploy(app, stage.code("b"), key=KEY_OF_BOB, machine="b") == "done"
        hold.go.set()
        told = late.result()
    assert told.startswith("5 ")
    assert "bob@example.org released v" in told
    assert "was released again" in told
    assert stage.serving(app) == "b"


# Config vars


def test_config_vars_are_set_with_the_code_that_needs_them(stage: Stage) -> None:
    app = "with-the-release"
    base = stage.code("base", "not with B")
    assert stage.deploy(app, base) == "done"
    stage.fake.build_error = "no space left"
    assert stage.deploy(app, stage.code("new", "needs B"), env={"B": "2"}).startswith("3 ")
    assert stage.fake.apps[app].config == {}
    assert stage.serving(app) == "base"
    stage.fake.build_error = ""
    assert stage.deploy(app, stage.code("new", "needs B"), env={"B": "2"}) == "done"
    assert stage.serving(app) == "new"


@pytest.mark.parametrize("kind", ["crashes", "differs"])
def test_config_vars_go_back_with_the_code(stage: Stage, kind: str) -> None:
    app = f"back-with-{kind}"
    assert stage.deploy(app, stage.code("base", "not with B"), env={"A": "1"}) == "done"
    told = stage.deploy(app, stage.code("new", kind), env={"A": "2", "B": "2"})
    assert "Rolled back to v" in told
    assert "Config vars set back: A, B." in told
    assert stage.fake.apps[app].config == {"A": "1"}
    assert stage.serving(app) == "base"


def test_a_config_var_that_breaks_the_code_in_place_is_taken_back(stage: Stage) -> None:
    app = "only-a-variable"
    base = stage.code("base", "not with B")
    assert stage.deploy(app, base) == "done"
    told = stage.deploy(app, base, env={"B": "2"})
    assert told.startswith("4 ")
    assert "Rolled back to v" in told
    assert stage.fake.apps[app].config == {}
    assert stage.serving(app) == "base"


# Interruptions

PHASES = {  # the request in whose midst it happens
    "Prepare": r"GET /apps/APP$",
    "Upload": r"PUT outside/blobs",
    "Build": r"GET outside/streams",
    "Release": r"GET /apps/APP/releases/[0-9a-f]+-",
    "Start": r"GET /apps/APP/dynos",
    "Predict": r"GET outside/router/APP/openapi.json",
}
SIGNALS = {"ctrl-c": signal.SIGINT, "sigterm": signal.SIGTERM}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send a process")
@pytest.mark.parametrize("sent", SIGNALS)
@pytest.mark.parametrize("phase", ["Check", *PHASES])
def test_after_a_signal_in_any_phase_what_served_before_serves(
    stage: Stage, phase: str, sent: str
) -> None:
    app = f"{sent}-{phase.lower()}"
    assert stage.deploy(app, stage.code("base")) == "done"
    stage.write("new", "good")
    hold = stage.fake.hold(PHASES.get(phase, "never").replace("APP", app))
    stage.fake.build_gate = threading.Event() if phase == "Build" else None
    env = {**os.environ, "HEROKU_HOST": stage.fake.api, "HEROKU_API_KEY": KEY}
    words = [sys.executable, "-m", "poetry", "ml", "deploy", "heroku", app]
    words += ["--env", "COLOUR=blue"]
    with subprocess.Popen(
        words,
        cwd=stage.root,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        if phase == "Check":
            assert "Check and pack" in process.stdout.readline()
        else:
            assert hold.reached.wait(60), process.communicate()
        if sent == "ctrl-c":  # which a terminal sends to all that runs in it
            os.killpg(process.pid, SIGNALS[sent])
        else:
            process.send_signal(SIGNALS[sent])
        said, errors = process.communicate(timeout=60)
    hold.go.set()
    if stage.fake.build_gate:
        stage.fake.build_gate.set()
        until(lambda: all(stream.ended for stream in stage.fake.streams.values()))
    assert process.returncode == (130 if sent == "ctrl-c" else 143), said + errors
    assert "Interrupted" in errors
    assert "Traceback" not in said + errors
    if phase == "Build":
        assert "The build was cancelled, and nothing was released." in errors
    if phase in ("Release", "Start", "Predict"):
        assert "Rolled back to v2 (now v" in errors
    assert stage.serving(app) == "base"
    assert stage.fake.apps[app].config == {}
    for secret in (KEY, "blue"):
        assert secret not in said + errors


@contextmanager
def lines(fake: FakeHeroku) -> Iterator[Callable[[], None]]:
    """Reach Heroku over a network, which the function given cuts."""
    whole = fake.api, fake.outside
    cables = [Line(int(address.rpartition(":")[2])) for address in whole]
    fake.api, fake.outside = (cable.address for cable in cables)

    def cut() -> None:
        for cable in cables:
            cable.cut()

    try:
        yield cut
    finally:
        cut()
        fake.api, fake.outside = whole


@pytest.mark.parametrize("phase", PHASES)
def test_after_a_lost_network_it_is_said_what_serves_and_the_same_command_checks_it(
    stage: Stage, phase: str
) -> None:
    app = f"lost-{phase.lower()}"
    assert stage.deploy(app, stage.code("base")) == "done"
    new = stage.code("new")
    with lines(stage.fake) as cut, ThreadPoolExecutor(1) as pool:
        hold = stage.fake.hold(PHASES[phase].replace("APP", app))
        deploying = pool.submit(lost, stage, app, new)
        assert hold.reached.wait(60)
        cut()
        hold.go.set()
        told = deploying.result(60)
    until(lambda: all(stream.ended for stream in stage.fake.streams.values()))
    if phase in ("Prepare", "Upload"):
        assert told.startswith("1 ")
        assert stage.serving(app) == "base"
    else:
        assert told.startswith("6 ")
        assert "Run the same command to check it" in told
        until(lambda: stage.serving(app) == "new")
    uploads = len(stage.fake.uploads())
    assert stage.deploy(app, new) == "done"
    assert stage.serving(app) == "new"
    assert len(stage.fake.uploads()) == uploads + (phase in ("Prepare", "Upload"))


def lost(stage: Stage, app: str, code: Code) -> str:
    try:
        return stage.deploy(app, code)
    except MLError as error:
        return f"1 {error}"


@pytest.mark.parametrize("phase", ["Build", "Release", "Start", "Predict"])
def test_what_was_left_unchecked_is_not_taken_for_good(stage: Stage, phase: str) -> None:
    app = f"unchecked-{phase.lower()}"
    assert stage.deploy(app, stage.code("base")) == "done"
    with lines(stage.fake) as cut, ThreadPoolExecutor(1) as pool:
        hold = stage.fake.hold(PHASES[phase].replace("APP", app))
        deploying = pool.submit(stage.deploy, app, stage.code("bad", "differs"))
        assert hold.reached.wait(60)
        cut()
        hold.go.set()
        assert deploying.result(60).startswith("6 ")
    until(lambda: stage.serving(app) == "bad")
    told = stage.deploy(app, stage.code("worse", "crashes"))
    assert "Rolled back to v2 (now v" in told
    assert stage.serving(app) == "base"


def test_the_same_command_brings_back_what_a_lost_network_could_not(stage: Stage) -> None:
    app, bad = "brought-back", stage.code("bad", "differs")
    assert stage.deploy(app, stage.code("base")) == "done"
    with lines(stage.fake) as cut, ThreadPoolExecutor(1) as pool:
        hold = stage.fake.hold(PHASES["Predict"].replace("APP", app))
        deploying = pool.submit(stage.deploy, app, bad)
        assert hold.reached.wait(60)
        cut()
        hold.go.set()
        assert deploying.result(60).startswith("6 ")
    told = stage.deploy(app, bad)
    assert told.startswith("5 Predictions differ")
    assert "Rolled back to v2" in told
    assert stage.serving(app) == "base"


def test_without_a_network_nothing_begins(stage: Stage) -> None:
    stage.write("new", "good")
    with lines(stage.fake) as cut:
        cut()
        api = HerokuAPI(Secret(KEY, "x"), stage.fake.api, sleep=lambda seconds: None)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("poetry_ml_plugin.commands.base.heroku.HerokuAPI", lambda *given: api)
            done = command(stage.fake, "no-network", cwd=stage.root, code=1)
    assert "cannot be reached" in done.stderr
    assert "no-network" not in stage.fake.apps


# Credentials

CANARIES = {way: f"canary-{way}-6c1f" for way in ("key", "value", "environment", "file", "service")}


def plant(root: Path, patch: pytest.MonkeyPatch) -> list[str]:
    """Put a credential into every way in, and return the words of the command that takes them."""
    patch.setenv("HEROKU_API_KEY", KEY)
    patch.setenv("TOKEN", CANARIES["environment"])
    (root / ".env").write_text(f"TOKEN={CANARIES['file']}\n")
    return [
        "--env",
        f"OTHER={CANARIES['value']}",
        "--env",
        "TOKEN",
        "--env",
        f"CHURN_SERVE_API_KEYS={CANARIES['service']}",
    ]


@pytest.mark.parametrize("ending", ["well", "badly", "refused", "without a network"])
def test_credentials_from_every_way_in_are_found_nowhere(stage: Stage, ending: str) -> None:
    fake, app = stage.fake, f"canaries-{ending.replace(' ', '-')}"
    stage.write(app, "crashes" if ending == "badly" else "good")
    with pytest.MonkeyPatch.context() as patch, lines(fake) as cut:
        words = plant(stage.root, patch)
        patch.setenv("HEROKU_HOST", fake.api)
        if ending == "refused":
            patch.setenv("HEROKU_API_KEY", CANARIES["key"])
        if ending == "without a network":
            cut()
        done = subprocess.run(
            [sys.executable, "-m", "poetry", "-vvv", "ml", "deploy", "heroku", app, *words],
            cwd=stage.root,
            capture_output=True,
            timeout=120,
            check=False,
        )
    (stage.root / ".env").unlink()
    assert done.returncode == {"well": 0, "badly": 4}.get(ending, 1), done.stderr
    written = [done.stdout, done.stderr]
    written += [path.read_bytes() for path in stage.root.rglob("*") if path.is_file()]
    written += [path.read_bytes() for path in (stage.root.parent / "poetry").rglob("*.json")]
    written += [gzip.decompress(path.read_bytes()) for path in fake.uploads()]
    for canary in (KEY, *CANARIES.values()):
        assert not any(canary.encode() in content for content in written), canary
