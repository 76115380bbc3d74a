"""The plugin in Poetry: lazy, helpful, and never the reason why another command fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from conftest import REPOSITORY, Churn, new_environment, packages, poetry, run
from poetry.console.application import Application

from poetry_ml_plugin import commands
from poetry_ml_plugin.host import venv
from poetry_ml_plugin.plugin import MLPlugin
from poetry_ml_plugin.project import edit

ACTIVATE = """
import sys
from poetry.console.application import Application
from poetry.plugins.application_plugin import ApplicationPlugin
before = set(sys.modules)
from poetry_ml_plugin.plugin import MLPlugin
MLPlugin().activate(Application())
print(*sorted(set(sys.modules) - before))
"""


def test_activation_imports_names_only(tmp_path: Path) -> None:
    done = run(sys.executable, "-c", ACTIVATE, cwd=tmp_path)
    assert done.stdout.split() == [
        "poetry_ml_plugin",
        "poetry_ml_plugin.commands",
        "poetry_ml_plugin.deploy",
        "poetry_ml_plugin.deploy.target",
        "poetry_ml_plugin.plugin",
    ]


def test_activation_works_after_any_command_was_imported() -> None:
    for path in commands.COMMANDS.values():
        import_module(f"{commands.__name__}.{path.partition(':')[0]}")
    MLPlugin().activate(Application())


def test_ml_lists_the_commands(tmp_path: Path) -> None:
    done = poetry("ml", cwd=tmp_path)
    assert "poetry ml new" in done.stdout
    assert "Serves the model over HTTP." in done.stdout
    assert "ml new" in poetry("list", cwd=tmp_path).stdout
    assert "--no-train" in poetry("ml", "new", "--help", cwd=tmp_path).stdout
    assert "virtualenv" in poetry("ml", "train", "--help", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("trian", "poetry ml train"), ("server", "poetry ml serve"), ("zzz", 'See "poetry ml"')],
)
def test_an_unknown_command_gets_a_suggestion(tmp_path: Path, typed: str, meant: str) -> None:
    done = poetry("ml", typed, cwd=tmp_path, code=1)
    assert meant in done.stderr


@pytest.mark.parametrize(
    "module", ["commands/__init__.py", "commands/base/command.py", "errors.py"]
)
def test_a_broken_plugin_does_not_break_poetry(tmp_path: Path, module: str) -> None:
    shutil.copytree(REPOSITORY / "poetry_ml_plugin", tmp_path / "poetry_ml_plugin")
    (tmp_path / "poetry_ml_plugin" / module).write_text("import no_such_module\n")
    env = {"PYTHONPATH": str(tmp_path)}
    assert "Poetry (version" in poetry("--version", cwd=tmp_path, env=env).stdout
    done = poetry("new", "other", cwd=tmp_path, env=env)
    assert (tmp_path / "other/pyproject.toml").exists()
    if module == "commands/__init__.py":
        assert "poetry-ml-plugin failed to load: ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize(
    "words", [["train"], ["serve"], ["predict", "[]"]], ids=["train", "serve", "predict"]
)
def test_a_verb_outside_an_ml_project_says_what_to_do(tmp_path: Path, words: list[str]) -> None:
    done = poetry("ml", *words, cwd=tmp_path, code=1)
    assert done.stderr.strip().count("\n") == 0
    assert "poetry ml new NAME" in done.stderr


def test_a_corrupt_pyproject_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project\n")
    done = poetry("ml", "train", cwd=tmp_path, code=1)
    assert "Traceback" not in done.stderr
    assert "pyproject.toml" in done.stderr


def test_poetry_builds_other_projects_as_ever(tmp_path: Path) -> None:
    poetry("new", "other", cwd=tmp_path)
    poetry("build", cwd=tmp_path / "other")
    assert len(list((tmp_path / "other/dist").iterdir())) == 2


def test_execute_gives_the_process_away_where_it_can() -> None:
    given: list[object] = []

    def replace(path: str, command: list[str]) -> int:
        given.extend([path, command])
        return 7

    code = venv.execute(Path("/v/python"), ["-m", "churn"], windows=False, replace=replace)
    assert code == 7
    assert given == [str(Path("/v/python")), [str(Path("/v/python")), "-m", "churn"]]


def test_execute_waits_on_windows() -> None:
    assert venv.execute(Path(sys.executable), ["-c", "raise SystemExit(3)"], windows=True) == 3


def test_poetrys_own_virtualenv_is_not_taken_for_the_projects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    venv.leave_own()
    assert "VIRTUAL_ENV" not in os.environ
    monkeypatch.setenv("VIRTUAL_ENV", "/somewhere/else")
    venv.leave_own()
    assert os.environ["VIRTUAL_ENV"] == "/somewhere/else"


@pytest.mark.parametrize("by", ["the environment", "poetry.toml"])
def test_poetrys_own_virtualenv_is_kept_where_poetry_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """As in a container, where one environment holds Poetry and the project."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "churn"\nversion = "1"\n')
    if by == "poetry.toml":
        (tmp_path / "poetry.toml").write_text("[virtualenvs]\ncreate = false\n")
    else:
        monkeypatch.setenv("POETRY_VIRTUALENVS_CREATE", "false")
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    venv.leave_own(tmp_path)
    assert os.environ["VIRTUAL_ENV"] == sys.prefix


def test_verbs_run_in_the_environment_that_poetry_itself_is_in(
    churn: Churn, copy: Path, tmp_path: Path
) -> None:
    """Where Poetry is to make no environment, that is where it installs."""
    python = new_environment(tmp_path / "shared", "--without-pip")
    found = (packages(Path(sys.executable)), packages(churn.python))
    both = "".join(f"import site; site.addsitedir({str(path)!r})\n" for path in found)
    packages(python, "both.pth").write_text(both)
    (installed,) = packages(churn.python).glob("churn-*.dist-info")
    shutil.copytree(installed, packages(python, installed.name))
    env = {"VIRTUAL_ENV": str(tmp_path / "shared"), "POETRY_VIRTUALENVS_CREATE": "false"}
    done = run(python, "-m", "poetry", "ml", "predict", "--example", cwd=copy, env=env)
    assert "Installing" not in done.stderr
    assert json.loads(done.stdout)


def test_a_fresh_poetry_takes_the_wheel_and_lets_it_go(
    tmp_path: Path, wheel: Path, clean_python: Callable[..., Path]
) -> None:
    version = subprocess.check_output([sys.executable, "-m", "poetry", "--version"], text=True)
    number = version.split()[-1].rstrip(")")
    python = clean_python(f"poetry=={number}")
    home = {f"POETRY_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA")}
    # Poetry lets no plugin work on itself, so the simple index is named as a source of its own.
    index = os.environ["POETRY_PYPI_MIRROR_URL"]
    source = f'[[tool.poetry.source]]\nname = "simple"\nurl = "{index}"\npriority = "primary"\n'
    (tmp_path / "CONFIG").mkdir()
    (tmp_path / "CONFIG/pyproject.toml").write_text(source)

    def fresh(*words: str | Path) -> str:
        return run(python, "-m", "poetry", *words, cwd=tmp_path, env=home).stdout

    fresh("self", "add", wheel)
    fresh("ml", "new", "churn", "--no-install")
    assert (tmp_path / "churn/src/churn/models/model.py").exists()
    fresh("self", "remove", "poetry-ml-plugin")
    assert "ml new" not in fresh("list")


@pytest.mark.parametrize("end", ["\n", "\r\n", ""], ids=["LF", "CRLF", "none"])
def test_pyproject_is_amended_where_it_must_be_and_nowhere_else(tmp_path: Path, end: str) -> None:
    newline = end or "\n"
    before = f'# mine{newline}[tool.a]{newline}x = 1 # one{newline}[tool.b]{newline}y = "é"{end}'
    path = tmp_path / "pyproject.toml"
    path.write_bytes(before.encode())
    path.chmod(0o640)
    edit.amend(tmp_path, {("tool", "a", "z"): 2})
    after = before.replace(f"# one{newline}", f"# one{newline}z = 2{newline}")
    assert path.read_bytes().decode() == after
    edit.amend(tmp_path, {("tool", "a", "z"): None})
    assert path.read_bytes().decode() == before
    assert path.stat().st_mode & 0o777 == 0o640
    assert [found.name for found in tmp_path.iterdir()] == ["pyproject.toml"]
