"""`poetry ml add torch`: the index and the dependency of one build, which Poetry reads as they are meant."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path, PurePosixPath

import pytest
from conftest import poetry
from poetry.factory import Factory

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import torch
from poetry_ml_plugin.project.names import Names
from poetry_ml_plugin.template import render


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a new project's pyproject.toml and README."""
    files = render.plan(Names("churn", "churn"), "3.11")
    for name in ("pyproject.toml", "README.md"):
        (tmp_path / name).write_bytes(files[PurePosixPath(name)].content)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "build"),
    [
        (["--cpu"], "cpu"),
        (["--cuda", "cu126"], "cu126"),
        (["--cuda", "12.6"], "cu126"),
        (["--cuda=cu128"], "cu128"),
    ],
    ids=" ".join,
)
def test_the_build_is_taken_from_its_own_index(root: Path, words: list[str], build: str) -> None:
    before = (root / "pyproject.toml").read_text()
    said = poetry("ml", "add", "torch", *words, cwd=root).stdout
    assert f"torch ({build}) to the group train" in said
    assert "poetry lock" in said
    text = (root / "pyproject.toml").read_text()
    assert [line for line in before.splitlines() if line not in text.splitlines()] == []
    found = Factory().create_poetry(root)
    by_system = {
        str(each.marker): each.source_name
        for each in found.package.all_requires
        if each.name == "torch"
    }
    assert by_system == {
        'sys_platform != "darwin"': f"pytorch-{build}",
        'sys_platform == "darwin"': None,
    }
    (source,) = [each for each in found.get_sources() if each.name == f"pytorch-{build}"]
    assert source.url == f"https://download.pytorch.org/whl/{build}"
    assert source.priority.name == "EXPLICIT"  # so nothing else is looked for there
    poetry("check", cwd=root)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["torch"], "Say which build of PyTorch to add"),
        (["torch", "--cpu", "--cuda", "cu126"], "Say which build of PyTorch to add"),
        (["torch", "--cuda", "newest"], '"newest" is not a version of CUDA'),
        (["ci", "--cpu"], "--cpu and --cuda go with torch"),
        (["jax"], 'Cannot add "jax"'),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_cannot_be_added_changes_nothing(root: Path, words: list[str], said: str) -> None:
    before = (root / "pyproject.toml").read_bytes()
    assert said in poetry("ml", "add", *words, cwd=root, code=1).stderr
    assert (root / "pyproject.toml").read_bytes() == before


def test_another_build_needs_the_first_one_removed(root: Path) -> None:
    torch.add(root, "cpu")
    with pytest.raises(MLError, match="poetry remove torch --group train"):
        torch.add(root, "cu126")


@pytest.mark.parametrize(
    "source",
    [
        '\n[[tool.poetry.source]]\nname = "ours"\nurl = "https://acme.io/simple"\npriority = "supplemental"\n',
        "",
    ],
    ids=["beside another", "alone"],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["unix", "windows"])
def test_what_is_there_stays(root: Path, source: str, ends: str) -> None:
    path = root / "pyproject.toml"
    path.write_bytes((path.read_text() + source).replace("\n", ends).encode())
    before = tomllib.loads(path.read_text())
    torch.add(root, "cpu")
    content = path.read_bytes().decode()
    assert content.count("\r\n") == (content.count("\n") if ends == "\r\n" else 0)
    after = tomllib.loads(content)
    known = before["tool"]["poetry"].get("source", [])
    assert after["tool"]["poetry"]["source"][: len(known)] == known
    assert len(after["tool"]["poetry"]["source"]) == len(known) + 1
    del after["tool"]["poetry"]["source"]
    before["tool"]["poetry"].pop("source", None)
    del after["tool"]["poetry"]["group"]["train"]["dependencies"]["torch"]
    assert after == before


@pytest.mark.parametrize("wanted", ["lightgbm", "xgboost-cpu>=2,<3.1"], ids=["LightGBM", "XGBoost"])
def test_what_models_use_can_be_added_to_a_fresh_project(copy: Path, wanted: str) -> None:
    """The project's Pythons have both bounds, which libraries ask for."""
    before = (copy / "poetry.lock").read_text()
    poetry("add", "--lock", wanted, cwd=copy)
    name = re.split("[@>]", wanted)[0]
    assert f'name = "{name}"' in (copy / "poetry.lock").read_text()
    assert (copy / "poetry.lock").read_text() != before
