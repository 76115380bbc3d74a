"""`poetry ml check`: each check finds what it is for, says what to do, and mends what is safe."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from conftest import REPOSITORY, poetry, run

from poetry_ml_plugin import deploy
from poetry_ml_plugin.audit import checks
from poetry_ml_plugin.commands.check import every_check
from poetry_ml_plugin.host import git
from poetry_ml_plugin.project import pyproject

HEROKU = {"deploy-heroku": "warning"}
RENDER = {"deploy-render": "warning"}
EVERY_TARGET = {f"deploy-{target}": "warning" for target in deploy.TARGETS}


def replace(root: Path, name: str, old: str, new: str) -> None:
    text = (root / name).read_text()
    assert old in text
    (root / name).write_text(text.replace(old, new))


def results(root: Path) -> dict[str, checks.Result]:
    found = pyproject.read(root)
    assert found is not None
    return {result.check.id: result for result in checks.run(found, every_check())}


def not_ok(found: dict[str, checks.Result]) -> dict[str, str]:
    return {id_: result.status for id_, result in found.items() if result.status != "ok"}


def pickled(root: Path) -> None:
    """An artifact in a format that depends on the library's version."""
    path = root / "src/churn/artifacts/manifest.json"
    manifest = json.loads(path.read_text())
    (path.parent / "model.skops").write_bytes((path.parent / "model.onnx").read_bytes())
    entry = {"format": "skops", "libraries": {"scikit-learn": "1.0"}}
    manifest["artifacts"]["model.skops"] = manifest["artifacts"]["model.onnx"] | entry
    path.write_text(json.dumps(manifest))


def smoothing(root: Path) -> None:
    """A model of which the training found that it looks across rows."""
    path = root / "src/churn/artifacts/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["run"]["independent"] = False
    path.write_text(json.dumps(manifest))


def by_path(root: Path) -> None:
    """A runtime dependency that lies beside the project."""
    text = (root / "poetry.lock").read_text()
    at = text.index("[[package]]", text.index('name = "falcon"'))
    source = '[package.source]\ntype = "directory"\nurl = "../falcon"\n\n'
    (root / "poetry.lock").write_text(text[:at] + source + text[at:])


def repository(root: Path) -> None:
    """A clone with a filter for notebooks."""
    git.init(root)
    git.ask(root, "config", "filter.nbstripout.clean", "cat")


DAMAGES: list[tuple[Callable[[Path], object], dict[str, str], str]] = [
    (
        lambda root: replace(root, "pyproject.toml", "template-version", "templte-version"),
        {"settings": "warning"},
        "[tool.poetry-ml-plugin] templte-version is an unknown setting",
    ),
    (
        lambda root: (root / "src/churn/models/model.py").unlink(),
        {"layout": "error"},
        "src/churn/models/model.py is missing",
    ),
    (smoothing, {"rows": "warning"}, "depends on the other rows of a request"),
    (
        lambda root: replace(root, "pyproject.toml", 'name = "churn"', 'name = "con"'),
        {"name": "error"},
        "a reserved device name on Windows",
    ),
    (
        lambda root: replace(root, "pyproject.toml", "churn.__main__:main", "churn.other:main"),
        {"name": "warning"},
        "installs no command",
    ),
    (
        lambda root: replace(root, "pyproject.toml", '"click (>=8.1,<9)"', '"click (>=8.0,<9)"'),
        {"lock": "error"} | EVERY_TARGET,
        "poetry.lock does not match",
    ),
    (
        lambda root: (root / "poetry.lock").write_text("[[package]]\n"),
        {"lock": "error", "versions": "error"} | EVERY_TARGET,
        "poetry.lock cannot be read",
    ),
    (
        lambda root: (root / "src/churn/artifacts/model.onnx").write_bytes(b"changed"),
        {"artifacts": "error"} | EVERY_TARGET,
        "model.onnx is truncated",
    ),
    (
        pickled,
        {"versions": "error"} | EVERY_TARGET,
        "model.skops was written by scikit-learn 1.0, and poetry.lock has",
    ),
    (
        lambda root: replace(root, "pyproject.toml", ', format = ["sdist", "wheel"]', ""),
        {"packaging": "error"},
        "model.onnx would not be in the wheel",
    ),
    (
        lambda root: (root / "configs/more.yaml").write_text("password: hunter2\n"),
        {"credentials": "error"},
        "configs/more.yaml, line 1",
    ),
    (
        lambda root: replace(
            root, "pyproject.toml", 'template-version = "', 'template-version = "0.0.'
        ),
        {"template": "warning"},
        "from template 0.0.",
    ),
    (
        lambda root: (root / ".python-version").write_text("3.9\n"),
        {"python": "error"} | EVERY_TARGET,
        ".python-version names 3.9, but pyproject.toml requires",
    ),
    (
        lambda root: (root / "requirements.txt").write_text("click\n"),
        HEROKU,
        "requirements.txt conflicts",
    ),
    (
        lambda root: (root / "README.md").unlink(),
        {"packaging": "error"},
        "README.md` does not exist",
    ),
    (by_path, EVERY_TARGET, "falcon is installed from ../falcon, which is not in an image"),
    (
        lambda root: replace(root, "Procfile", " --host 0.0.0.0", ""),
        HEROKU,
        "on localhost only",
    ),
]


@pytest.mark.parametrize(
    ("damage", "expected", "said"), DAMAGES, ids=[said for *_, said in DAMAGES]
)
def test_each_check_finds_what_it_is_for_and_no_more(
    copy: Path, damage: Callable[[Path], object], expected: dict[str, str], said: str
) -> None:
    repository(copy)
    with (copy / ".gitignore").open("a") as file:
        file.write("*.onnx\n")
    damage(copy)
    found = results(copy)
    assert not_ok(found) == expected | RENDER  # which builds what git tracks
    problems = [problem for result in found.values() for problem in result.problems]
    assert any(said in problem.message for problem in problems)
    assert all(problem.hint for problem in problems)


def test_a_large_file_in_git_is_a_warning_and_one_in_lfs_is_none(copy: Path) -> None:
    repository(copy)
    (copy / "data/raw/large.bin").write_bytes(b"\0" * 51_000_000)
    run("git", "add", "--all", cwd=copy)
    assert not_ok(results(copy)) == {"sizes": "warning"}
    (copy / "data/raw/large.bin").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    run("git", "add", "data", cwd=copy)
    (copy / "data/raw/large.bin").write_bytes(b"\0" * 51_000_000)
    assert not_ok(results(copy)) == {}


def test_render_wants_the_artifacts_in_git(copy: Path) -> None:
    repository(copy)
    (copy / ".gitignore").write_text("*.onnx\n")
    run("git", "add", "--all", cwd=copy)
    (found,) = results(copy)["deploy-render"].problems
    assert found.message.startswith("git does not track src/churn/artifacts/model.onnx, and")
    run("git", "add", "--force", "src/churn/artifacts/model.onnx", cwd=copy)
    assert not_ok(results(copy)) == {}


def test_check_prints_a_table_or_json_and_ends_with_what_it_found(copy: Path) -> None:
    repository(copy)
    run("git", "add", "--all", cwd=copy)
    done = poetry("ml", "check", cwd=copy)
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["ok", check.id] for check in every_check()
    ]
    (copy / "Procfile").unlink()
    assert "warning  deploy-heroku" in poetry("ml", "check", cwd=copy / "src").stdout
    (copy / "src/churn/artifacts/model.onnx").unlink()
    done = poetry("ml", "check", "--json", cwd=copy, code=1)
    (found,) = [each for each in json.loads(done.stdout) if each["id"] == "artifacts"]
    assert found["status"] == "error"
    assert found["problems"][0]["message"] == "src/churn/artifacts/model.onnx is missing"
    assert 'Run "poetry ml train"' in found["problems"][0]["hint"]


def test_the_json_is_what_its_schema_says(copy: Path) -> None:
    schema = json.loads((REPOSITORY / "docs/reference/check.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    (copy / "Procfile").unlink()
    (copy / "src/churn/artifacts/model.onnx").write_bytes(b"")
    said = json.loads(poetry("ml", "check", "--json", cwd=copy, code=1).stdout)
    jsonschema.validate(said, schema)
    found = {each["id"]: each for each in said}
    assert found["lock"] == {
        "id": "lock",
        "title": "poetry.lock matches pyproject.toml",
        "status": "ok",
        "problems": [],
    }
    assert found["artifacts"]["status"] == "error"
    (procfile,) = [p for p in found["deploy-heroku"]["problems"] if "Procfile" in p["message"]]
    assert procfile["fixable"]
    assert procfile["severity"] == "error"
    assert procfile.keys() == {"message", "hint", "severity", "fixable"}


def test_fix_mends_what_is_safe_and_leaves_the_rest(copy: Path) -> None:
    repository(copy)
    replace(copy, "pyproject.toml", ', format = ["sdist", "wheel"]', "")
    replace(copy, "pyproject.toml", '"click (>=8.1,<9)"', '"click (>=8.0,<9)"')
    before = (copy / "pyproject.toml").read_text()
    ignored = copy / ".gitignore"
    ignored.write_bytes(b"__pycache__/\r\n*.onnx")
    (copy / "Procfile").unlink()
    (copy / ".env.local").write_text("API_KEY=abc\n")
    (copy / "build.py").write_text("raise RuntimeError")  # Poetry has a module of this name
    (copy / "configs/more.yaml").write_text("password: hunter2\n")
    script = Path(sys.executable).with_name("poetry")  # for -m has Python import from here
    done = run(script, "ml", "check", "--fix", cwd=copy, code=1)
    assert done.stderr.count("Fixed: ") == 4
    assert not_ok(results(copy)) == {"credentials": "error"} | RENDER
    assert (copy / "configs/more.yaml").read_text() == "password: hunter2\n"
    assert ignored.read_bytes().endswith(b"*.onnx\r\n/.env.local\r\n")
    changed = set((copy / "pyproject.toml").read_text().splitlines()) ^ set(before.splitlines())
    assert len(changed) == 2
    assert all("include" in line for line in changed)


def test_what_cannot_be_mended_keeps_nothing_else_from_it(copy: Path) -> None:
    repository(copy)
    replace(copy, "pyproject.toml", '"click (>=8.1,<9)"', '"click (>=99)"')
    (copy / "Procfile").unlink()
    done = poetry("ml", "check", "--fix", cwd=copy, code=1)
    assert "Not fixed: poetry.lock does not match pyproject.toml: " in done.stderr
    assert "Fixed: Procfile has no line for web" in done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines() if line[:5] == "error"] == ["lock"]


def test_checks_are_data_for_others(tmp_path: Path) -> None:
    """A deploy asks them without the console."""
    ask = "import sys; from poetry_ml_plugin.audit import checks, problems; print('cleo' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", ask], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout == "False\n"


def test_check_outside_an_ml_project_says_what_to_do(tmp_path: Path) -> None:
    assert "poetry ml new NAME" in poetry("ml", "check", cwd=tmp_path, code=1).stderr
