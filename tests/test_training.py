"""A training replaces the artifacts as one set, or leaves them as they were, wherever it is cut short."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

RUNTIME = REPOSITORY / "templates/project/src/example_model/_runtime"

PACKAGE = """
from pathlib import Path
from ._runtime import Manifest, Package
package = Package(__name__, "mini", Path(__file__).resolve().parent)
manifest = Manifest(package)
"""

# Trains, and is killed before its n-th change of the file system.
TRAIN = """
import os, pathlib, signal, sys
import msgspec
from mini import manifest

class Settings(msgspec.Struct):
    value: int

def training(value, names):
    with manifest.run(Settings(value)) as run:
        for name in names:
            manifest.save(name, {"value": value})
        run.metrics = {"value": value}

left = int(sys.argv[1])
number = getattr(signal, sys.argv[2])

def counted(function):
    def change(*arguments, **options):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), number)
        return function(*arguments, **options)
    return change

if left:
    for module, name in ((os, "replace"), (os, "unlink"), (os, "mkdir"), (os, "rmdir"), (os, "fsync")):
        setattr(module, name, counted(getattr(os, name)))
training(2, ["kept.json", "new.json"])
print("left", left)
"""

READ = """
import json
from mini import manifest
record = manifest.read()
print(json.dumps([
    sorted(record.artifacts), [manifest.load(name) for name in sorted(record.artifacts)],
    record.run["metrics"], manifest.verify(),
]))
"""

OLD = [["kept.json", "old.json"], [{"value": 1}] * 2, {"value": 1}, []]
NEW = [["kept.json", "new.json"], [{"value": 2}] * 2, {"value": 2}, []]


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with the machinery alone, and one training behind it."""
    root = tmp_path_factory.mktemp("mini")
    package = root / "src/mini"
    shutil.copytree(RUNTIME, package / "_runtime", ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__init__.py").write_text(PACKAGE)
    (root / "pyproject.toml").write_text("")
    first = TRAIN.replace(
        'training(2, ["kept.json", "new.json"])', 'training(1, ["kept.json", "old.json"])'
    )
    assert python(root, first, "0", "SIGKILL").returncode == 0
    assert json.loads(python(root, READ).stdout) == OLD
    return root


def python(root: Path, code: str, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(root / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def changes(mini: Path, folder: Path) -> int:
    """How many changes of the file system a whole training makes."""
    shutil.copytree(mini, folder)
    found = re.search(r"left -(\d+)", python(folder, TRAIN, "-1", "SIGKILL").stdout)
    assert found
    return int(found[1]) - 1


@pytest.mark.parametrize("number", ["SIGKILL", "SIGINT"])
def test_a_training_that_is_cut_short_leaves_the_former_model_or_the_new_one(
    mini: Path, tmp_path: Path, number: str
) -> None:
    total = changes(mini, tmp_path / "whole")
    outcomes = []
    for n in range(1, total + 1):
        root = tmp_path / f"cut-{n}"
        shutil.copytree(mini, root)
        done = python(root, TRAIN, str(n), number)
        assert done.returncode in (-getattr(signal, number), 1, 130), (n, done.stdout, done.stderr)
        read = json.loads(python(root, READ).stdout)
        assert read in (OLD, NEW), (n, read)
        metrics = json.loads((root / "reports/metrics.json").read_text())
        assert metrics == read[2], n
        names = {path.name for path in (root / "src/mini/artifacts").iterdir()}
        assert names == {*read[0], "manifest.json"}, n
        outcomes.append(read == NEW)
        # The next training clears away what a killed one left.
        assert python(root, TRAIN, "0", number).returncode == 0
        assert json.loads(python(root, READ).stdout) == NEW
        assert not list((root / "src/mini").glob(".artifacts-*")), n
    assert outcomes == sorted(outcomes)  # the former model up to some point, the new one from there
    assert True in outcomes
    assert False in outcomes


def test_a_training_that_raises_changes_nothing(mini: Path, tmp_path: Path) -> None:
    root = tmp_path / "mini"
    shutil.copytree(mini, root)
    raising = TRAIN.replace("run.metrics = ", 'raise ValueError("no"); run.metrics = ')
    assert "ValueError: no" in python(root, raising, "0", "SIGKILL").stderr
    assert json.loads(python(root, READ).stdout) == OLD
    assert not list((root / "src/mini").glob(".artifacts-*"))


def test_git_and_builds_see_nothing_of_a_training_under_way(mini: Path, tmp_path: Path) -> None:
    root = tmp_path / "mini"
    shutil.copytree(mini, root)
    subprocess.run(["git", "init", "--quiet", root], check=True)
    look = TRAIN.replace(
        "run.metrics = ",
        'import subprocess; print(subprocess.run(["git", "status", "--porcelain", "--untracked-files=all"],'
        " capture_output=True, text=True).stdout); run.metrics = ",
    )
    done = subprocess.run(
        [sys.executable, "-c", look, "0", "SIGKILL"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "src/mini/artifacts/kept.json" in done.stdout
    assert ".artifacts-" not in done.stdout
