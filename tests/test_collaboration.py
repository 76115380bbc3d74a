"""What a colleague needs: the same project from a clone, the same plugin, and files that others read."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from conftest import Churn, kept_environment, poetry, run
from test_update import git

IDENTITY = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]


def test_a_clone_installs_to_the_same_environment_data_and_artifacts(
    churn: Churn, tmp_path: Path
) -> None:
    git("clone", "--quiet", churn.root, "churn", cwd=tmp_path)
    root = tmp_path / "churn"
    env = {"POETRY_VIRTUALENVS_IN_PROJECT": "true"}
    poetry("install", cwd=root, env=env)
    python = root / ".venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    assert installed(python, root) == installed(churn.python, root)
    assert tree(root) == tree(churn.root)
    assert git("status", "--porcelain", cwd=root) == ""
    assert "Verified 1 artifact" in run(python, "-m", "churn", "verify", cwd=root).stdout
    run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=root)


def installed(python: Path, root: Path) -> dict[str, str]:
    said = run(python, "-m", "pip", "list", "--format", "json", cwd=root).stdout
    return {row["name"]: row["version"] for row in json.loads(said)}


def tree(root: Path) -> str:
    return git("ls-tree", "-r", "HEAD", cwd=root)


SAID = (
    "from pathlib import PurePosixPath as P; from poetry_ml_plugin.template import render;"
    "from poetry_ml_plugin.project.names import Names;"
    "print(render.plan(Names('churn', 'churn'), '3.12')[P('pyproject.toml')].content.decode())"
)
SAID_OF_AN_OLDER_ONE = (
    "from pathlib import Path; from poetry_ml_plugin.adopt import inspect, plan;"
    "print(plan.plan(inspect.find(Path.cwd()), '3.12').after.decode())"
)


def test_a_plugin_from_an_index_is_required_by_its_projects(tmp_path: Path, wheel: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    (tmp_path / "index").mkdir()
    shutil.copy(wheel, tmp_path / "index")
    links = ("--find-links", tmp_path / "index", "poetry-ml-plugin")
    run(*pip, "--target", tmp_path / "named", *links, cwd=tmp_path)
    run(*pip, "--target", tmp_path / "given", wheel, cwd=tmp_path)
    (tmp_path / "older").mkdir()
    (tmp_path / "older/pyproject.toml").write_text('[project]\nname = "scoring"\nversion = "1"\n')
    line = '[tool.poetry.requires-plugins]\npoetry-ml-plugin = ">='
    for place, required in (("named", True), ("given", False)):
        env = {"PYTHONPATH": str(tmp_path / place)}
        for ask in (SAID, SAID_OF_AN_OLDER_ONE):
            said = run(sys.executable, "-c", ask, cwd=tmp_path / "older", env=env).stdout
            assert (line in said) == required


@pytest.fixture(scope="module")
def validator() -> Path:
    """The folder with the commands of what checks such files."""
    try:
        return kept_environment("check-jsonschema", "pre-commit").parent
    except AssertionError:
        pytest.skip("check-jsonschema and pre-commit cannot be installed here")


def added(root: Path, what: str) -> str:
    return poetry("ml", "add", what, cwd=root).stdout


def test_ci_is_a_workflow_that_github_takes(copy: Path, validator: Path) -> None:
    git("init", "--quiet", cwd=copy)
    assert "added" in added(copy, "ci")
    workflow = copy / ".github/workflows/churn.yml"
    schema = ("--builtin-schema", "vendor.github-workflows")
    run(validator / "check-jsonschema", *schema, workflow, cwd=copy)
    assert "example" not in workflow.read_text()


def test_ci_of_a_project_in_a_sub_folder_works_there(copy: Path, validator: Path) -> None:
    git("init", "--quiet", cwd=copy.parent)
    added(copy, "ci")
    workflow = copy.parent / ".github/workflows/churn.yml"
    schema = ("--builtin-schema", "vendor.github-workflows")
    run(validator / "check-jsonschema", *schema, workflow, cwd=copy)
    for line in ("working-directory: churn/\n", "python-version-file: churn/.python-version\n"):
        assert line in workflow.read_text()
    said = poetry("ml", "add", "pre-commit", cwd=copy, code=1).stderr
    assert "one configuration for the whole repository" in said


def test_pre_commits_hooks_run(churn: Churn, copy: Path, validator: Path) -> None:
    git("init", "--quiet", cwd=copy)
    added(copy, "pre-commit")
    run(validator / "pre-commit", "validate-config", cwd=copy)
    git("add", "--all", cwd=copy)
    # What `poetry run` finds in a project that is installed here, without another installation.
    env = {"VIRTUAL_ENV": str(churn.python.parents[1]), "PYTHONPATH": str(copy / "src")}
    said = run(validator / "pre-commit", "run", "--all-files", cwd=copy, env=env).stdout
    assert said.count("Passed") == 4
    (copy / "tests/test_ugly.py").write_text("import os\nx  =  1\n")
    git("add", "--all", cwd=copy)
    only = ("run", "ruff-check", "--all-files")
    said = run(validator / "pre-commit", *only, cwd=copy, env=env, code=1).stdout
    assert "Failed" in said
    assert "import os" not in (copy / "tests/test_ugly.py").read_text()


def test_a_dev_container_is_read_as_it_is_meant(copy: Path, tmp_path: Path) -> None:
    added(copy, "devcontainer")
    path = copy / ".devcontainer/devcontainer.json"
    version = (copy / ".python-version").read_text().strip()
    assert json.loads(path.read_text())["image"].endswith(f"python:{version}")
    npm, true = shutil.which("npm"), shutil.which("true")
    if npm is None or true is None:
        pytest.skip("npm is not there to install the dev containers' own reader with")
    install = [npm, "install", "--silent", "--prefix", str(tmp_path / "npm"), "@devcontainers/cli"]
    try:
        run(*install, cwd=tmp_path)
    except AssertionError:
        pytest.skip("@devcontainers/cli cannot be installed here")
    no_docker = ("--docker-path", true)  # is asked nothing, and yet must be there
    reader = tmp_path / "npm/node_modules/.bin/devcontainer"
    said = run(
        reader, "read-configuration", "--workspace-folder", copy, *no_docker, cwd=tmp_path
    ).stdout
    read = json.loads(said.strip().splitlines()[-1])["configuration"]
    assert (read["name"], read["forwardPorts"]) == ("churn", [8000])


@pytest.mark.parametrize("what", ["ci", "pre-commit", "devcontainer"])
def test_nothing_is_written_over(copy: Path, what: str) -> None:
    git("init", "--quiet", cwd=copy)
    added(copy, what)
    (path,) = git(
        "ls-files", "--others", "--", ".github", ".pre-commit*", ".devc*", cwd=copy
    ).split()
    (copy / path).write_text("mine")
    assert "already exists" in poetry("ml", "add", what, cwd=copy, code=1).stderr
    assert (copy / path).read_text() == "mine"


def test_what_cannot_be_added_hears_what_can(copy: Path) -> None:
    said = poetry("ml", "add", "jenkins", cwd=copy, code=1).stderr
    assert "ci, pre-commit, devcontainer" in said


def test_the_default_project_has_at_most_40_files_beside_its_machinery(churn: Churn) -> None:
    files = set(git("ls-files", cwd=churn.root).split())
    own = {name for name in files if not name.startswith("src/churn/_runtime/")}
    assert len(own) <= 40
    theirs = {name for name in own if name.startswith("src/churn/") and name.endswith(".py")}
    assert {name.removeprefix("src/churn/") for name in theirs} == {
        *("__init__.py", "__main__.py", "data.py"),
        *(f"models/{name}.py" for name in ("__init__", "model", "schema", "train")),
    }
    assert not any(name.startswith((".github", ".pre-commit", ".devcontainer")) for name in files)
