"""One reader of pyproject.toml, and what stands on it, over the shapes that projects have."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from conftest import Churn, poetry, run
from shapes import LEGACY_FLAT, SHAPES, STANDARD

from poetry_ml_plugin.adopt import inspect, plan
from poetry_ml_plugin.deploy import pythons
from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.project.pyproject import PyProject

ARRAY_OF_TABLES = """
[tool.poetry]
name = "tables"
version = "0.1.0"
description = "Packages as an array of tables"
authors = []

[[tool.poetry.packages]]
include = "tables"
from = "src"

[[tool.poetry.include]]
path = "CHANGELOG.md"
format = "sdist"

[tool.poetry.dependencies]
python = "^3.11"

[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""

SIX = {
    "standard": SHAPES["standard"],
    "legacy": SHAPES["legacy, flat"],
    "legacy with scripts": SHAPES["legacy groups"],
    "mixed, dynamic version": SHAPES["dynamic version"],
    "no package": SHAPES["no package"],
    "array of tables": {
        "pyproject.toml": ARRAY_OF_TABLES.lstrip(),
        "src/tables/__init__.py": "",
        "CHANGELOG.md": "1\n",
    },
}


def lay_out(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    return root


def adopted(root: Path) -> plan.Plan:
    todo = plan.plan(inspect.find(root), "3.11")
    plan.apply(todo)
    return todo


def problems(root: Path, code: int = 0) -> dict[str, list[dict[str, str]]]:
    done = poetry("ml", "check", "--json", cwd=root, code=code)
    return {each["id"]: each["problems"] for each in json.loads(done.stdout)}


# What each shape says: name, version, Pythons, scripts.
SAID: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "standard": ("forecast", "1.2.0", ">=3.10", {}),
    "legacy": ("my-legacy", "0.3.1", "^3.9", {}),
    "legacy with scripts": ("groups", "0.1.0", ">=3.8,<4.0", {"groups": "groups.cli:main"}),
    "mixed, dynamic version": ("dynamic", "0.0.0", ">=3.11,<3.15", {"dyn": "dynamic.cli:main"}),
    "no package": ("", "", "^3.10", {}),
    "array of tables": ("tables", "0.1.0", "^3.11", {}),
}


@pytest.mark.parametrize("shape", SIX)
def test_each_shape_is_read_as_poetry_reads_it(shape: str) -> None:
    toml = pyproject.parse(SIX[shape]["pyproject.toml"])
    assert (toml.name, toml.version, toml.requires_python, toml.scripts) == SAID[shape]
    assert toml.is_package == (shape != "no package")
    assert toml.is_legacy == (shape not in ("standard", "mixed, dynamic version"))


def test_groups_are_named_wherever_they_are() -> None:
    assert pyproject.parse(STANDARD).groups["main"] == {"requests", "rich", "numpy"}
    assert pyproject.parse(LEGACY_FLAT).groups["dev"] == {"pytest", "black"}
    own = pyproject.parse(SHAPES["standard groups"]["pyproject.toml"]).groups
    assert own["test"] == {"pytest"}
    assert own["dev"] == {"ruff"}


@pytest.mark.parametrize(
    "content",
    ["project = 3\n", "[tool]\npoetry = []\n", "[project]\nname = 3\nscripts = []\ndynamic = 1\n"],
    ids=["no table", "a list", "wrong types"],
)
def test_what_is_of_a_wrong_type_counts_as_left_out(content: str) -> None:
    toml = pyproject.parse(content)
    assert (toml.name, toml.version, toml.requires_python, toml.scripts) == ("", "", "", {})


@pytest.mark.parametrize("shape", SIX)
def test_check_ends_with_0_after_init(tmp_path: Path, shape: str) -> None:
    root = lay_out(tmp_path / "scoring", SIX[shape])
    run("git", "init", "--quiet", cwd=root)
    run("git", "add", "--all", cwd=root)
    poetry("ml", "init", "--yes", "--no-install", cwd=root)
    assert not (root / ".python-version").exists()
    found = problems(root)
    said = "\n".join(problem["message"] for each in found.values() for problem in each)
    assert ".python-version" not in said
    assert "cannot be" not in said
    assert found["name"] == []
    assert found["packaging"] == []


@pytest.mark.parametrize("template", ["project", "regression", "text", "image", "plain"])
def test_check_names_only_what_was_not_made(tmp_path: Path, template: str) -> None:
    poetry("ml", "new", "mine", "--template", template, "--no-install", cwd=tmp_path)
    found = problems(tmp_path / "mine")
    # Without an environment there is no lock file, no model, and no filter for notebooks.
    ours = [id_ for id_, each in found.items() if each and "deploy" not in id_]
    assert ours == ["lock", "artifacts", "notebooks"]


@pytest.mark.parametrize("shape", SIX)
def test_an_image_has_a_python_that_the_project_allows(tmp_path: Path, shape: str) -> None:
    toml = pyproject.parse(SIX[shape]["pyproject.toml"])
    chosen = pythons.fitting(toml, "3.9")
    assert toml.pythons.allows_any(
        pyproject.parse(f'[project]\nrequires-python="~={chosen}.0"').pythons
    )


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("3.12\n", "3.12"),
        ("# ours\n3.12.4\n3.11\n", "3.12.4"),
        ("cpython-3.13\n", "3.13"),
        ("", ""),
        ("# none\n", ""),
    ],
    ids=["one", "several", "implementation", "empty", "comment"],
)
def test_a_pinned_python_is_the_first_entry(text: str, version: str) -> None:
    assert pyproject.pinned_python(text) == version


def test_an_image_can_be_planned_without_a_pinned_python(copy: Path) -> None:
    (copy / ".python-version").unlink()
    assert problems(copy)["python"] == []
    poetry("ml", "deploy", "docker", "--files-only", cwd=copy)
    version = "{}.{}".format(*sys.version_info[:2])
    assert f"python:{version}-slim" in (copy / "Dockerfile").read_text()


def test_a_warning_of_a_target_says_why(copy: Path) -> None:
    (copy / "poetry.lock").unlink()
    done = poetry("ml", "check", cwd=copy)
    lines = done.stdout.splitlines()
    place = next(n for n, line in enumerate(lines) if "deploy-docker" in line)
    assert "poetry.lock is missing" in lines[place + 1]
    assert done.stdout.count("Run: poetry lock") == 1


def test_a_relative_folder_is_built_as_the_folder_itself(copy: Path) -> None:
    poetry("-C", f"{copy.parent.name}/{copy.name}", "build", cwd=copy.parents[1])
    assert len(list((copy / "dist").iterdir())) == 2


def old_lock(root: Path) -> None:
    """What Poetry 1.8 wrote: no groups, no markers."""
    lines = (root / "poetry.lock").read_text().splitlines(keepends=True)
    lines[0] = (
        "# This file is automatically @generated by Poetry 1.8.3 and should not be changed.\n"
    )
    kept = [line for line in lines if not line.startswith(("groups = ", "markers = "))]
    text = "".join(kept).replace('lock-version = "2.1"', 'lock-version = "2.0"')
    (root / "poetry.lock").write_text(text)


def test_a_lock_file_of_poetry_1_stops_no_build_and_is_named_where_it_matters(copy: Path) -> None:
    old_lock(copy)
    poetry("build", cwd=copy)
    (found,) = problems(copy)["lock"]
    assert found["message"] == "poetry.lock was written by Poetry 1.x"
    assert found["hint"] == "Run: poetry lock"
    assert found["severity"] == "warning"
    refused = poetry("ml", "deploy", "docker", cwd=copy, code=1).stderr
    assert "poetry.lock was written by Poetry 1.x. Run: poetry lock" in refused
    assert "groups" not in refused


def test_an_empty_document_says_nothing() -> None:
    toml = PyProject()
    assert not toml.is_described
    assert toml.is_package
    assert toml.groups == {"main": set(), "dev": set()}


def test_new_projects_bound_their_pythons() -> None:
    assert pyproject.requires_python("3.11") == ">=3.11.4,<3.15"
    assert pyproject.requires_python("3.13") == ">=3.13,<3.15"


def test_the_shared_project_is_as_it_should_be(churn: Churn) -> None:
    toml = pyproject.describe(churn.root)
    assert toml.name == "churn"
    assert toml.pythons.is_simple() or "<3.15" in toml.requires_python
