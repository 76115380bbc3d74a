"""The documentation builds, is true, and points at what exists."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import yaml  # type: ignore[import-untyped]
from conftest import REPOSITORY, Churn, poetry, run

from poetry_ml_plugin.project.pyproject import KEYS
from poetry_ml_plugin.template import find

DOCS = REPOSITORY / "docs"
WORKFLOWS = REPOSITORY / ".github" / "workflows"
PROJECT = REPOSITORY / "templates" / "project"
URL = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
GUIDES = ("ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def test_sphinx_builds_without_a_warning(tmp_path: Path) -> None:
    options = ("-W", "-n", "-q", "--keep-going", "-b", "html", "-d", tmp_path / "doctrees")
    run(sys.executable, "-m", "sphinx", *options, DOCS, tmp_path / "html", cwd=REPOSITORY)
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    built = {path.relative_to(tmp_path / "html") for path in (tmp_path / "html").rglob("*.html")}
    assert pages <= built


def test_the_command_reference_is_what_the_commands_say() -> None:
    committed = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    stale = "docs/reference/commands.md is stale. Run: python docs/generate.py"
    assert committed == generator().render(), stale


def generator() -> ModuleType:
    spec = util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_help_of_the_project_commands_is_what_they_print(
    churn: Churn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = (DOCS / "reference" / "project-commands.md").read_text()
    shown = re.findall(r"```console\n\$ python -m churn (\w+) --help\n(.*?)```", text, re.DOTALL)
    listed = churn.verb("--help").stdout.partition("Commands:\n")[2]
    assert sorted(verb for verb, _ in shown) == re.findall(r"^  (\w+)", listed, re.MULTILINE)
    for verb, said in shown:
        assert churn.verb(verb, "--help").stdout == said


@pytest.mark.parametrize("name", ["serve", "train"])
def test_the_settings_page_has_every_key_with_its_value(name: str) -> None:
    written = yaml.safe_load((PROJECT / "configs" / f"{name}.yaml").read_text())
    shown = settings(f"## configs/{name}.yaml")
    assert list(shown) == list(written)
    for key, value in written.items():
        assert yaml.safe_load(shown[key] or '""') == value, key


def test_the_settings_page_has_every_key_of_the_plugins_section() -> None:
    assert sorted(settings("## [tool.poetry-ml-plugin]")) == sorted(KEYS)


def settings(heading: str) -> dict[str, str]:
    """The first two columns of the first table below a heading of the settings page."""
    page = (DOCS / "reference" / "settings.md").read_text()
    table = page.partition(f"{heading}\n")[2].partition("\n|---")[2].partition("\n\n")[0]
    rows = [[cell.strip().strip("`") for cell in row.split("|")] for row in table.splitlines()[1:]]
    return {row[1]: row[2] for row in rows}


def test_the_guide_to_templates_has_every_one() -> None:
    text = (DOCS / "how-to" / "own-template.md").read_text()
    assert re.findall(r"^\| `(\w+)`", text, re.MULTILINE) == list(find.SHIPPED)


def test_a_trained_manifest_fits_its_schema(churn: Churn) -> None:
    manifest = json.loads((churn.root / "src/churn/artifacts/manifest.json").read_text())
    schema = json.loads((DOCS / "reference" / "manifest.schema.json").read_text())
    jsonschema.validate(manifest, schema)
    known = schema["properties"]
    assert manifest.keys() == known.keys() - {"adopted"}  # which only an adopted model has
    assert manifest["run"].keys() == known["run"]["properties"].keys()
    for entry in manifest["artifacts"].values():
        assert entry.keys() == known["artifacts"]["additionalProperties"]["properties"].keys()


def test_what_check_prints_as_json_fits_its_schema(copy: Path) -> None:
    (copy / "src/churn/artifacts/model.onnx").unlink()
    schema = json.loads((DOCS / "reference" / "check.schema.json").read_text())
    printed = json.loads(poetry("ml", "check", "--json", cwd=copy, code=1).stdout)
    jsonschema.validate(printed, schema)
    assert any(check["problems"] for check in printed)
    assert not any(check["problems"] for check in printed if check["status"] == "ok")


@pytest.mark.parametrize("page", ["reference/manifest.md", "reference/check.md"])
def test_an_example_in_the_reference_fits_its_schema(page: str) -> None:
    text = (DOCS / page).read_text()
    schema = json.loads((DOCS / page).with_suffix(".schema.json").read_text())
    (example,) = re.findall(r"```\w+\n(?:\$ .*\n)?([\[{]\n.*?)```", text, re.DOTALL)
    jsonschema.validate(json.loads(example), schema)


def test_the_tutorial_ends_with_a_model_of_the_readers_data(churn: Churn, copy: Path) -> None:
    text = (DOCS / "tutorial" / "index.md").read_text()
    files = written_files(text)
    models = {f"src/churn/models/{name}.py" for name in ("schema", "model", "train")}
    assert {*models, "configs/train.yaml"} <= files.keys()
    (read,) = re.findall(r"def read.*\n( +return .*)\n", text)
    assert read in (copy / "src/churn/data.py").read_text()
    for name, content in files.items():
        (copy / name).write_text(content)
    (copy / "data/raw/penguins.csv").unlink()
    (copy / "data/raw/customers.csv").write_bytes((DOCS / "tutorial/customers.csv").read_bytes())

    first, *_, metrics, where, since = churn.verb("train", cwd=copy).stdout.splitlines()
    assert {first, metrics, where} <= {*text.splitlines()}
    assert without_time(since) in without_time(text)
    assert metrics in churn.verb("evaluate", cwd=copy).stdout
    predicted = json.loads(churn.verb("predict", "--example", cwd=copy).stdout)
    assert [prediction["churned"] for prediction in predicted] == ["yes", "no"]
    odd = '[{"contract": "three years", "months": 3, "support_calls": 0, "paperless": true}]'
    assert odd in text
    assert churn.verb("predict", odd, cwd=copy, code=1).stderr in text
    scored = churn.verb("predict", "data/raw/customers.csv", cwd=copy).stdout.splitlines()
    assert len(scored) == 801
    env = {"PYTHONPATH": str(copy / "src")}
    run(
        churn.python, "-m", "pytest", "-q", "tests", cwd=copy, env=env
    )  # ours among them, as they came
    run(churn.python, "-m", "ruff", "check", "src", "tests", cwd=copy)


def without_time(text: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", text)


def written_files(text: str) -> dict[str, str]:
    """The files that a page has its reader write: a path, a colon, and a block."""
    block = re.compile(r"^`([\w/.]+)`:\n\n```\w+\n(.*?)```", re.MULTILINE | re.DOTALL)
    return dict(block.findall(text))


def test_the_target_of_the_guide_deploys_and_is_checked(copy: Path, tmp_path: Path) -> None:
    text = (DOCS / "how-to" / "own-target.md").read_text()
    files = written_files(text)
    site = tmp_path / "site"
    (site / "poetry_ml_ftp").mkdir(parents=True)
    for name, content in files.items():
        (site / name).write_text(content)
    declared = tomllib.loads(files["pyproject.toml"])["project"]
    info = site / "poetry_ml_ftp-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {declared['name']}\nVersion: 0.1.0\n"
    )
    ((group, entries),) = declared["entry-points"].items()
    lines = [f"{name} = {where}" for name, where in entries.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
    env = {"PYTHONPATH": str(site)}

    assert "ftp" in poetry("ml", "deploy", "--list", cwd=copy, env=env).stdout
    assert poetry("ml", "deploy", "ftp", cwd=copy, env=env).stdout == "Uploaded.\n"
    assert poetry("ml", "deploy", "ftp", "status", cwd=copy, env=env).stdout == "churn 0.1.0\n"
    checks = json.loads(poetry("ml", "check", "--json", cwd=copy, env=env).stdout)
    (found,) = (check for check in checks if check["id"] == "deploy-ftp")
    assert [problem["message"] for problem in found["problems"]] == ["FTP_HOST is not set"]


def test_the_format_of_the_guide_saves_and_loads(churn: Churn, copy: Path) -> None:
    text = (DOCS / "how-to" / "own-format.md").read_text()
    (code,) = (
        block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "FORMATS" in block
    )
    (copy / "src/churn/models/arrays.py").write_text(code)
    save = "manifest.save('centroids.npy', np.arange(3)); print(manifest.load('centroids.npy'))"
    script = f"import numpy as np; from churn import manifest; import churn.models.arrays; {save}"
    env = {"PYTHONPATH": str(copy / "src")}
    assert run(churn.python, "-c", script, cwd=copy, env=env).stdout == "[0 1 2]\n"


def test_every_link_of_the_readme_works_on_a_package_index_too() -> None:
    links = LINK.findall((REPOSITORY / "README.md").read_text())
    assert links
    for link in links:
        assert link.startswith("https://"), link
    ours = [link for link in links if link.startswith(URL)]
    assert len(ours) > len(links) / 2
    for link in ours:
        path = re.fullmatch(re.escape(URL) + r"/(?:blob|raw|tree)/main/([^#]+)(#.*)?", link)
        assert path, link
        assert (REPOSITORY / path[1]).exists(), link


@pytest.mark.parametrize("name", [*GUIDES, "CHANGELOG.md", "benchmarks/README.md"])
def test_files_that_a_guide_links_to_exist(name: str) -> None:
    guide = REPOSITORY / name
    for link in LINK.findall(guide.read_text()):
        if not link.startswith("https://"):
            assert (guide.parent / link.partition("#")[0]).exists(), link


def test_links_from_the_documentation_into_the_repository_exist() -> None:
    for page in DOCS.rglob("*.md"):
        for path in re.findall(
            re.escape(URL) + r"/(?:blob|raw|tree)/main/([^)#\s]+)", page.read_text()
        ):
            assert (REPOSITORY / path).exists(), f"{page}: {path}"


@pytest.mark.parametrize("name", GUIDES)
def test_paths_that_a_guide_names_exist(name: str) -> None:
    text = re.sub(r"```.*?```", "", (REPOSITORY / name).read_text(), flags=re.DOTALL)
    tops = "poetry_ml_plugin|templates|tests|docs|benchmarks|.github"
    for path in re.findall(rf"`((?:{tops})/[\w./-]*)`", text):
        assert (REPOSITORY / path).exists(), path


def test_contributing_has_a_recipe_of_three_steps_for_each_of_ten_changes() -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    recipes = text.partition("\n## Recipes\n")[2].partition("\n## ")[0].split("\n### ")[1:]
    assert len(recipes) == 10
    for recipe in recipes:
        assert len(re.findall(r"^\d\. ", recipe, re.MULTILINE)) == 3, recipe.splitlines()[0]


def test_the_test_workflow_runs_dev_py_alone_on_every_system_and_python() -> None:
    workflow = parsed("test")
    job = workflow["jobs"]["test"]
    matrix = job["strategy"]["matrix"]
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert [step["run"] for step in job["steps"] if "run" in step] == ["python dev.py test"]


def test_the_release_workflow_publishes_what_a_tag_names_by_trusted_publishing() -> None:
    workflow = parsed("release")
    assert workflow[True] == {"push": {"tags": ["v*"]}}  # YAML reads the key "on" as true
    publish = workflow["jobs"]["publish"]
    assert set(publish["needs"]) == {"test", "build"}
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"] == "pypi"
    assert publish["steps"][-1]["uses"].startswith("pypa/gh-action-pypi-publish@")
    assert "password" not in (WORKFLOWS / "release.yml").read_text()


@pytest.mark.skipif(os.name == "nt", reason="the step runs in a shell of Linux")
def test_the_release_workflow_refuses_a_tag_that_is_not_the_version() -> None:
    steps = parsed("release")["jobs"]["build"]["steps"]
    (script,) = (step["run"] for step in steps if "tag" in step.get("name", ""))
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    for tag, code in ((f"v{version}", 0), (version, 1), (f"v{version}.1", 1)):
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        env = {**os.environ, "PATH": path, "GITHUB_REF_NAME": tag}
        done = subprocess.run(["bash", "-e", "-c", script], cwd=REPOSITORY, env=env, check=False)
        assert done.returncode == code, tag


@pytest.mark.parametrize("name", ["test", "release"])
def test_actions_are_pinned_to_a_major_version(name: str) -> None:
    actions = [use for use in uses(parsed(name)) if not use.startswith("./")]
    assert actions
    for action in actions:
        assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", action), action


def parsed(name: str) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load((WORKFLOWS / f"{name}.yml").read_text())
    return found


def uses(workflow: dict[Any, Any]) -> Iterator[str]:
    for job in workflow["jobs"].values():
        for part in (job, *job.get("steps", [])):
            if "uses" in part:
                yield part["uses"]
