"""An active environment that is not the project's: named before anything is installed into it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import new_environment, poetry
from index_server import index

from poetry_ml_plugin.host import venv

PROJECT = '[project]\nname = "mine"\nversion = "1"\nrequires-python = ">=3.11"\n'


@pytest.fixture
def active(tmp_path: Path) -> Path:
    return new_environment(tmp_path / "active", "--without-pip").parents[1]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "mine"
    root.mkdir()
    (root / "pyproject.toml").write_text(PROJECT)
    return root


def test_an_active_environment_is_foreign_unless_it_is_the_projects(
    active: Path, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    assert venv.foreign(project) is None
    monkeypatch.setenv("VIRTUAL_ENV", str(active))
    assert venv.foreign(project) == active
    assert venv.foreign(tmp_path / "new") == active
    new_environment(project / ".venv", "--without-pip")
    monkeypatch.setenv("VIRTUAL_ENV", str(project / ".venv"))
    assert venv.foreign(project) is None
    monkeypatch.setenv("VIRTUAL_ENV", str(active))
    monkeypatch.setenv("POETRY_VIRTUALENVS_CREATE", "false")
    assert venv.foreign(project) is None  # there it is what the user wants


def test_an_environment_of_conda_is_one_unless_it_is_its_base(
    active: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.setenv("CONDA_PREFIX", str(active))
    monkeypatch.setenv("CONDA_DEFAULT_ENV", "work")
    assert venv.foreign(project) == active
    with venv.without_active():
        assert venv.foreign(project) is None
    monkeypatch.setenv("CONDA_DEFAULT_ENV", "base")
    assert venv.foreign(project) is None


@pytest.mark.parametrize("words", [("new", "churn"), ("init", "--yes")], ids=["new", "init"])
def test_it_is_said_and_left_alone_if_the_user_wants_that(
    active: Path, project: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    place = project if words[0] == "init" else tmp_path
    with index({}, others=False) as variables:
        env = {**variables, "VIRTUAL_ENV": str(active)}
        said = poetry("ml", *words, cwd=place, env=env, code=1).stdout
        for path in (
            tmp_path / "churn",
            project / "src",
        ):  # what was written before the lock failed
            shutil.rmtree(path, ignore_errors=True)
        (project / "pyproject.toml").write_text(PROJECT)
        own = poetry("ml", *words, "--own-venv", cwd=place, env=env, code=1).stdout
    assert f"Poetry installs into the active virtual environment {active}" in said
    assert "add --own-venv" in said
    assert "deactivate" not in said
    assert "Poetry installs into" not in own
    assert "\n  deactivate\n" in own
