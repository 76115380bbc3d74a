"""A training replaces the artifacts as one set, or leaves them as they were, wherever it is cut short."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY

RUNTIME = REPOSITORY / "templates/project/src/example_model/_runtime"

# One process that imports the machinery once, and forks for each training: `cut` is the number of the
# change of the file system before which a training is sent a signal.
DRIVER = """
import json, os, shutil, signal, sys
from pathlib import Path
import msgspec
from mini._runtime import Manifest, Package

class Settings(msgspec.Struct):
    value: int

def manifest(root):
    return Manifest(Package("mini", "mini", Path(root) / "src/mini"))

def train(root, value, names, during=lambda: None):
    current = manifest(root)
    with current.run(Settings(value)) as run:
        for name in names:
            current.save(name, {"value": value})
        during()
        run.metrics = {"value": value}

def first(root):
    (Path(root) / "src/mini").mkdir(parents=True)
    (Path(root) / "pyproject.toml").touch()
    train(root, 1, ["kept.json", "old.json"])

def second(root, during=lambda: None):
    train(root, 2, ["kept.json", "new.json"], during)

def read(root):
    current = manifest(root)
    record = current.read()
    artifacts = {name: current.load(name)["value"] for name in sorted(record.artifacts)}
    metrics = json.loads((Path(root) / "reports/metrics.json").read_text())
    lines = (Path(root) / "reports/runs.jsonl").read_text().splitlines()
    folder = Path(root) / "src/mini/artifacts"
    return {
        "artifacts": artifacts,
        "metrics": [record.run["metrics"]["value"], metrics["value"]],
        "runs": [json.loads(line)["metrics"]["value"] for line in lines],
        "problems": current.verify(),
        "files": sorted(path.name for path in folder.iterdir()),
        "beside": sorted(path.name for path in folder.parent.glob(".artifacts-*")),
    }

def interrupted(root, cut, number):
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    left = cut
    def counted(function):
        def change(*arguments, **options):
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), number)
            return function(*arguments, **options)
        return change
    for name in ("replace", "unlink", "mkdir", "rmdir", "fsync"):
        setattr(os, name, counted(getattr(os, name)))
    code = 1
    try:
        second(root)
        code = 100 if left > 0 else 0  # not reached: that was the whole training
    except KeyboardInterrupt:
        pass
    finally:
        os._exit(code)
"""

OLD = {"kept.json": 1, "old.json": 1}
NEW = {"kept.json": 2, "new.json": 2}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to import the machinery from."""
    folder = tmp_path_factory.mktemp("package")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(RUNTIME, folder / "mini/_runtime", ignore=ignored)
    (folder / "mini/__init__.py").touch()
    return folder


def drive(package: Path, code: str, cwd: Path) -> Any:
    """What the driver prints, as JSON."""
    env = {**os.environ, "PYTHONPATH": str(package)}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER + code], cwd=cwd, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def whole(read: dict[str, Any], artifacts: dict[str, int], value: int, runs: list[int]) -> bool:
    """Whether nothing but this set is there, and all that tells of it agrees."""
    return read == {
        "runs": runs,
        "artifacts": artifacts,
        "metrics": [value, value],
        "problems": [],
        "files": sorted([*artifacts, "manifest.json"]),
        "beside": read["beside"],
    }


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("number", ["SIGKILL", "SIGINT"])
def test_a_training_that_is_cut_short_leaves_the_former_model_or_the_new_one(
    package: Path, tmp_path: Path, number: str
) -> None:
    code = f"""
first("start")
outcomes = []
for cut in range(1, 1000):
    root = f"cut-{{cut}}"
    shutil.copytree("start", root)
    code = interrupted(root, cut, signal.{number})
    after = read(root)
    second(root)
    outcomes.append([code, after, read(root)])
    if code == 100:
        break
print(json.dumps(outcomes))
"""
    outcomes = drive(package, code, tmp_path)
    assert outcomes[-1][0] == 100  # the last one was not cut short
    assert len(outcomes) > 20
    for cut, (_, after, later) in enumerate(outcomes, 1):
        assert whole(after, OLD, 1, [1]) or whole(after, NEW, 2, [1, 2]), (cut, after)
        # The next training clears away what a killed one left.
        assert whole(later, NEW, 2, [*after["runs"], 2]), (cut, later)
        assert later["beside"] == [], cut
    kept = [after["artifacts"] == NEW for _, after, _ in outcomes]
    assert kept == sorted(kept)  # the former model up to some point, the new one from there
    assert not kept[0]


def test_a_training_that_raises_changes_nothing(package: Path, tmp_path: Path) -> None:
    code = """
first("root")
def fail():
    raise ValueError("no")
try:
    second("root", fail)
except ValueError:
    print(json.dumps(read("root")))
"""
    after = drive(package, code, tmp_path)
    assert whole(after, OLD, 1, [1])
    assert after["beside"] == []


def test_git_sees_nothing_of_a_training_under_way(package: Path, tmp_path: Path) -> None:
    code = """
import subprocess
subprocess.run(["git", "init", "--quiet", "root"], check=True)
first("root")
status = ["git", "status", "--porcelain", "--untracked-files=all"]
def look():
    global said
    said = subprocess.run(status, cwd="root", capture_output=True, text=True).stdout.split()
second("root", look)
print(json.dumps(said))
"""
    said = drive(package, code, tmp_path)
    assert "src/mini/artifacts/kept.json" in said
    assert not [name for name in said if ".artifacts-" in name]
