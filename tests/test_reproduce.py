"""`poetry ml reproduce`: the same model again from a clone, or what keeps it from being the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Churn, poetry, run

MANIFEST = "src/churn/artifacts/manifest.json"
DATA = "data/raw/penguins.csv"


@pytest.fixture
def clone(churn: Churn, tmp_path: Path) -> Path:
    """A fresh clone of the shared project, nothing of it installed."""
    target = tmp_path / "another place" / "churn"
    run("git", "clone", "--quiet", churn.root, target, cwd=churn.root)
    for key, value in (("user.name", "Ann"), ("user.email", "ann@example.org")):
        run("git", "config", key, value, cwd=target)
    return target


def commit(root: Path) -> None:
    run("git", "commit", "--quiet", "--all", "--message", "Change it", cwd=root)


def rewrite(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the record of the training, as if it had been another, and commit that."""
    manifest = json.loads((root / MANIFEST).read_bytes())
    change(manifest)
    manifest["artifacts"]["model.onnx"]["sha256"] = "0" * 64
    (root / MANIFEST).write_text(json.dumps(manifest, indent=2))
    commit(root)


def test_a_fresh_clone_gives_the_same_model_bit_by_bit_and_is_left_as_it_was(clone: Path) -> None:
    (clone / DATA).write_text("an edit that is not committed\n")
    before = run("git", "status", "--porcelain", "--ignored", cwd=clone).stdout
    done = poetry("ml", "reproduce", cwd=clone)
    assert "every trained file is byte-identical" in done.stdout
    assert run("git", "status", "--porcelain", "--ignored", cwd=clone).stdout == before
    assert len(run("git", "worktree", "list", cwd=clone).stdout.splitlines()) == 1


def test_data_that_is_not_in_git_is_taken_by_its_hash_and_numbers_may_differ_a_little(
    clone: Path,
) -> None:
    def nearly(manifest: dict[str, Any]) -> None:
        manifest["run"]["metrics"]["log_loss"] *= 1 + 1e-9

    run("git", "rm", "--quiet", "--cached", DATA, cwd=clone)
    rewrite(clone, nearly)
    done = poetry("ml", "reproduce", cwd=clone)
    assert "model.onnx differ in bytes; metrics and predictions are equal" in done.stdout
    rows = (clone / DATA).read_text()
    (clone / DATA).write_text(rows.replace("Torgersen", "Biscoe", 1))
    refused = poetry("ml", "reproduce", cwd=clone, code=4)
    assert f"It could not run: The data of that training is not here: {DATA}" in refused.stderr
    assert "poetry ml data pull" in refused.stderr


def test_changed_data_is_named(clone: Path) -> None:
    lines = (clone / DATA).read_text().splitlines(keepends=True)
    (clone / DATA).write_text("".join(lines[:-60]))
    commit(clone)
    done = poetry("ml", "reproduce", cwd=clone, code=3)
    assert "Not reproduced" in done.stdout
    assert f"data: {DATA} is not the file that the training read" in done.stdout
    assert "code:" not in done.stdout


def test_changed_code_is_named(clone: Path) -> None:
    path = clone / "src/churn/models/train.py"
    path.write_text(path.read_text().replace("settings.trees,", "settings.trees // 20,"))
    commit(clone)
    done = poetry("ml", "reproduce", "HEAD", cwd=clone, code=3)
    assert "code: models/train.py is not as it was when the model was trained" in done.stdout
    assert "data:" not in done.stdout
    assert "byte-identical" in poetry("ml", "reproduce", "HEAD~1", cwd=clone).stdout


def test_other_libraries_another_python_and_another_platform_are_named(clone: Path) -> None:
    def elsewhere(manifest: dict[str, Any]) -> None:
        record = manifest["run"]
        record["libraries"]["scikit-learn"] = "1.6.0"
        record |= {"python": "3.99.1", "platform": "darwin-arm64"}
        record["metrics"]["log_loss"] *= 1.1

    rewrite(clone, elsewhere)
    done = poetry("ml", "reproduce", cwd=clone, code=3)
    assert "lock: the training used scikit-learn 1.6.0, and poetry.lock has" in done.stdout
    assert "Python: the training ran on 3.99.1, and this one on 3." in done.stdout
    assert "platform: the training ran on darwin-arm64, and this one on " in done.stdout
    assert "log_loss" in done.stdout


def test_what_cannot_run_is_said_in_a_sentence(clone: Path) -> None:
    refused = poetry("ml", "reproduce", "no-such-tag", cwd=clone, code=4)
    assert '"no-such-tag" names no commit that is in this clone' in refused.stderr
    assert "git fetch" in refused.stderr
    run("git", "rm", "--quiet", "poetry.lock", cwd=clone)
    commit(clone)
    assert "has no poetry.lock" in poetry("ml", "reproduce", cwd=clone, code=4).stderr
    run("git", "rm", "--quiet", MANIFEST, cwd=clone)
    commit(clone)
    refused = poetry("ml", "reproduce", cwd=clone, code=4)
    assert f"{MANIFEST} is missing" in refused.stderr
    shutil.rmtree(clone / ".git")
    assert "is not in a git repository" in poetry("ml", "reproduce", cwd=clone, code=4).stderr
    assert len(list(clone.parent.iterdir())) == 1
