"""The template becomes a project, whole or not at all."""

from __future__ import annotations

import os
import sys
from pathlib import Path, PurePosixPath

import pytest

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.project.names import Names
from poetry_ml_plugin.template import render, scaffold
from poetry_ml_plugin.template.render import File

CHURN = Names("churn-rate", "churn_rate")


def text(files: dict[PurePosixPath, File], name: str) -> str:
    return files[PurePosixPath(name)].content.decode()


def test_no_word_of_the_template_remains() -> None:
    for name, file in render.plan(CHURN, "3.12").items():
        assert "example_model" not in str(name)
        for word in (b"example_model", b"example-model", b"EXAMPLE_MODEL"):
            assert word not in file.content, name


def test_a_project_has_the_layout_and_at_most_40_files_beside_its_machinery() -> None:
    files = render.plan(CHURN, "3.12")
    assert len([name for name in files if "_runtime" not in name.parts]) <= 40
    folders = {str(parent) for name in files for parent in name.parents}
    package = "src/churn_rate"
    assert folders >= {
        *("build", "configs", "notebooks", "reports/figures", "static", "tests"),
        *("data/raw", "data/interim", "data/processed", "data/external"),
        *(f"{package}/models", f"{package}/_runtime/service"),  # artifacts/ comes with the training
    }


def test_the_interpreter_is_named_where_it_counts() -> None:
    files = render.plan(CHURN, "3.12")
    assert text(files, ".python-version") == "3.12\n"
    assert 'requires-python = ">=3.12,<3.15"' in text(files, "pyproject.toml")
    assert "Python 3.12 or newer" in text(files, "README.md")


def test_a_description_is_put_where_it_is_read() -> None:
    files = render.plan(CHURN, "3.12", 'Says "who"\nleaves')
    assert r'description = "Says \"who\" leaves"' in text(files, "pyproject.toml")
    assert '\nSays "who" leaves\n' in text(files, "README.md")


def test_comments_of_the_template_stay() -> None:
    assert "# The trained artifacts travel" in text(render.plan(CHURN, "3.12"), "pyproject.toml")


def test_training_the_template_in_place_does_not_reach_new_projects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = tmp_path / "project"
    scaffold.write(render.plan(render.TEMPLATE, "3.12"), template)
    for name in ("src/example_model/artifacts/model.onnx", "poetry.lock", ".venv/bin/python"):
        (template / name).parent.mkdir(parents=True, exist_ok=True)
        (template / name).write_text("left over")
    before = render.plan(CHURN, "3.12").keys()
    monkeypatch.setattr(render, "template_dir", lambda: template)
    assert render.plan(CHURN, "3.12").keys() == before


def test_write_makes_just_these_files(tmp_path: Path) -> None:
    scaffold.write(
        {PurePosixPath("a/b"): File(b"x"), PurePosixPath("c"): File(b"", True)}, tmp_path / "new"
    )
    assert (tmp_path / "new/a/b").read_bytes() == b"x"
    assert (tmp_path / "new/c").stat().st_mode & 0o100 or sys.platform == "win32"
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_write_fills_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    before = (tmp_path / "new").stat()
    scaffold.write({PurePosixPath("a"): File(b"x"), render.PYPROJECT: File(b"")}, tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"a", "pyproject.toml"}
    assert os.path.samestat((tmp_path / "new").stat(), before)  # a shell that is in it stays there


def test_write_refuses_a_folder_with_something_in_it(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(MLError, match="not empty"):
        scaffold.write({PurePosixPath("a"): File(b"x")}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_write_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(MLError, match=r"mine is a file"):
        scaffold.write({PurePosixPath("a"): File(b"x")}, tmp_path / "mine/a/b")
    with pytest.raises(MLError, match=r"mine is a file"):
        scaffold.write({PurePosixPath("a"): File(b"x")}, tmp_path / "mine")


def test_a_failure_half_way_leaves_nothing(tmp_path: Path) -> None:
    files = {PurePosixPath("a"): File(b"x"), PurePosixPath("a/b"): File(b"y")}  # a is both
    with pytest.raises(MLError, match="cannot be written"):
        scaffold.write(files, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc, where nobody may write")
def test_a_read_only_place_is_named() -> None:
    with pytest.raises(MLError, match=r"/proc/churn cannot be written"):
        scaffold.write({PurePosixPath("a"): File(b"x")}, Path("/proc/churn"))


def test_find_looks_upwards(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.poetry-ml-plugin]\npackage = "churn"\n')
    (tmp_path / "a/b").mkdir(parents=True)
    found = pyproject.find(tmp_path / "a/b")
    assert found == pyproject.Project(tmp_path, "churn")
    assert found.artifacts_dir == tmp_path / "src/churn/artifacts"


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        (None, "poetry ml new NAME"),
        ("[project]\nname = 'x'\n", "is not an ML project"),
        ("[project", "pyproject.toml cannot be read"),
        ("[tool.poetry-ml-plugin]\n", 'needs a line like package = "churn"'),
        ("[tool.poetry-ml-plugin]\npackage = 'a; rm'\n", 'needs a line like package = "churn"'),
        ("tool.poetry-ml-plugin = 3\n", 'needs a line like package = "churn"'),
    ],
    ids=["no project", "no table", "broken TOML", "empty table", "no package name", "no tables"],
)
def test_what_is_no_ml_project_is_told_what_to_do(
    tmp_path: Path, toml: str | None, said: str
) -> None:
    if toml is not None:
        (tmp_path / "pyproject.toml").write_text(toml)
    with pytest.raises(MLError) as refusal:
        pyproject.find(tmp_path)
    assert said in str(refusal.value)
