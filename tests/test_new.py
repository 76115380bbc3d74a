"""`poetry ml new`: everything in place, and a clear word where something is not."""

from __future__ import annotations

import json
import ntpath
import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from conftest import ROWS, Churn, poetry, run

from poetry_ml_plugin.host import platforms
from poetry_ml_plugin.project import pyproject

BARE = ("--no-install", "--no-git")
GIT_FREE = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")


def git(*words: str, cwd: Path) -> str:
    return run("git", *words, cwd=cwd).stdout


def test_new_makes_a_trained_project_with_its_first_commit(churn: Churn) -> None:
    for title in ("Lock", "Install", "Train", "Predict", "first commit"):
        assert title in churn.said
    assert "poetry ml serve" in churn.said
    assert git("status", "--porcelain", cwd=churn.root) == ""
    committed = git("ls-files", cwd=churn.root).split()
    assert {
        "poetry.lock",
        "src/churn/artifacts/model.onnx",
        "src/churn/artifacts/manifest.json",
    } <= {*committed}
    assert "src/churn/artifacts/manifest.json" in committed


def test_a_project_asks_for_the_python_that_it_was_made_with(churn: Churn) -> None:
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    version = run(churn.python, "-c", ask, cwd=churn.root).stdout.strip()
    assert (churn.root / ".python-version").read_text() == f"{version}\n"
    assert (
        f'requires-python = "{pyproject.requires_python(version)}"'
        in (churn.root / "pyproject.toml").read_text()
    )


def test_new_predicts_from_python_as_from_the_command_line(churn: Churn) -> None:
    ask = (
        "import msgspec; from churn.models.model import Model; from churn.models.schema import Row;"
        f"rows = msgspec.json.decode('{ROWS}', type=list[Row]);"
        "print(msgspec.json.encode(Model().predict(rows)).decode())"
    )
    from_python = json.loads(run(churn.python, "-c", ask, cwd=churn.root).stdout)
    from_command = json.loads(poetry("ml", "predict", ROWS, cwd=churn.root).stdout)
    assert from_python == from_command
    assert from_python[0]["species"] == "Chinstrap"


def test_names_and_description_can_be_given(tmp_path: Path) -> None:
    words = [
        "--name",
        "churn-rate",
        "--package",
        "attrition",
        "--description",
        "Says who <b>leaves</b>.",
    ]
    poetry("ml", "new", "x/My Folder", "--no-install", *words, cwd=tmp_path)
    root = tmp_path / "x/My Folder"
    assert (root / "src/attrition/models/model.py").exists()
    assert 'name = "churn-rate"' in (root / "pyproject.toml").read_text()
    assert (root / "README.md").read_text().startswith("# churn-rate\n\nSays who <b>leaves</b>.\n")


@pytest.mark.parametrize("name", ["numpy", "class", "a/../../b", "1abc", "con"])
def test_an_unfit_name_writes_nothing(tmp_path: Path, name: str) -> None:
    done = poetry("ml", "new", name, cwd=tmp_path, code=1)
    assert done.stderr.strip().count("\n") == 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "churn").mkdir()
    (tmp_path / "churn/mine").write_text("precious")
    done = poetry("ml", "new", "churn", cwd=tmp_path, code=1)
    assert "is not empty" in done.stderr
    assert [path.name for path in (tmp_path / "churn").iterdir()] == ["mine"]
    done = poetry("ml", "new", "..", cwd=tmp_path / "churn", code=1)
    assert f"{tmp_path} is not empty" in done.stderr


def test_the_folder_that_one_is_in_can_be_the_projects(tmp_path: Path) -> None:
    root = tmp_path / "My Churn"
    root.mkdir()
    steps = (["new", "."], ["add", "devcontainer"])  # the second in the folder as the first left it
    script = "import subprocess, sys; [subprocess.run([sys.executable, '-m', 'poetry', 'ml', *words], check=True) for words in {}]"
    said = run(sys.executable, "-c", script.format([[*steps[0], *BARE], steps[1]]), cwd=root).stdout
    assert "cd " not in said
    assert (root / ".devcontainer").is_dir()
    assert (root / "src/my_churn").is_dir()


def test_an_empty_name_is_not_the_folder_one_is_in(tmp_path: Path) -> None:
    assert 'Try "my-model"' in poetry("ml", "new", "", *BARE, cwd=tmp_path, code=1).stderr
    assert list(tmp_path.iterdir()) == []


def test_the_way_on_can_be_typed_as_it_stands(tmp_path: Path) -> None:
    done = poetry("ml", "new", "a b/My Churn", *BARE, cwd=tmp_path)
    (line,) = [line.strip() for line in done.stdout.splitlines() if line.startswith("  cd ")]
    if sys.platform != "win32":
        assert shlex.split(line) == ["cd", "a b/My Churn"]
    assert platforms.quoted(r"a b\c", windows=True) == r'"a b\c"'
    other = Path("/elsewhere")
    assert platforms.relative(other, tmp_path, lambda *_: ntpath.relpath("D:\\a", "C:\\b")) == other


def test_no_git_means_none(tmp_path: Path) -> None:
    done = poetry("ml", "new", "churn", "--no-install", "--no-git", cwd=tmp_path)
    assert not (tmp_path / "churn/.git").exists()
    assert "repository" not in done.stdout
    assert "commit" not in done.stdout


def test_a_missing_git_is_one_line_with_its_mend(tmp_path: Path) -> None:
    done = poetry("ml", "new", "churn", "--no-install", cwd=tmp_path, env={"PATH": str(tmp_path)})
    assert "git is not installed. Install it" in done.stdout
    assert (tmp_path / "churn/pyproject.toml").exists()


def test_a_missing_identity_is_one_line_with_its_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*GIT_FREE, "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "gitconfig").write_text("[user]\nuseConfigOnly = true\n")
    env = {"GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"), "GIT_CONFIG_SYSTEM": os.devnull}
    done = poetry("ml", "new", "churn", "--no-install", cwd=tmp_path, env=env)
    assert "git config --global user.name" in done.stdout
    assert (tmp_path / "churn/.git").is_dir()


def test_an_outer_repository_is_respected(tmp_path: Path) -> None:
    git("init", "--quiet", cwd=tmp_path)
    done = poetry("ml", "new", "churn", "--no-install", cwd=tmp_path)
    assert "it lies in the repository" in done.stdout
    assert not (tmp_path / "churn/.git").exists()


def test_without_a_network_the_project_is_kept_and_the_way_on_is_said(tmp_path: Path) -> None:
    nowhere = {
        "POETRY_CACHE_DIR": str(tmp_path / "cache"),
        "POETRY_PYPI_MIRROR_URL": "http://127.0.0.1:9/simple/",
        "POETRY_REQUESTS_MAX_RETRIES": "0",
    }
    done = poetry("ml", "new", "churn", cwd=tmp_path, env=nowhere, code=1)
    assert "cd churn" in done.stdout
    assert "poetry install" in done.stdout
    assert "poetry ml train" in done.stdout
    assert "first commit" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert git("status", "--porcelain", cwd=tmp_path / "churn") == ""


def test_a_missing_virtualenv_is_made_by_a_verb(churn: Churn, copy: Path) -> None:
    done = poetry("ml", "predict", ROWS, cwd=copy)
    assert json.loads(done.stdout)[0]["species"] == "Chinstrap"
    assert "Installing churn first" in done.stderr
    poetry("env", "remove", "--all", cwd=copy)


def test_exit_codes_and_options_pass_through(churn: Churn) -> None:
    assert "--set KEY=VALUE" in poetry("ml", "train", "--", "--help", cwd=churn.root).stdout
    done = poetry("ml", "serve", "--nonsense", cwd=churn.root, code=2)
    assert "--nonsense" in done.stderr


def test_a_second_checkout_is_the_same_project(churn: Churn, tmp_path: Path) -> None:
    git("clone", "--quiet", str(churn.root), "again", cwd=tmp_path)
    env = {"PYTHONPATH": str(tmp_path / "again/src")}
    done = run(churn.python, "-m", "churn", "verify", cwd=tmp_path / "again", env=env)
    assert "Verified 1 artifact" in done.stdout
    shutil.rmtree(tmp_path / "again")
