"""Whatever happens while a project is made: it is there whole, or not at all."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

import pytest
from conftest import poetry
from poetry.console.application import Application
from serving import until

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import platforms, staging, venv
from poetry_ml_plugin.project.names import Names
from poetry_ml_plugin.template import render, scaffold, update
from poetry_ml_plugin.template.render import File

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="makes its many processes quickly, by forking"
)
BARE = ("--no-install", "--no-git")


def start(folder: Path, *words: str, most: int | None = None) -> int:
    """Fork a process that runs `poetry ml new`, all it says going to folder.log. Gives its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.chdir(folder)
        log = os.open(f"{folder}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(log, stream)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        sys.argv = ["poetry", "ml", "new", *words, *BARE]
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        if most is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        application = Application()
        application.auto_exits(False)
        code = application.run()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def end(pid: int) -> int:
    """The exit code of a forked process, or the signal that ended it as a negative number."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def whole(root: Path) -> bool:
    """Whether all of a project is there, and nothing else."""
    found = {
        PurePosixPath(path.relative_to(root).as_posix())
        for path in root.rglob("*")
        if path.is_file()
    }
    own = Names("churn", root.name.replace("-", "_"))
    return found == update.remember(render.plan(own, venv.preferred_python())).keys()


def test_a_hundred_interruptions_leave_no_half_project(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    started = time.monotonic()
    assert end(start(folder, "warm")) == 0
    usual = time.monotonic() - started
    dice = random.Random(7)
    made = {"warm"}
    for n in range(100):
        number = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL][n % 3]
        name = f"churn{n}"
        pid = start(folder, name if n % 2 else f"deep{n}/{name}")
        time.sleep(dice.uniform(0.2, 1.1) * usual)  # any moment will do, the end too
        os.kill(pid, number)
        assert end(pid) in (0, -number, 128 + number)
        target = folder / (name if n % 2 else f"deep{n}/{name}")
        assert not target.exists() or not any(target.iterdir()) or whole(target), target
        if n % 10 == 9:  # the next run, of whatever name, tidies up
            assert end(start(folder, f"next{n}")) == 0
            assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    for place in {path.parent for path in folder.glob("deep*/.*")}:
        assert end(start(folder, f"{place.name}/again")) == 0
        assert list(place.glob(".*")) == []
    made = {path.name for path in folder.glob("*") if (path / "pyproject.toml").exists()}
    assert {"warm", "next9", "next99"} <= made
    assert "Traceback" not in (tmp_path / "here.log").read_text()


def test_no_space_at_any_point_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    for most in (1_000, 2_000, 5_000, 12_000):  # bytes in a file
        assert end(start(folder, "churn", most=most)) == 1
        assert list(folder.iterdir()) == []
        said = (tmp_path / "here.log").read_text()
        assert "churn cannot be written: " in said
        assert "Traceback" not in said
        (tmp_path / "here.log").unlink()


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A small file system of its own."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, check=False).returncode != 0:
        pytest.skip("only root may mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize(
    "options", ["size=12k", "size=64k", "size=128k", "nr_inodes=9", "nr_inodes=40"]
)
def test_a_full_disk_is_named_and_left_as_it_was(tmp_path: Path, options: str) -> None:
    with mounted(tmp_path / "small", options) as folder:
        assert end(start(folder, "churn")) == 1
        assert list(folder.iterdir()) == []
    said = (tmp_path / "small.log").read_text()
    assert "No space left on device" in said
    assert "Traceback" not in said


def test_a_read_only_disk_is_named(tmp_path: Path) -> None:
    with mounted(tmp_path / "fixed", "ro") as folder:
        assert end(start(folder, "deep/churn")) == 1
    assert "Read-only file system" in (tmp_path / "fixed.log").read_text()


def test_of_several_at_once_one_wins(tmp_path: Path) -> None:
    for n in range(5):
        folder = tmp_path / str(n)
        folder.mkdir()
        if n % 2:
            (folder / "churn").mkdir()
        pids = [start(folder, "churn") for _ in range(4)]
        assert sorted(map(end, pids)) == [0, 1, 1, 1]
        assert [path.name for path in folder.iterdir()] == ["churn"]
        assert whole(folder / "churn")
        said = (tmp_path / f"{n}.log").read_text()
        assert "Traceback" not in said
        assert "continue with" not in said
        refusals = ("Another process is making", "is not empty", "just created by another")
        assert sum(said.count(refusal) for refusal in refusals) == 3


def test_what_another_is_at_work_on_is_left_alone(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        with staging.stage(tmp_path, "theirs") as stage:
            (stage / "precious").touch()
            signal.pause()
        os._exit(0)
    theirs = tmp_path / f".theirs{staging.SUFFIX}"
    try:
        until((theirs / "precious").exists)
        scaffold.write({PurePosixPath("a"): File(b"x")}, tmp_path / "ours")
        assert (theirs / "precious").exists()
        with pytest.raises(MLError, match="Another process is making"):
            scaffold.write({PurePosixPath("a"): File(b"x")}, tmp_path / "theirs")
    finally:
        os.kill(pid, signal.SIGKILL)
        end(pid)
    assert theirs.exists()
    scaffold.write({PurePosixPath("a"): File(b"x")}, tmp_path / "again")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "ours"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_lock_keeps_the_project_and_says_how_to_go_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "poetry", "ml", "new", "churn"]
    with socket.create_server(("127.0.0.1", 0)) as index:  # it is asked, and never answers
        index.settimeout(300)
        url = f"http://127.0.0.1:{index.getsockname()[1]}/simple/"
        env = {**os.environ, "POETRY_PYPI_MIRROR_URL": url}
        with subprocess.Popen(
            command,
            cwd=tmp_path,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            connection, _ = index.accept()
            process.send_signal(number)
            assert process.stdout is not None
            said = process.stdout.read()
            connection.close()
    assert "Lock the dependencies" in said
    assert process.returncode == 128 + number
    assert whole_but_git(tmp_path / "churn")
    going_on = said[said.index("continue with") :].split()
    for words in ("cd churn", "poetry install", "poetry ml train", "git add --all"):
        assert words in " ".join(going_on)
    assert "Traceback" not in said


def whole_but_git(root: Path) -> bool:
    shutil.rmtree(root / ".git")
    return whole(root)


def test_nothing_is_written_in_the_home_folder(tmp_path: Path) -> None:
    for name in ("home", "here"):
        (tmp_path / name).mkdir()
    env = {name: str(tmp_path / "home") for name in ("HOME", "USERPROFILE", "XDG_CONFIG_HOME")}
    poetry("ml", "new", "churn", "--no-install", cwd=tmp_path / "here", env=env)
    assert list((tmp_path / "home").iterdir()) == []
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["churn"]


def test_into_adds_only_what_is_missing(tmp_path: Path) -> None:
    root = tmp_path / "churn"
    mine = {
        "README.md": "mine",
        "src/churn/config.py": "x = 1\n",
        "notes/a.txt": "b",
        "tests": "odd",
    }
    for name, content in mine.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    poetry("ml", "new", "churn", *BARE, cwd=tmp_path, code=1)
    done = poetry("ml", "new", "churn", "--into", *BARE, cwd=tmp_path)
    assert "Write the project" in done.stdout
    for name, content in mine.items():
        assert (root / name).read_text() == content
    found = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    files = update.remember(render.plan(Names("churn", "churn"), "3.12"))
    planned = {str(name) for name in files}
    assert found == mine.keys() | {name for name in planned if not name.startswith("tests/")}
    done = poetry("ml", "new", "churn", "--into", *BARE, cwd=tmp_path, code=1)
    assert "poetry ml init" in done.stderr


def test_a_failing_addition_is_taken_back(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/mine").write_text("mine")
    names = ("b/c/d", "a/new", "a/mine", "pyproject.toml")
    with pytest.raises(MLError, match="cannot be written"):
        scaffold.add({PurePosixPath(name): File(b"x") for name in names}, tmp_path)
    assert {path.name for path in tmp_path.rglob("*")} == {"a", "mine"}


def test_an_addition_that_is_interrupted_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = platforms.put_file

    calls = iter(range(3))

    def interrupted(source: Path, target: Path) -> None:  # as on Windows, where signals do not wait
        if next(calls) == 2:
            raise KeyboardInterrupt
        put(source, target)

    monkeypatch.setattr(platforms, "put_file", interrupted)
    names = ("a/b", "c", "d/e", "pyproject.toml")
    with pytest.raises(KeyboardInterrupt):
        scaffold.add({PurePosixPath(name): File(b"x") for name in names}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_addition_that_was_killed_is_taken_back_by_the_next_run(tmp_path: Path) -> None:
    mine = {"a/mine": b"1", "pyproject.toml": b"[project]\nname = 'x'\n", "README.md": b"x"}
    files = {PurePosixPath(name): File(b"x") for name in ("a/new", "b/c/d", "pyproject.toml")}
    killed = 0
    for moment in range(6):
        root = tmp_path / str(moment)
        for name, content in mine.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        pid = os.fork()
        if pid == 0:
            dying(moment, partial(scaffold.add, files, root))
        killed += end(pid) == -signal.SIGKILL
        staging.clean(root)
        found = {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file()
        }
        assert found in (mine, mine | {str(name): b"x" for name in files})
    assert killed >= 3


def test_a_killed_start_in_an_empty_folder_is_taken_back_by_the_next(tmp_path: Path) -> None:
    files = {PurePosixPath(name): File(b"x") for name in ("a/new", "b/c/d", "pyproject.toml")}
    killed = 0
    for moment in range(6):
        root = tmp_path / str(moment)
        root.mkdir()
        pid = os.fork()
        if pid == 0:
            dying(moment, partial(scaffold.write, files, root))
        killed += end(pid) == -signal.SIGKILL
        if (root / "pyproject.toml").exists():
            staging.clean(root)
        else:
            scaffold.write(files, root)
        found = {path.relative_to(root) for path in root.rglob("*") if path.is_file()}
        assert found == files.keys()
    assert killed >= 3


def test_a_process_killed_at_any_step_leaves_all_or_nothing(tmp_path: Path) -> None:
    files = {PurePosixPath(name): File(b"x") for name in ("a/b", "c", "pyproject.toml")}
    done = moment = killed = 0
    while not done:
        place = tmp_path / str(moment)
        place.mkdir()
        pid = os.fork()
        if pid == 0:
            write = partial(scaffold.write, files, place / "churn")
            dying(moment, write, "mkdir", "fsync", "rename", "unlink")
        killed += end(pid) == -signal.SIGKILL
        found = {p.relative_to(place / "churn") for p in place.glob("churn/**/*") if p.is_file()}
        assert found in (set(), files.keys())
        scaffold.write(files, place / "next")
        assert {path.name for path in place.iterdir()} - {"churn"} == {"next"}
        done = killed == moment  # it came to the end
        moment += 1
    assert killed >= 6


def dying(moment: int, act: Callable[[], None], *names: str) -> None:
    """Kill this process at the call of that number of what changes the disk."""
    calls = iter(range(100))
    for name in names or ("link", "replace"):
        real = getattr(os, name)

        def call(*words: object, real: Callable[..., object] = real) -> object:
            if next(calls) == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*words)

        setattr(os, name, call)
    platforms.put_file.__defaults__ = (os.link,)
    platforms.put_folder.__defaults__ = (platforms.WINDOWS, os.rename)
    try:
        act()
    finally:
        os._exit(0)


def test_an_output_without_our_signs_gets_others(tmp_path: Path) -> None:
    env = {"PYTHONIOENCODING": "cp1252"}
    done = poetry("ml", "new", "churn", "--description", "Смерть", *BARE, cwd=tmp_path, env=env)
    assert "  + Write the project" in done.stdout


def test_a_folder_is_put_in_its_place_as_windows_can(tmp_path: Path) -> None:
    def rename(old: Path, new: Path) -> None:
        assert not new.exists()  # where Windows refuses
        old.rename(new)

    for name in ("stage", "new", "more", "full"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    (tmp_path / "empty").mkdir()
    platforms.put_folder(tmp_path / "stage", tmp_path / "empty", windows=True, rename=rename)
    assert (tmp_path / "empty/stage").exists()
    platforms.put_folder(tmp_path / "new", tmp_path / "none", windows=True, rename=rename)
    with pytest.raises(OSError):
        platforms.put_folder(tmp_path / "more", tmp_path / "full", windows=True, rename=rename)
    assert (tmp_path / "full/full").exists()


def test_one_holds_a_lock_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with platforms.held(lock) as ours, platforms.held(lock) as theirs:
        assert (ours, theirs) == (True, False)
        assert lock.exists()
    assert not lock.exists()


def test_a_file_is_put_where_a_file_system_has_no_links(tmp_path: Path) -> None:
    def link(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    (tmp_path / "a").write_text("x")
    (tmp_path / "a").chmod(0o755)
    platforms.put_file(tmp_path / "a", tmp_path / "b", link)
    assert (tmp_path / "b").read_text() == "x"
    assert (tmp_path / "b").stat().st_mode == (tmp_path / "a").stat().st_mode
    with pytest.raises(FileExistsError):
        platforms.put_file(tmp_path / "a", tmp_path / "b", link)
    platforms.flush_folder(tmp_path / "none", windows=True)
