"""What stays behind is said before it is missed: modules, libraries, code newer than the model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Churn, Once, poetry, run
from test_checks import not_ok, replace, results

from poetry_ml_plugin.build import contents, proof
from poetry_ml_plugin.deploy.container import docker
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.project.names import Names
from poetry_ml_plugin.template import find, render

MODEL = "src/churn/models/model.py"
AUTHOR = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Ann"), ("EMAIL", "ann@example.org"))
}


@pytest.fixture
def installed(churn: Churn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copies are built with the shared project's environment."""
    monkeypatch.setenv("VIRTUAL_ENV", str(churn.python.parents[1]))


def globally_ignored(root: Path, *lines: str) -> dict[str, str]:
    """The variables of a user whose own git ignores these."""
    excludes = root.parent / "excludes"
    excludes.write_text("".join(f"{line}\n" for line in lines))
    config = root.parent / "gitconfig"
    config.write_text(f"[core]\n\texcludesFile = {excludes}\n")
    return {"GIT_CONFIG_GLOBAL": str(config)}


def ignore(root: Path, *lines: str) -> dict[str, str]:
    with (root / ".gitignore").open("a") as file:
        file.writelines(f"{line}\n" for line in lines)
    return {}


def ignore_for_oneself(root: Path, *lines: str) -> dict[str, str]:
    (root / ".git/info/exclude").write_text("".join(f"{line}\n" for line in lines))
    return {}


@pytest.mark.parametrize(
    ("ignoring", "source"),
    [
        (ignore, ".gitignore"),
        (ignore_for_oneself, ".git/info/exclude"),
        (globally_ignored, "excludes"),
    ],
    ids=["gitignore", "info/exclude", "global"],
)
@pytest.mark.parametrize("folder", ["models", "lib", "static"])
def test_a_module_that_git_ignores_is_named_with_the_rule(
    copy: Path,
    monkeypatch: pytest.MonkeyPatch,
    ignoring: Callable[..., dict[str, str]],
    source: str,
    folder: str,
) -> None:
    """What the package does not import may stay behind."""
    for name in ("lib", "static"):
        (copy / "src/churn" / name).mkdir(exist_ok=True)
        (copy / "src/churn" / name / "__init__.py").write_text("")
    with (copy / MODEL).open("a") as file:
        file.write("\n\nfrom churn import static\n\nfrom ..lib import __doc__ as lib\n")
    run("git", "init", "--quiet", cwd=copy)
    for name, value in ignoring(copy, f"{folder}/").items():
        monkeypatch.setenv(name, value)
    project = pyproject.read(copy)
    assert project is not None
    (found,) = contents.before(project)
    assert f"src/churn/{folder}/__init__.py" in found.message
    assert f'would not be in the wheel and the sdist: "{folder}/" in ' in found.message
    assert source in found.message
    assert "git add --force src/churn/" in found.hint
    run("git", "add", "--force", f"src/churn/{folder}", cwd=copy)
    assert contents.before(project) == []


def test_a_package_without_its_modules_is_not_built(copy: Path) -> None:
    run("git", "init", "--quiet", cwd=copy)
    env = {**globally_ignored(copy, "models/"), "POETRY_VIRTUALENVS_CREATE": "false"}
    said = poetry("build", cwd=copy, code=1, env=env).stderr
    assert f"{MODEL}, " in said
    assert 'would not be in the wheel and the sdist: "models/" in ' in said
    assert not (copy / "dist").exists()
    run("git", "add", "--force", "src/churn/models", cwd=copy)
    poetry("build", cwd=copy, env=env)


def test_a_module_that_pyproject_excludes_is_named(copy: Path) -> None:
    path = copy / "pyproject.toml"
    excluded = '[tool.poetry]\nexclude = ["src/churn/models/schema.py"]'
    path.write_text(path.read_text().replace("[tool.poetry]", excluded, 1))
    (found,) = results(copy)["code"].problems
    assert "schema.py, which the package imports, would not be in the wheel" in found.message
    assert "exclude of [tool.poetry]" in found.hint


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("def (", "is not valid Python: invalid syntax"),
        ("from . import = 3", "is not valid Python: invalid syntax"),
        ("from .helpers import scale", "imports churn.models.helpers, which does not exist"),
        ("import churn.features.dates", "imports churn.features.dates, which does not exist"),
        ("from churn.features import dates", "imports churn.features, which does not exist"),
    ],
)
def test_code_that_cannot_be_imported_is_neither_built_nor_deployed(
    copy: Path, line: str, said: str
) -> None:
    number = len((copy / MODEL).read_text().splitlines()) + 1
    with (copy / MODEL).open("a") as file:
        file.write(f"{line}\n")
    refused = f"{MODEL}, line {number}, {said}"
    project = pyproject.read(copy)
    assert project is not None
    assert refused in [problem.message for problem in contents.before(project)]
    with pytest.raises(MLError, match="The image was not built") as error:
        docker.verify(project)
    assert refused in str(error.value)
    assert not_ok(results(copy))["code"] == "error"


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    from . import faster\nexcept ImportError:\n    faster = None\n",
        "def later():\n    from .elsewhere import thing\n    return thing\n",
        "from churn import config\n",
        "import churn\n",
    ],
    ids=["tried", "late", "a name of the package", "the package"],
)
def test_what_may_be_absent_is_no_fault(copy: Path, text: str) -> None:
    with (copy / MODEL).open("a") as file:
        file.write(text)
    assert results(copy)["code"].problems == ()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "import pandas",
            "imports pandas (churn/models/model.py, line 1), which is installed by no runtime "
            'dependency. Run "poetry add pandas"',
        ),
        ("from sklearn import base", 'Run "poetry add scikit-learn"'),
        ("import nowhere_to_be_found", "No module named 'nowhere_to_be_found'"),
        ("from . import nothing", "ImportError: cannot import name 'nothing' from 'churn.models'"),
        ("raise ValueError('at import')", "ValueError: at import"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import os; os.abort()", "could not be imported to check it: Python ended with -6"),
    ],
    ids=["pandas", "sklearn", "unknown", "own", "raises", "exits", "aborts"],
)
def test_a_wheel_that_cannot_be_imported_is_not_left(
    copy: Path, installed: None, line: str, said: str
) -> None:
    (copy / MODEL).write_text(f"{line}\n{(copy / MODEL).read_text()}")
    refused = poetry("build", cwd=copy, code=1).stderr
    assert said in refused
    assert "/tmp" not in refused
    assert list((copy / "dist").iterdir()) == []


def test_what_a_module_prints_disturbs_no_proof(copy: Path, installed: None) -> None:
    with (copy / MODEL).open("a") as file:
        file.write('import os\nos.write(1, b"[1]")\nprint("[2]")\n')
    said = poetry("build", cwd=copy).stderr
    assert f"{MODEL} changed since the model was trained" in said
    assert len(list((copy / "dist").iterdir())) == 2


def test_without_an_environment_the_build_says_what_is_not_proved(copy: Path) -> None:
    env = {"POETRY_VIRTUALENVS_CREATE": "false"}
    said = poetry("build", cwd=copy, env=env).stderr
    assert "not tried whether it can be imported, since the project is not installed" in said
    assert len(list((copy / "dist").iterdir())) == 2


@pytest.mark.parametrize("template", list(find.SHIPPED))
def test_the_machinery_is_imported_with_the_runtime_dependencies_alone(
    churn: Churn, tmp_path: Path, template: str
) -> None:
    files = render.plan(
        Names("churn", "churn"), "3.11", None, find.get(template, tmp_path, tmp_path)
    )
    for path, file in files.items():
        if path.parts[:2] == ("src", "churn"):
            target = tmp_path.joinpath(*path.parts[1:])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.content)
    toml = pyproject.parse(files[render.PYPROJECT].content)
    asked = {
        "package": "churn",
        "folder": str(tmp_path),
        "answer": str(tmp_path / "answer.json"),
        "runtime": sorted(toml.groups["main"] | {"packaging"}),
        "modules": proof.SERVED,
        "signature": True,
    }
    run(churn.python, "-I", "-c", proof.SCRIPT, cwd=tmp_path, text=json.dumps(asked))
    assert json.loads((tmp_path / "answer.json").read_text()) == []


def change(root: Path, text: str) -> None:
    path = root / MODEL
    path.write_text(text + path.read_text())


def test_code_that_changed_since_the_training_is_a_warning_or_with_strict_an_error(
    copy: Path,
) -> None:
    change(copy, "# A comment, and another docstring.\n")
    replace(copy, MODEL, "How the model predicts.", "How it predicts.")
    assert "trained-code" not in not_ok(results(copy))
    change(copy, "HALF = 0.5\n")
    said = poetry("ml", "check", cwd=copy)
    assert f"{MODEL} changed since the model was trained" in said.stdout
    strict = poetry("ml", "check", "--strict", "--json", cwd=copy, code=1).stdout
    (found,) = [each for each in json.loads(strict) if each["status"] == "error"]
    assert (found["id"], found["problems"][0]["severity"]) == ("trained-code", "error")
    env = {"POETRY_VIRTUALENVS_CREATE": "false"}
    assert f"{MODEL} changed since" in poetry("build", cwd=copy, env=env).stderr
    for target in ("docker", "heroku"):
        words = ("ml", "deploy", target, "--strict")
        assert f"{MODEL} changed since" in poetry(*words, cwd=copy, code=1).stderr
    path = copy / "pyproject.toml"
    line = "[tool.poetry-ml-plugin]\n"
    path.write_text(path.read_text().replace(line, f"{line}strict = true\n", 1))
    refused = poetry("build", cwd=copy, env=env, code=1).stderr
    assert f"The package was not built. Fix these problems first:\n  - {MODEL} changed" in refused
    train = copy / "src/churn/models/train.py"
    train.unlink()
    (found,) = results(copy)["trained-code"].problems[1:]
    assert found.message == "src/churn/models/train.py was removed since the model was trained"


@pytest.fixture(scope="module")
def skops(churn: Churn, once: Once) -> Path:
    """A copy of the shared project with a model that ONNX does not predict the same."""

    def make(folder: Path) -> dict[str, str]:
        target = folder / "churn"
        shutil.copytree(churn.root, target, ignore=shutil.ignore_patterns(".git", "dist"))
        churn.verb("train", "--set", "tolerance=1e-12", cwd=target)
        return {"root": str(target)}

    return Path(once("skops", make)["root"])


def test_a_model_that_needs_the_training_libraries_has_them_at_runtime(skops: Path) -> None:
    found = results(skops)
    (problem,) = found["dependencies"].problems
    assert "model.skops needs " in problem.message
    assert "which are not runtime dependencies" in problem.message
    assert problem.hint.startswith("Run: poetry add ")
    assert {"scikit-learn", "skops", "pandas"} == set(problem.hint.split()[3:])
    assert found["deploy-docker"].status == "warning"
    said = poetry("build", cwd=skops, code=1).stderr
    assert f"{problem.message}. {problem.hint}" in said


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("*\n!src\n", False),
        ("*\n!src\n**/models\n", True),
        ("*\n!src\nsrc/*/models/\n", True),
        ("# src\nsrc/churn/models\n!src/churn/models/model.py\n", False),
        ("**/*.py\n", True),
        ("/src/churn/model?\n", True),
        ("models\n", False),  # which is one at the root only
    ],
    ids=["let in", "a folder", "a path", "but one", "a suffix", "one letter", "elsewhere"],
)
def test_a_dockerignore_is_read_as_builders_do(text: str, left_out: bool) -> None:
    assert docker.ignored(text, MODEL) is left_out


def test_an_image_has_every_module(copy: Path) -> None:
    project = pyproject.read(copy)
    assert project is not None
    assert docker.left_behind(project) == []
    (copy / ".dockerignore").write_text("*\n!src\n**/models\n")
    said = poetry("ml", "deploy", "docker", cwd=copy, code=1).stderr
    assert f"{MODEL}, which the package imports, would not be in the image" in said


def test_a_module_that_git_does_not_track_is_not_sent_to_heroku(copy: Path) -> None:
    (copy / "src/churn/late.py").write_text("")
    with (copy / MODEL).open("a") as file:
        file.write("\n\nfrom .. import late\n")
    run("git", "init", "--quiet", cwd=copy)
    run("git", "add", "--all", cwd=copy)
    run("git", "rm", "--quiet", "--cached", "src/churn/late.py", cwd=copy)
    said = poetry("ml", "deploy", "heroku", "--dry-run", cwd=copy, code=1).stderr
    assert "src/churn/late.py, which the package imports, is not sent" in said
    assert "Run: git add src/churn/late.py" in said
    ignore(copy, "late.py")
    said = poetry("ml", "deploy", "heroku", "--dry-run", cwd=copy, code=1).stderr
    assert 'would not be sent: "late.py" in .gitignore, line' in said


def test_the_first_commit_has_all_that_was_written(tmp_path: Path) -> None:
    rules = ("models/", "*.toml", "data/", "Procfile", "*.lock", "notebooks/")
    env = AUTHOR | globally_ignored(tmp_path / "churn", *rules)
    poetry("ml", "new", "churn", "--no-install", cwd=tmp_path, env=env)
    names = Names("churn", "churn")
    written = render.plan(names, "3.11")
    listed = set(run("git", "ls-files", cwd=tmp_path / "churn").stdout.split())
    assert {str(path) for path in written} - listed == set()
    assert run("git", "status", "--short", cwd=tmp_path / "churn", env=env).stdout == ""


def test_in_another_repository_what_its_rules_hide_is_named(tmp_path: Path) -> None:
    run("git", "init", "--quiet", cwd=tmp_path)
    (tmp_path / ".gitignore").write_text("models/\n")
    said = poetry("ml", "new", "churn", "--no-install", cwd=tmp_path, env=AUTHOR).stdout
    assert "since a rule has git ignore them: git add --force " in said
    assert "src/churn/models/model.py" in said
