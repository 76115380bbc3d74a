"""Deploying to Heroku: a whole deploy against a server that builds and runs, and all that can go wrong."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import heroku_schema
import pytest
import requests
from cleo.io.inputs.argv_input import ArgvInput
from cleo.io.outputs.buffered_output import BufferedOutput
from conftest import REPOSITORY, ROWS, Churn, poetry, run
from fake_heroku import KEY, FakeHeroku, Fault, fake_heroku
from poetry.console.application import Application
from serving import until

from poetry_ml_plugin.deploy import memory, smoke_test
from poetry_ml_plugin.deploy.heroku import bundle, preflight, slug, symptoms, tarball
from poetry_ml_plugin.deploy.heroku.api import HerokuAPI, HerokuError
from poetry_ml_plugin.deploy.heroku.app import App
from poetry_ml_plugin.deploy.heroku.deployment import (
    Deployment,
    DeployOptions,
    Source,
    app_name,
)
from poetry_ml_plugin.deploy.heroku.ending import DeployError
from poetry_ml_plugin.deploy.heroku.key import Secret, api_address, find_key
from poetry_ml_plugin.deploy.heroku.logs import Log
from poetry_ml_plugin.deploy.heroku.unproved import Unproved
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.project.lock import Package
from poetry_ml_plugin.project.pyproject import Project

SECRET = "s3cret-value-that-nobody-prints"


@pytest.fixture
def fake(churn: Churn, tmp_path: Path) -> Iterator[FakeHeroku]:
    """A Heroku whose builds use what is installed already."""
    with fake_heroku(tmp_path / "heroku", churn.python.parent) as heroku:
        yield heroku
        assert heroku.wrong == []


@pytest.fixture
def mine(churn: Churn, copy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of the test's own, installed, as its shell sees it."""
    monkeypatch.setenv("VIRTUAL_ENV", str(churn.python.parents[1]))
    monkeypatch.setenv("PYTHONPATH", str(copy / "src"))
    # Tried once in a test: it takes a second, and each deploy would do it.
    real, tried = smoke_test.here, dict[Path, smoke_test.SmokeTest]()

    def here(found: Project, env: Any) -> smoke_test.SmokeTest:
        if found.root not in tried:
            tried[found.root] = real(found, env)
        return tried[found.root]

    monkeypatch.setattr(smoke_test, "here", here)
    return copy


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is remembered of deploys away from the user's own folder."""
    monkeypatch.setenv("POETRY_HOME", str(tmp_path / "poetry"))


@dataclass
class Paper:
    """A screen to read afterwards."""

    said: list[str] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        yield lambda text: self.said.append(f"{title}: {text}")

    def line(self, text: str) -> None:
        self.said.append(text)

    def progress(self, done: int, total: int) -> None:
        self.sent.append(done)


@dataclass
class Opener(Paper):
    """Lets the build go on when the deploy is watching it."""

    gate: threading.Event = field(default_factory=threading.Event)

    def line(self, text: str) -> None:
        super().line(text)
        if "is in progress" in text:
            self.gate.set()


@dataclass
class Time:
    """Sleeps shortly, and remembers how long it was asked to."""

    slept: list[float] = field(default_factory=list)
    now: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        time.sleep(0.05)

    def clock(self) -> float:
        return self.now


def an_api(fake: FakeHeroku, time: Time | None = None) -> HerokuAPI:
    time = time or Time()
    return HerokuAPI(Secret(KEY, "a test"), fake.api, sleep=time.sleep)


def deploy(fake: FakeHeroku, root: Path, paper: Paper | None = None, **options: Any) -> str:
    """Deploy as the command does, without its waiting."""
    found = pyproject.find(root)
    api, clock = an_api(fake), Time()
    with (root.parent / "bundle.tgz").open("w+b") as file:
        ready = preflight.prepare(found, options.get("size", ""), file)
        tried = ready.smoke_test
        source = Source(file, ready.packed, ready.description, tried.prediction, tried.rows)
        asked = DeployOptions(**{"app": "churn-test", **options})
        notes = notebook(root)
        deployment = Deployment(
            api, paper or Paper(), asked, source, notes, clock.sleep, clock.clock
        )
        return deployment.run(lambda name: None)


def notebook(root: Path) -> Callable[[str], Unproved]:
    """What the machine of a project remembers of its deploys."""
    return lambda app: Unproved(root.parent / "unproved.json", app)


@dataclass(frozen=True)
class Said:
    """What a command printed."""

    stdout: str
    stderr: str


def command(
    fake: FakeHeroku, *words: str, cwd: Path, code: int = 0, typed: str | None = None
) -> Said:
    """Run `poetry ml deploy heroku …` with the fake in Heroku's place; in this process, to save time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEROKU_HOST", fake.api)
        patch.setenv("HEROKU_API_KEY", KEY)
        application = Application()
        application.auto_exits(False)
        output, errors = BufferedOutput(), BufferedOutput()
        line = ArgvInput(["poetry", "-C", str(cwd), "ml", "deploy", "heroku", *words])
        line.set_stream(io.StringIO(typed or ""))
        line.interactive(typed is not None)
        ended = application.run(line, output, errors)
    said = Said(output.fetch(), errors.fetch())
    assert ended == code, said
    return said


# The whole story


@dataclass(frozen=True)
class Deployed:
    fake: FakeHeroku
    root: Path
    said: str
    python: Path


@pytest.fixture(scope="module")
def deployed(churn: Churn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The shared project deployed by the command, its dependencies installed from the lock file."""
    folder = tmp_path_factory.mktemp("deployed")
    root = folder / "churn"
    shutil.copytree(churn.root, root)
    env = {
        "VIRTUAL_ENV": str(churn.python.parents[1]),
        "PYTHONPATH": str(root / "src"),
        "TOKEN_FROM_HERE": SECRET,
    }
    with fake_heroku(folder / "heroku") as heroku, pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        patch.setenv("HEROKU_HOST", heroku.api)
        patch.setenv("HEROKU_API_KEY", KEY)
        words = ("churn-test", "--env", "GREETING=hello", "--env", "TOKEN_FROM_HERE")
        done = poetry("ml", "deploy", "heroku", *words, cwd=root)
        yield Deployed(heroku, root, done.stdout + done.stderr, churn.python)
        assert heroku.wrong == []


def test_a_deploy_ends_with_the_prediction_of_the_model_here(
    churn: Churn, deployed: Deployed
) -> None:
    assert "Predict" in deployed.said
    assert "same as the local model" in deployed.said
    assert deployed.said.rstrip().endswith(f"{deployed.fake.outside}/router/churn-test/")
    app = deployed.fake.apps["churn-test"]
    assert app.config == {"GREETING": "hello", "TOKEN_FROM_HERE": SECRET}
    (dyno,) = app.dynos
    assert dyno.state == "up"
    url = f"{deployed.fake.outside}/router/churn-test"
    there = requests.post(f"{url}/predict", json={"data": json.loads(ROWS)}, timeout=60).json()
    assert there["predictions"] == json.loads(churn.verb("predict", ROWS).stdout)
    (slug,) = app.slugs.values()
    (packages,) = slug.bin.parent.glob("lib/*/site-packages")
    assert (packages / "falcon").exists()
    assert not (packages / "sklearn").exists()
    assert memory.recall(pyproject.find(deployed.root), "heroku") == {"app": "churn-test"}


def test_the_same_again_does_nothing(deployed: Deployed) -> None:
    before = len(deployed.fake.apps["churn-test"].releases)
    done = command(deployed.fake, cwd=deployed.root)
    assert "Nothing to do: v" in done.stdout
    assert "--force" in done.stdout
    assert len(deployed.fake.apps["churn-test"].releases) == before
    assert len(deployed.fake.uploads()) == 1


def test_what_travels_is_what_git_tracks_and_the_artifacts(deployed: Deployed) -> None:
    (tarball,) = deployed.fake.uploads()
    with tarfile.open(tarball) as archive:
        names = set(archive.getnames())
    tracked = set(run("git", "ls-files", cwd=deployed.root).stdout.splitlines())
    assert {name for name in tracked if not name.startswith("data/")} == names
    assert "src/churn/artifacts/model.onnx" in names


def test_no_secret_is_anywhere(deployed: Deployed) -> None:
    status = command(deployed.fake, "status", cwd=deployed.root)
    logs = command(deployed.fake, "logs", cwd=deployed.root)
    assert "Serving at" in logs.stdout
    (tarball,) = deployed.fake.uploads()
    with tarfile.open(tarball) as archive:
        packed = b"".join(
            file.read() for member in archive if (file := archive.extractfile(member))
        )
    said = deployed.said + status.stdout + logs.stdout
    for secret in (KEY, SECRET):
        assert secret not in said
        assert secret.encode() not in packed
    assert KEY not in "".join(
        path.read_text(errors="replace") for path in deployed.root.rglob("*.toml")
    )


def test_around_a_deployed_app(deployed: Deployed) -> None:
    fake, root = deployed.fake, deployed.root
    done = command(fake, "status", cwd=root)
    assert "web.1" in done.stdout
    assert "up" in done.stdout
    assert "Deploy " in command(fake, "releases", cwd=root).stdout
    assert "2 web dynos." in command(fake, "scale", "2", cwd=root).stdout
    assert len(fake.apps["churn-test"].dynos) == 2
    command(fake, "scale", "0", cwd=root)
    assert "scale 1" in command(fake, "status", cwd=root, code=1).stdout
    command(fake, "scale", "1", cwd=root)
    nothing = command(fake, "rollback", cwd=root, code=1).stderr
    assert "no earlier version" in nothing
    assert "no v99" in command(fake, "rollback", "v99", cwd=root, code=1).stderr


def test_the_heroku_cli_reads_what_was_deployed(deployed: Deployed, tmp_path: Path) -> None:
    heroku = official_cli(deployed.fake, tmp_path)
    assert heroku("auth:token").strip() == KEY
    assert "churn-test" in heroku("apps:info", "--app", "churn-test")
    assert json.loads(heroku("config", "--json", "--app", "churn-test"))["GREETING"] == "hello"
    assert "Deploy" in heroku("releases", "--app", "churn-test")
    assert "web.1" in heroku("ps", "--app", "churn-test")
    app = deployed.fake.apps["churn-test"]
    version = app.current()["version"]
    App(an_api(deployed.fake), "churn-test").set_config({"GREETING": "goodbye"})
    heroku("rollback", f"v{version}", "--app", "churn-test")
    until(lambda: app.dynos[0].state == "up")
    assert f"Rollback to v{version}" in command(deployed.fake, "status", cwd=deployed.root).stdout


def official_cli(fake: FakeHeroku, home: Path) -> Callable[..., str]:
    """The heroku CLI of the npm registry, kept below .dev/. Skips the test where there is none."""
    npm, cache = shutil.which("npm"), REPOSITORY / ".dev" / "heroku-cli"
    if npm is None:
        pytest.skip("npm is not installed")
    binary = cache / "node_modules" / ".bin" / "heroku"
    if not binary.exists():
        cache.mkdir(parents=True, exist_ok=True)
        words = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(cache), "heroku"]
        try:
            subprocess.run(words, capture_output=True, text=True, timeout=300, check=True)
        except subprocess.SubprocessError as error:
            pytest.skip(f"npm cannot install heroku: {error}")
    env = {
        "HEROKU_HOST": fake.api,
        "HEROKU_API_KEY": KEY,
        "HEROKU_PARTICLEBOARD_URL": fake.api,
        "DISABLE_TELEMETRY": "true",
        "HEROKU_SKIP_NEW_VERSION_CHECK": "1",
        "HOME": str(home),
        **{f"XDG_{kind}_HOME": str(home / kind) for kind in ("CONFIG", "DATA", "CACHE", "STATE")},
    }
    return lambda *words: run(binary, *words, cwd=home, env=env).stdout


# What a second deploy is


def test_a_change_is_deployed_and_rolled_back(fake: FakeHeroku, mine: Path) -> None:
    deploy(fake, mine)
    with (mine / "README.md").open("a") as file:
        file.write("More.\n")
    deploy(fake, mine)
    app = App(an_api(fake), "churn-test")
    first = app.to_roll_back(None)
    app.set_config({"GREETING": "hello"})
    done = command(fake, "rollback", "--app", "churn-test", cwd=mine)
    assert f"Rolled back to v{first['version']} (now v" in done.stdout
    assert "Config vars as they were then: GREETING." in done.stdout
    now = fake.apps["churn-test"].current()
    assert now["description"] == f"Rollback to v{first['version']}"
    assert now["slug"] == first["slug"]
    assert fake.apps["churn-test"].config == {}


def test_another_machine_knows_what_is_deployed(fake: FakeHeroku, mine: Path) -> None:
    paper = Paper()
    deploy(fake, mine)
    for path in mine.rglob("*"):
        os.utime(path, (1, 1))
    other = mine.rename(mine.with_name("elsewhere"))
    os.environ["PYTHONPATH"] = str(other / "src")
    deploy(fake, other, paper)
    assert any("Nothing to do" in line for line in paper.said)
    deploy(fake, other, force=True)
    assert len(fake.uploads()) == 2


def test_only_what_changed_is_set(fake: FakeHeroku, mine: Path) -> None:
    deploy(fake, mine, env={"A": "1", "B": "2"})
    fake.seen.clear()
    deploy(fake, mine, env={"A": "1", "B": "2"})
    assert "PATCH /apps/churn-test/config-vars" not in fake.seen
    deploy(fake, mine, env={"A": "1", "B": "3"}, size="standard-2x")
    app = fake.apps["churn-test"]
    assert app.current()["description"] == "Set B config vars"
    assert (app.quantity, app.size) == (1, "standard-2x")
    assert len(fake.uploads()) == 1


def test_a_proposed_name_gives_way_and_a_named_one_does_not(fake: FakeHeroku, mine: Path) -> None:
    fake.foreign.add("churn")
    deploy(fake, mine, app="churn", named=False, region="eu", team="penguins")
    (name,) = fake.apps
    assert name.startswith("churn-")
    assert (fake.apps[name].region, fake.apps[name].team) == ("eu", "penguins")
    assert fake.apps[name].buildpacks == ["heroku/python"]
    with pytest.raises(HerokuError, match="Ask the app's owner"):
        deploy(fake, mine, app="churn")


def test_a_service_that_asks_for_a_key_is_asked_with_it(fake: FakeHeroku, mine: Path) -> None:
    key = f"CHURN_SERVE_API_KEYS={SECRET},another"
    done = command(fake, "churn-test", "--env", key, cwd=mine)
    assert "same as the local model" in done.stdout
    assert SECRET not in done.stdout + done.stderr
    done = command(fake, "--force", cwd=mine)
    assert "the service is ready; it requires an API key" in done.stdout


@pytest.mark.parametrize(
    ("here", "there", "same"),
    [
        ([{"a": 0.1}], [{"a": 0.1000001}], True),
        ([{"a": 0.1}], [{"a": 0.11}], False),
        ([{"a": "x"}], [{"a": "y"}], False),
        ([1, 2], [1], False),
        ({"a": 1}, {"b": 1}, False),
        (None, [], False),
    ],
    ids=["rounding", "another number", "another word", "fewer", "other keys", "nothing"],
)
def test_what_counts_as_the_same_prediction(here: Any, there: Any, same: bool) -> None:
    assert smoke_test.alike(here, there) is same


def test_a_model_that_prints_is_deployed_without_a_comparison(fake: FakeHeroku, mine: Path) -> None:
    model = mine / "src/churn/models/model.py"
    text = model.read_text()
    documented = '"""Predict each row, in the same order."""\n'
    assert documented in text
    model.write_text(text.replace(documented, f"{documented}        print(1)\n"))
    done = command(fake, "churn-test", cwd=mine)
    assert "The smoke test is skipped: the model prints more" in done.stdout
    assert "nothing to compare with" in done.stdout


def test_a_service_of_ones_own_is_deployed_too(fake: FakeHeroku, mine: Path) -> None:
    (mine / "src/page.py").write_text(
        "import os\n"
        "from wsgiref.simple_server import make_server\n"
        "def page(environ, start):\n"
        "    start('200 OK', [('Content-Type', 'text/html')])\n"
        "    return [b'<html>']\n"
        "make_server('', int(os.environ['PORT']), page).serve_forever()\n"
    )
    (mine / "Procfile").write_text("web: python src/page.py\n")
    done = command(fake, "churn-test", cwd=mine)
    assert "the service is ready; its OpenAPI document has no examples" in done.stdout


def test_where_nobody_wants_a_dyno_nothing_is_said_to_serve(fake: FakeHeroku, mine: Path) -> None:
    deploy(fake, mine)
    app = App(an_api(fake), "churn-test")
    app.scale(0)
    with pytest.raises(DeployError, match="scale 1") as error:
        deploy(fake, mine)
    assert error.value.exit_code == 4
    (mine / "README.md").write_text("Other words.\n")
    with pytest.raises(DeployError, match="scale 1"):
        deploy(fake, mine)
    app.scale(1)  # what was deployed last is what serves, and was not taken back
    assert [dyno["release"]["version"] for dyno in app.dynos()] == [len(fake.uploads()) + 1]
    assert len(fake.uploads()) == 2


# Faults


def test_an_upload_that_is_sent_elsewhere_is_not_taken_for_done(
    fake: FakeHeroku, mine: Path
) -> None:
    fake.moved = True
    with pytest.raises(MLError, match=r"upload failed with status 307"):
        deploy(fake, mine)
    assert fake.apps["churn-test"].builds == []


def test_a_dropped_log_goes_on_where_it_was(fake: FakeHeroku, mine: Path) -> None:
    paper, fake.drop_after = Paper(), [5, 40, 1]
    deploy(fake, mine, paper)
    for line in ("-----> Building on the Heroku-24 stack", "-----> Launching..."):
        assert paper.said.count(line) == 1


def test_a_failed_build_leaves_the_old_release_and_says_why(fake: FakeHeroku, mine: Path) -> None:
    deploy(fake, mine)
    serving = fake.apps["churn-test"].current()
    fake.build_error = "Compiled slug size: 612M is too large (max is 500M)."
    with pytest.raises(DeployError) as error:
        deploy(fake, mine, force=True)
    assert error.value.exit_code == 3
    assert "larger than 500 MB" in str(error.value)
    assert fake.apps["churn-test"].current() == serving


@pytest.mark.parametrize(
    ("procfile", "said"),
    [
        ("web: python -c 'import not_there'", "poetry add not-there"),
        ("web: python -c 'import time; time.sleep(99)'", "R10: nothing listened on $PORT"),
    ],
    ids=["crashes", "never binds"],
)
def test_what_does_not_start_gives_way_to_what_did(
    fake: FakeHeroku, mine: Path, procfile: str, said: str
) -> None:
    deploy(fake, mine)
    before = fake.apps["churn-test"].current()
    (mine / "Procfile").write_text(f"{procfile}\n")
    fake.boot_seconds = 1.0 if "sleep" in procfile else 60.0
    with pytest.raises(DeployError) as error:
        deploy(fake, mine)
    assert error.value.exit_code == 4
    assert said in str(error.value)
    assert f"Rolled back to v{before['version']} (now v" in str(error.value)
    assert fake.apps["churn-test"].current()["slug"] == before["slug"]


def test_what_never_ran_is_not_taken_for_deployed(fake: FakeHeroku, mine: Path) -> None:
    (mine / "Procfile").write_text("web: python -c 'import not_there'\n")
    for _ in range(2):
        with pytest.raises(DeployError, match="poetry add not-there"):
            deploy(fake, mine)
    assert len(fake.uploads()) == 1


def test_a_service_that_predicts_otherwise_is_not_left_to_serve(
    fake: FakeHeroku, mine: Path
) -> None:
    found = pyproject.find(mine)
    with (mine.parent / "bundle.tgz").open("w+b") as file:
        ready = preflight.prepare(found, "", file)
        wrong = [
            {**ready.smoke_test.prediction[0], "species": "Emu"},
            *ready.smoke_test.prediction[1:],
        ]
        source = Source(file, ready.packed, "", wrong, ready.smoke_test.rows)
        clock = Time()
        options = DeployOptions("churn-test")
        notes = notebook(mine)
        deployment = Deployment(
            an_api(fake), Paper(), options, source, notes, clock.sleep, clock.clock
        )
        with pytest.raises(DeployError) as error:
            deployment.run(lambda name: None)
    assert error.value.exit_code == 5
    assert "Emu" in str(error.value)


def test_a_release_may_take_its_time_or_fail(fake: FakeHeroku, mine: Path) -> None:
    fake.release_seconds = 1.0
    deploy(fake, mine)
    fake.release_output = "R14 (Memory quota exceeded)\n"
    with pytest.raises(DeployError, match="--size standard-2x") as error:
        deploy(fake, mine, force=True)
    assert error.value.exit_code == 4


def test_a_build_that_goes_on_without_its_deploy_is_followed(fake: FakeHeroku, mine: Path) -> None:
    fake.build_gate = threading.Event()
    fake.faults = [Fault(r"GET /apps/churn-test/builds/", 503, 5)]
    fake.drop_after = [0]
    with pytest.raises(DeployError, match="Run the same command to check it") as error:
        deploy(fake, mine)
    assert error.value.exit_code == 6
    paper = Opener(gate=fake.build_gate)
    deploy(fake, mine, paper)
    assert "A build of these files is in progress." in paper.said
    assert len(fake.uploads()) == 1


def test_what_is_safe_is_repeated_as_asked_and_what_is_not_is_not(fake: FakeHeroku) -> None:
    clock = Time()
    api = an_api(fake, clock)
    api.post("/apps", {"name": "churn-test"})
    fake.faults = [Fault("GET /apps", 429, 1, {"Retry-After": "7"}), Fault("GET /apps", 503, 2)]
    assert api.get("/apps/churn-test")["name"] == "churn-test"
    assert clock.slept == [7.0, 2.0, 4.0]

    fake.seen.clear()
    fake.faults = [Fault("POST /apps", 503)]
    with pytest.raises(HerokuError, match="internal error"):
        api.post("/apps", {"name": "other-test"})
    assert fake.seen == ["POST /apps"]
    assert "other-test" not in fake.apps


@pytest.mark.parametrize(
    ("status", "id_", "said"),
    [
        (401, "unauthorized", "does not accept the API key from a test"),
        (402, "verification_required", "payment method"),
        (403, "forbidden", "not allowed to do that"),
        (404, "not_found", "Not found on Heroku"),
        (409, "conflict", "in progress"),
        (422, "invalid_params", "rejected the request"),
        (429, "rate_limit", "Try again in 900 seconds"),
        (500, "internal", "internal error"),
    ],
)
def test_each_refusal_is_one_clear_sentence(
    fake: FakeHeroku, status: int, id_: str, said: str
) -> None:
    echo = {"id": id_, "message": f"You sent {KEY}"}
    fake.faults = [Fault("GET /apps", status, 99, {"Retry-After": "900"}, echo)]
    with pytest.raises(HerokuError) as error:
        an_api(fake).get("/apps/churn-test")
    assert (error.value.status, error.value.id) == (status, id_)
    assert said in str(error.value)
    assert KEY not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_host_that_is_not_there_is_one_sentence(mine: Path, fake: FakeHeroku) -> None:
    time = Time()
    api = HerokuAPI(Secret(KEY, "x"), "http://127.0.0.1:1", sleep=time.sleep)
    with pytest.raises(MLError, match="cannot be reached") as error:
        api.get("/account")
    assert KEY not in repr(error.getrepr(showlocals=True))


# Credentials


def test_where_the_key_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    api = "https://api.heroku.com"
    assert find_key({"HEROKU_API_KEY": KEY}, api).source == "$HEROKU_API_KEY"
    (tmp_path / "netrc").write_text(f"machine api.heroku.com login ann password {KEY}\n")
    assert find_key({}, api).source == "~/.netrc"
    (tmp_path / "netrc").write_text("")
    told = find_key({}, api, lambda: f"{KEY}\n")
    assert (told.reveal(), told.source) == (KEY, "heroku auth:token")
    assert KEY not in f"{told} {told!r} {[told]}"
    with pytest.raises(MLError, match="heroku login"):
        find_key({}, api, lambda: "")
    with pytest.raises(MLError) as error:
        find_key({"HEROKU_API_KEY": f"{KEY}\nX: y"}, api)
    assert KEY not in str(error.value)


def test_a_key_in_netrc_stays_away_from_other_hosts(
    fake: FakeHeroku, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login ann password {KEY}\n")  # so the other address, too
    monkeypatch.setenv("NETRC", str(netrc))
    deploy(fake, mine)
    assert any(call.startswith("PUT outside/blobs/") for call in fake.seen)
    assert fake.wrong == []


@pytest.mark.parametrize("host", ["http://example.org", "http://127.0.0.1.example.org"])
def test_the_key_goes_over_https_only(host: str) -> None:
    assert api_address({}) == "https://api.heroku.com"
    assert api_address({"HEROKU_HOST": "http://127.0.0.1:99/"}) == "http://127.0.0.1:99"
    with pytest.raises(MLError, match="https only"):
        api_address({"HEROKU_HOST": host})


# Before the first call


def test_everything_that_is_wrong_is_said_at_once_and_before_any_call(
    fake: FakeHeroku, mine: Path, tmp_path: Path
) -> None:
    (tmp_path / "lib").mkdir()
    lock = (mine / "poetry.lock").read_text()
    start = lock.index('[[package]]\nname = "falcon"')
    lock = lock[:start] + lock[start:].replace('name = "falcon"', 'name = "falkon"', 1)
    at = lock.index("[[package]]", lock.index('name = "falkon"'))
    source = '[package.source]\ntype = "directory"\nurl = "../lib"\n\n'
    (mine / "poetry.lock").write_text(lock[:at] + source + lock[at:])
    text = (mine / "pyproject.toml").read_text()
    (mine / "pyproject.toml").write_text(text.replace('"click (>=8.1,<9)"', '"click (>=8.0,<9)"'))
    (mine / "requirements.txt").write_text("falcon\n")
    (mine / "runtime.txt").write_text("python-3.9\n")
    (mine / ".python-version").write_text("3.9\n")
    (mine / "Procfile").write_text("worker: python\n")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    (mine / "src/churn/artifacts/model.onnx").write_text(pointer)
    done = command(fake, "churn-test", "--size", "huge", cwd=mine, code=1)
    for said in (
        "poetry.lock does not match pyproject.toml",
        "requirements.txt conflicts with poetry.lock",
        "runtime.txt conflicts with poetry.lock",
        "the service needs falcon, which is not a runtime dependency",
        "falkon is installed from",
        "model.onnx is a git-LFS pointer",
        "git lfs pull",
        "Heroku does not support Python 3.9",
        "Procfile has no line for web",
        "cannot predict its examples",
        "Unknown dyno size huge. Choose from eco",
    ):
        assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert fake.seen == []


def test_what_is_installed_from_a_folder_in_the_project_travels_with_it(
    fake: FakeHeroku, mine: Path
) -> None:
    lock = (mine / "poetry.lock").read_text()
    at = lock.index("[[package]]", lock.index('[[package]]\nname = "falcon"') + 1)
    source = '[package.source]\ntype = "file"\nurl = "vendor/falcon.whl"\n\n'
    (mine / "poetry.lock").write_text(lock[:at] + source + lock[at:])
    (mine / "vendor").mkdir()
    (mine / "vendor/falcon.whl").write_text("")
    (mine / ".gitignore").write_text("*.whl\n")
    run("git", "init", "--quiet", cwd=mine)
    run("git", "add", "--all", cwd=mine)
    done = command(fake, "--dry-run", cwd=mine, code=1)
    assert "falcon is installed from vendor/falcon.whl, which is not sent" in done.stderr
    run("git", "add", "--force", "vendor/falcon.whl", cwd=mine)
    assert "vendor/falcon.whl" in command(fake, "--dry-run", cwd=mine).stdout


def test_what_is_missing_is_added_and_what_does_not_belong_is_left(
    fake: FakeHeroku, mine: Path
) -> None:
    for name in ("Procfile", ".python-version"):
        (mine / name).unlink()
    (mine / ".env").write_text(f"KEY={KEY}\n")
    (mine / "id_rsa").write_text(KEY)
    (mine / ".venv").mkdir()
    (mine / ".venv/pyvenv.cfg").write_text(KEY)
    with (mine / "pyproject.toml").open("a") as file:
        file.write('\n[tool.poetry.requires-plugins]\npoetry-plugin-not-there = "*"\n')
    done = command(fake, "--dry-run", cwd=mine)
    assert "requires-plugins is removed" in done.stdout
    assert "Procfile is missing" in done.stdout
    assert fake.seen == []
    assert ".env, " in done.stdout
    deploy(fake, mine)
    (tarball,) = fake.uploads()
    with tarfile.open(tarball) as archive:
        names = archive.getnames()
        packed = archive.extractfile("pyproject.toml")
        assert packed is not None
        assert "requires-plugins" not in packed.read().decode()
    assert not {".env", "id_rsa", ".venv/pyvenv.cfg", "data/raw/penguins.csv"} & set(names)
    assert "requires-plugins" in (mine / "pyproject.toml").read_text()


def test_what_git_ignores_travels_if_it_is_an_artifact_and_a_link_out_does_not(
    mine: Path, tmp_path: Path
) -> None:
    (mine / ".gitignore").write_text("*.onnx\n*.log\n")
    (mine / "a.log").write_text("x")
    run("git", "init", "--quiet", cwd=mine)
    run("git", "add", "--all", cwd=mine)
    (mine / "src/churn/new.py").write_text("")
    (tmp_path / "outside").write_text(KEY)
    (mine / "link").symlink_to(tmp_path / "outside")
    run("git", "add", "link", cwd=mine)
    planned = bundle.plan(pyproject.find(mine), {})
    assert "src/churn/artifacts/model.onnx" in planned.names
    assert not {"a.log", "link", "src/churn/new.py"} & planned.names
    assert any("src/churn/new.py" in note for note in planned.notes)
    assert any("link is a link to outside" in problem.message for problem in planned.problems)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's peak in /proc")
def test_500_mb_are_packed_in_little_memory(tmp_path: Path) -> None:
    big = tmp_path / "weights.bin"
    with big.open("wb") as file:
        block = os.urandom(1 << 20)
        for _ in range(64):
            file.write(block)
    ask = (
        "import re, sys; from pathlib import Path; from poetry_ml_plugin.deploy.heroku import bundle, tarball;"
        "m = bundle.Member('weights.bin', Path(sys.argv[1]));"
        "p = tarball.pack(bundle.Bundle((m,) * 8), open(sys.argv[2], 'wb'));"
        "peak = re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text());"
        "print(p.size, peak[1])"
    )
    words = (sys.executable, "-c", ask, big, tmp_path / "big.tgz")
    size, peak = map(int, run(*words, cwd=tmp_path).stdout.split())
    assert size > 500_000_000
    assert peak < 100_000  # kB, with the interpreter and all imports


def test_the_same_files_make_the_same_tarball(mine: Path, tmp_path: Path) -> None:
    (mine / "src/churn/artifacts/model.onnx").write_bytes(os.urandom(200_000))  # is stored
    made = []
    for number in range(2):
        for path in mine.rglob("*"):
            os.utime(path, (number, number))
        path = tmp_path / f"{number}.tgz"
        with path.open("wb") as file:
            made.append(tarball.pack(bundle.plan(pyproject.find(mine), {}), file))
    assert made[0] == made[1]
    assert made[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    with tarfile.open(path) as archive:
        for member in archive:
            file_there = archive.extractfile(member)
            assert file_there is not None
            assert file_there.read() == (mine / member.name).read_bytes()
            assert (member.uid, member.uname, member.mode) == (0, "", 0o644)


# What the fake takes

WRONG: list[tuple[str, str, Any]] = [
    ("POST", "/apps", {"name": "Capital"}),
    ("POST", "/apps/churn-test/builds", {"source_blob": "a"}),
    ("PATCH", "/apps/churn-test/config-vars", {"A": 1}),
    ("PATCH", "/apps/churn-test/formation", {"updates": [{"type": "web", "quantity": "2"}]}),
    ("POST", "/apps/churn-test/releases", {}),
]
WRONG_IDS = [f"{method} {path}" for method, path, _ in WRONG]


@pytest.mark.parametrize(("method", "path", "body"), WRONG, ids=WRONG_IDS)
def test_the_fake_refuses_what_heroku_would(method: str, path: str, body: Any) -> None:
    with pytest.raises(heroku_schema.Refused):
        heroku_schema.check(method, path, body)


@pytest.mark.skipif(
    not heroku_schema.SCHEMA.exists(), reason="Heroku's published schema is not beside the project"
)
@pytest.mark.parametrize(("method", "path", "body"), WRONG, ids=WRONG_IDS)
def test_so_does_the_published_schema(method: str, path: str, body: Any) -> None:
    with pytest.raises(heroku_schema.Refused):
        heroku_schema.hold(body, heroku_schema.published(method, path))


# Words


def test_variables_are_named_never_shown(fake: FakeHeroku, mine: Path) -> None:
    words = ("--env", "NOT_SET_HERE", "--env", f"a b={SECRET}", "--dry-run")
    done = command(fake, *words, cwd=mine, code=1)
    assert "NOT_SET_HERE is not set in the environment" in done.stderr
    assert SECRET not in done.stdout + done.stderr
    done = command(fake, "--env", f"A={SECRET}", "--dynos", "2", "--dry-run", cwd=mine)
    assert "A set" in done.stdout
    assert "on 2 web dynos" in done.stdout
    assert SECRET not in done.stdout + done.stderr


def test_no_signed_address_is_told_however_much_is_asked_for(fake: FakeHeroku, mine: Path) -> None:
    words = ("-m", "poetry", "-vvv", "ml", "deploy", "heroku", "--env", f"A={SECRET}")
    env = {"HEROKU_HOST": fake.api, "HEROKU_API_KEY": KEY}
    done = run(sys.executable, *words, cwd=mine, env=env)
    said = done.stdout + done.stderr
    assert "same as the local model" in said
    for secret in (KEY, SECRET, *fake.blobs, *fake.streams):
        assert secret not in said


def test_a_slip_of_the_finger_makes_no_app(fake: FakeHeroku, mine: Path) -> None:
    done = command(fake, "stauts", cwd=mine, code=1)
    assert 'Did you mean "poetry ml deploy heroku status"?' in done.stderr
    assert fake.seen == []


def test_open_opens_the_page(fake: FakeHeroku, mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    an_api(fake).post("/apps", {"name": "churn-test"})
    done = command(fake, "open", "--app", "churn-test", cwd=mine)
    assert opened == [f"{fake.outside}/router/churn-test/"] == done.stdout.split()


def test_destroy_wants_the_name(fake: FakeHeroku, mine: Path) -> None:
    an_api(fake).post("/apps", {"name": "churn-test"})
    before = (mine / "pyproject.toml").read_text()
    memory.remember(pyproject.find(mine), "heroku", {"app": "churn-test"})
    for words in ((), ("--confirm", "churn")):
        done = command(fake, "destroy", *words, cwd=mine, code=1)
        assert "Not destroyed" in done.stderr
    assert "churn-test" in fake.apps
    command(fake, "destroy", cwd=mine, typed="no\n", code=1)
    assert "churn-test" in fake.apps
    command(fake, "destroy", cwd=mine, typed="churn-test\n")
    assert fake.apps == {}
    assert (mine / "pyproject.toml").read_text() == before
    done = command(fake, "status", cwd=mine, code=1)
    assert "No app is saved" in done.stderr


@pytest.mark.parametrize("code", ["H10", "H12", "H14", "R10", "R14"])
def test_what_heroku_means_by_its_codes(code: str) -> None:
    (said,) = symptoms.explain(f"2026-11-22 heroku[router]: at=error code={code} desc=x")
    assert code in said
    assert "poetry ml deploy heroku" in said or "cat Procfile" in said


@pytest.mark.parametrize(
    ("module", "distribution"),
    [
        ("sklearn.linear_model", "scikit-learn"),
        ("cv2", "opencv-python-headless"),
        ("not_there", "not-there"),
    ],
)
def test_a_missing_module_is_named_by_its_distribution(module: str, distribution: str) -> None:
    (said,) = symptoms.explain(f"ModuleNotFoundError: No module named '{module}'")
    assert said.endswith(f"Next: poetry add {distribution}")


def test_symptoms_of_an_earlier_release_are_not_those_of_a_new_one(
    fake: FakeHeroku, mine: Path
) -> None:
    deploy(fake, mine)
    fake.apps["churn-test"].log = [
        "2020-01-01T00:00:00.123456+00:00 heroku[web.1]: Error R14 (Memory quota exceeded)",
        '2020-01-01T00:00:01Z heroku[router]: at=error code=H12 desc="Request timeout"',
    ]
    (mine / "Procfile").write_text("web: python -c 'import not_there'\n")
    with pytest.raises(DeployError) as error:
        deploy(fake, mine)
    assert "poetry add not-there" in str(error.value)
    assert "H10" in str(error.value)
    assert not {"R14", "H12"} & set(str(error.value).replace(":", " ").split())


def test_colours_of_a_log_leave_nothing_behind() -> None:
    log = Log()
    log.take(b"\x1b[1;33mWARNING\x1b[0m: \x1b]0;title\x07slow\x1b[2K\x1b(B\0\n")
    assert log.lines == ["WARNING: slow"]


def test_a_line_of_a_live_log_is_shown_before_the_next_one_comes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nfirst\n")
                assert shown.wait(30)
                connection.sendall(b"second\n")

        shown = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        api = HerokuAPI(Secret(KEY, "x"), "http://127.0.0.1:1")
        stream = api.stream(f"http://127.0.0.1:{server.getsockname()[1]}/", silence=None)
        assert next(stream) == b"first\n"
        shown.set()
        assert b"".join(stream) == b"second\n"
        thread.join(30)


def test_a_redirection_of_the_api_is_not_followed_and_named(fake: FakeHeroku) -> None:
    fake.faults = [Fault("GET /apps", 302, 1, {"Location": f"{fake.outside}/elsewhere"})]
    with pytest.raises(HerokuError, match=r"redirects to another address.*\$HEROKU_HOST"):
        an_api(fake).get("/apps/churn-test")
    assert fake.seen == ["GET /apps/churn-test"]


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("$HEROKU_API_KEY", "unset it"),
        ("~/.netrc", "heroku login"),
        ("heroku auth:token", "heroku login"),
    ],
    ids=["environment", "netrc", "login"],
)
def test_a_refused_key_is_renewed_where_it_came_from(
    fake: FakeHeroku, source: str, advice: str
) -> None:
    api = HerokuAPI(Secret("HRKU-old", source), fake.api)
    with pytest.raises(HerokuError, match=advice) as error:
        api.get("/account")
    assert source in str(error.value)
    assert ("heroku login" in str(error.value)) == (advice == "heroku login")


def test_an_upload_host_that_is_not_there_is_named_without_its_signature(
    fake: FakeHeroku, mine: Path
) -> None:
    outside, fake.outside = fake.outside, "http://127.0.0.1:1"
    try:
        with pytest.raises(MLError) as error:
            deploy(fake, mine)
    finally:
        fake.outside = outside
    assert "http://127.0.0.1:1 cannot be reached (the upload)" in str(error.value)
    assert not any(blob in str(error.value) for blob in fake.blobs)


def locked(name: str, version: str) -> Package:
    return Package(name, version, True, False, (), {}, "")


def test_the_slug_is_estimated_from_the_lock_and_not_from_this_machine() -> None:
    cuda = [
        locked("torch", "2.9.1"),
        locked("nvidia-cublas-cu12", "12.8.4.1"),
        locked("nvidia-cudnn-cu12", "9.10.2.21"),
        locked("nvidia-nccl-cu12", "2.27.5"),
    ]
    sizes = slug.sizes(cuda, None)
    assert sum(sizes.values()) > 2e9
    assert slug.for_gpus(sizes)
    on_cpu = [locked("torch", "2.9.1"), locked("torch", "2.9.1+cpu")]  # of a Mac, and of Linux
    sizes = slug.sizes(on_cpu, None)
    assert 0 < sum(sizes.values()) < 500e6
    assert not slug.for_gpus(sizes)


def test_nobody_is_advised_to_add_a_credential_file_to_git(fake: FakeHeroku, mine: Path) -> None:
    run("git", "init", "--quiet", cwd=mine)
    run("git", "add", "--all", cwd=mine)
    (mine / "configs/secrets.yaml").write_text("a: b\n")
    (mine / "configs/other.yaml").write_text("a: b\n")
    notes = bundle.plan(pyproject.find(mine), {}).notes
    assert any("configs/other.yaml" in note for note in notes)
    assert not any("secrets.yaml" in note for note in notes)


@pytest.mark.parametrize(
    ("distribution", "name"),
    [("churn", "churn"), ("My_Model.2", "my-model-2"), ("1st", "model-1st"), ("a" * 60, "a" * 30)],
    ids=["plain", "signs", "digit first", "long"],
)
def test_an_app_is_named_after_its_project(distribution: str, name: str) -> None:
    assert app_name(distribution) == name


def test_targets_of_other_packages_are_listed_and_run(tmp_path: Path) -> None:
    (tmp_path / "moon.py").write_text(
        "from cleo.commands.command import Command\n"
        "from poetry_ml_plugin.deploy.target import Target\n"
        "MOON = Target('lands on the moon', 'a rocket', {'': 'moon:Land'})\n"
        "class Land(Command):\n"
        "    name = 'ml deploy moon'\n"
        "    def handle(self):\n"
        "        self.line('landed')\n"
        "        return 0\n"
    )
    info = tmp_path / "moon-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: moon\nVersion: 1.0\n")
    group = "[poetry_ml_plugin.targets]\nmoon = moon:MOON\nmars = mars:MARS\n"
    (info / "entry_points.txt").write_text(group)
    env = {"PYTHONPATH": str(tmp_path)}
    done = poetry("ml", "deploy", "--list", cwd=tmp_path, env=env)
    assert "a rocket" in done.stdout
    assert "heroku" in done.stdout
    assert "The deploy target mars does not load" in done.stderr
    assert poetry("ml", "deploy", "moon", cwd=tmp_path, env=env).stdout == "landed\n"
    done = poetry("ml", "deploy", "moo", cwd=tmp_path, env=env, code=1)
    assert 'Did you mean "poetry ml deploy moon"?' in done.stderr
