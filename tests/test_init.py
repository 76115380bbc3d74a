"""`poetry ml init`: what is there stays, byte for byte; what is missing comes, and works."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import Any

import pytest
from conftest import Churn, poetry, run
from poetry.core.constraints.version import parse_constraint
from poetry.core.factory import Factory
from poetry.core.masonry.builders.sdist import SdistBuilder
from poetry.core.masonry.builders.wheel import WheelBuilder
from serving import service
from shapes import SHAPES

from poetry_ml_plugin.adopt import inspect, metadata, modules, plan, record
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import edit, pyproject, requirements
from poetry_ml_plugin.project.requirements import Dependency
from poetry_ml_plugin.template import extras, scaffold, update

RUNTIME = {"click", "falcon", "msgspec", "numpy", "onnxruntime", "pyyaml", "waitress"}


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    found = (path for path in root.rglob("*") if path.is_file() and ".git/" not in f"{path}")
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def lay_out(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content.encode())
    return root


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A project of each shape; in a repository, unless it is the one without."""
    root = lay_out(tmp_path / "apps" / "scoring", SHAPES[request.param])
    lay_out(tmp_path / "apps/shared", {"pyproject.toml": "[project]\nname='company-shared'\n"})
    lay_out(tmp_path / "apps/shared", {"company_shared.py": ""})
    if request.param != "one module":
        place = tmp_path if request.param == "sub-folder" else root
        run("git", "init", "--quiet", cwd=place)
        run("git", "add", "--all", cwd=place)
    return root


def adopted(root: Path) -> plan.Plan:
    todo = plan.plan(inspect.find(root), "3.11")
    plan.apply(todo)
    return todo


def built(root: Path) -> dict[str, bytes]:
    """The files that Poetry's own builders put into the wheel and the sdist."""
    poetry = Factory().create_poetry(root)
    if not poetry.is_package_mode:
        return {}
    files = {}
    with zipfile.ZipFile(root / "dist" / WheelBuilder(poetry).build(root / "dist")) as wheel:
        files = {f"wheel/{name}": wheel.read(name) for name in wheel.namelist()}
    with tarfile.open(SdistBuilder(poetry).build(root / "dist")) as sdist:
        for member in sdist.getmembers():
            content = sdist.extractfile(member)
            files[f"sdist/{member.name}"] = content.read() if content else b""
    for path in (root / "dist").iterdir():
        path.unlink()
    (root / "dist").rmdir()
    return files


def test_what_is_there_stays_and_a_second_run_changes_nothing(shape: Path) -> None:
    before = tree(shape)
    todo = adopted(shape)
    after = tree(shape)
    assert not todo.is_empty
    assert {name: after[name] for name in before.keys() - {"pyproject.toml"}} == {
        name: content for name, content in before.items() if name != "pyproject.toml"
    }
    rest = iter(after["pyproject.toml"])
    assert all(byte in rest for byte in before["pyproject.toml"])  # nothing went, nothing moved
    said = tomllib.loads(after["pyproject.toml"].decode())["tool"]["poetry-ml-plugin"]
    assert said["package"] == todo.names.package
    assert said["template-version"]
    assert plan.plan(inspect.find(shape), "3.11").is_empty
    assert adopted(shape).is_empty
    assert tree(shape) == after


def test_lines_stay_where_comments_and_line_ends_are(shape: Path) -> None:
    before = (shape / "pyproject.toml").read_bytes().splitlines(keepends=True)
    adopted(shape)
    after = (shape / "pyproject.toml").read_bytes()
    lines = after.splitlines(keepends=True)
    for comment in (line for line in before if line.lstrip().startswith(b"#")):
        assert comment in lines
    if b"\r\n" in before[0]:
        assert after.count(b"\n") == after.count(b"\r\n")
    headers = [line for line in before if line.startswith(b"[")]
    for header in headers:  # what speaks of a table is still above it
        place = before.index(header)
        if place and before[place - 1].startswith(b"#"):
            assert lines[lines.index(header) - 1] == before[place - 1]


def test_the_projects_own_build_is_as_it_was(shape: Path) -> None:
    before = built(shape)
    todo = adopted(shape)
    own = todo.names.package
    after = built(shape)
    said = ("METADATA", "RECORD", "PKG-INFO", "pyproject.toml", "entry_points.txt")
    theirs = {name for name in before if not name.endswith(said)}
    assert {name: after[name] for name in theirs} == {name: before[name] for name in theirs}
    more = {name for name in after.keys() - before.keys() if not name.endswith(said)}
    ours = tuple(map(str, todo.files))
    assert all(f"/{own}/" in name or name.endswith(ours) for name in more)
    if before:
        assert f"wheel/{own}/__main__.py" in after
        (points,) = [after[name] for name in after if name.endswith("entry_points.txt")]
        assert f"{own}={own}.__main__:main" in points.decode()


def test_poetry_takes_the_dependencies_in_their_groups(shape: Path) -> None:
    old = Factory().create_poetry(shape).package
    adopted(shape)
    content = tomllib.loads((shape / "pyproject.toml").read_text(encoding="utf-8"))
    assert Factory.validate(content)["errors"] == []
    new = Factory().create_poetry(shape).package
    assert {dependency.name for dependency in new.requires} >= RUNTIME
    for dependency in old.all_requires:  # with its own constraint, once
        assert dependency in new.all_requires
        if dependency.name in RUNTIME:
            assert [d.name for d in new.requires].count(dependency.name) == 1
    groups: dict[str, set[str]] = {
        name: {d.name for d in new.dependency_group(name).dependencies}
        for name in new.dependency_group_names(include_optional=True)
    }
    assert "skl2onnx" in groups["train"]
    assert sum("pytest" in names for names in groups.values()) == 1 or "test" in groups
    if old.python_constraint.allows_any(parse_constraint("<3.11")):
        (falcon,) = [d for d in new.requires if d.name == "msgspec"]
        assert 'python_version >= "3.11"' in str(falcon.marker)


def test_a_diff_is_what_git_applies(shape: Path) -> None:
    todo = plan.plan(inspect.find(shape), "3.11")
    before = tree(shape)
    patch = "".join(plan.diff(todo)).encode()
    assert tree(shape) == before
    options = ["--directory=apps/scoring"] if (shape.parents[1] / ".git").exists() else []
    command = ["git", "apply", "--whitespace=nowarn", *options]
    subprocess.run(command, cwd=shape, input=patch, check=True)
    planned = {str(n): file.content for n, file in todo.files.items() if n != update.BASE}
    assert tree(shape) == {**before, **planned, "pyproject.toml": todo.after}


def test_files_in_the_way_are_kept_and_named(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {**SHAPES["dotted keys"], "data": "a file", "Procfile": "web: mine\n"})
    todo = adopted(root)
    assert {"tests/test_model.py", "Procfile", "data/raw/penguins.csv"} <= set(todo.kept)
    assert (root / "tests/test_model.py").read_text() == "# mine\n"
    assert todo.names.package == "dotted_ml"


def test_a_failure_leaves_the_project_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = lay_out(tmp_path, SHAPES["standard"])
    todo = plan.plan(inspect.find(root), "3.11")
    before = tree(root)

    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(scaffold, "_rewrite", full)
        with pytest.raises(MLError, match="No space left"):
            plan.apply(todo)
    assert tree(root) == before
    (root / "pyproject.toml").write_text("# changed\n", encoding="utf-8")
    with pytest.raises(MLError, match="changed in the meantime"):
        plan.apply(todo)
    assert not (root / "Procfile").exists()


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[project]\nname='a'\nrequires-python='<3.11'\n", "Pythons older than 3.11"),
        ("[project]\nname='a'\n[build-system]\nbuild-backend='hatchling.build'\n", "hatchling"),
        ("[project]\nname='a'\nrequires-python='banana'\n", "requires-python is not valid.*banana"),
        ("[project\n", "cannot be read"),
        ("tool = 3\n", "No project found in"),
        ("[tool.black]\n", "No project found in"),
    ],
    ids=["old Python", "another backend", "no version", "broken TOML", "no tables", "tools only"],
)
def test_what_cannot_be_added_to_is_told_so(tmp_path: Path, toml: str, said: str) -> None:
    lay_out(tmp_path, {"pyproject.toml": toml})
    with pytest.raises(MLError, match=said):
        plan.plan(inspect.find(tmp_path), "3.11")
    assert tree(tmp_path).keys() == {"pyproject.toml"}


def test_the_command_shows_asks_and_adds(tmp_path: Path) -> None:
    root = lay_out(tmp_path, SHAPES["standard"])
    before = tree(root)
    shown = poetry("ml", "init", cwd=root, text="no\n", code=1).stdout
    assert "src/forecast_ml/  (" in shown
    assert '"falcon (>=4.0,<5)' in shown
    assert "Kept unchanged: .gitignore" not in shown or (root / ".gitignore").exists()
    assert "Nothing was changed" in shown
    assert "--yes" in poetry("ml", "init", cwd=root, code=1).stderr
    assert "+++ b/pyproject.toml" in poetry("ml", "init", "--dry-run", cwd=root).stdout
    assert tree(root) == before
    done = poetry("ml", "init", "--no-install", "--no-interaction", cwd=root)
    assert "poetry ml train" in done.stdout
    assert "nothing to add" in poetry("ml", "init", cwd=root).stdout
    poetry("check", cwd=root)
    said = poetry("build", cwd=root, code=1).stderr
    assert "there is no trained model" in said
    assert not (root / "dist").exists()


def test_what_is_added_works(churn: Churn, tmp_path: Path) -> None:
    root = lay_out(tmp_path, SHAPES["legacy, flat"])
    own = adopted(root).names.package
    env = {"PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)])}
    verb = (churn.python, "-m", own)
    said = run(*verb, "predict", "--example", cwd=root, env=env, code=1).stderr
    assert f"Run: poetry run python -m {own} train" in said
    run(*verb, "train", cwd=root, env=env)
    answers = json.loads(run(*verb, "predict", "--example", cwd=root, env=env).stdout)
    assert [answer["species"] for answer in answers] == ["Adelie", "Gentoo"]


def test_a_project_that_is_no_package_is_run_where_it_stands(churn: Churn, tmp_path: Path) -> None:
    root = lay_out(tmp_path, SHAPES["no package"])
    adopted(root)
    pytest_options = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["pytest"]
    assert pytest_options["ini_options"]["pythonpath"] == ["scripts", "src"]
    environment = churn.python.parents[1]
    env = {"VIRTUAL_ENV": str(environment), "POETRY_VIRTUALENVS_CREATE": "false"}
    poetry("ml", "train", cwd=root, env=env)
    with service(
        [sys.executable, "-m", "poetry", "ml", "serve", "--port", "0"], root, env
    ) as running:
        assert running.get("/openapi.json")["info"]["version"] == "0"


WHISK = {
    ".whisk/config.yml": "",
    "setup.py": """\
from setuptools import find_packages, setup

setup(
    name='churn_model',
    package_dir={'': 'src'},
    packages=find_packages(where='src'),
    version='0.2.0',
    include_package_data=True,
    install_requires=[
        'whisk==0.1.32',
        'joblib>=1'
    ],
    entry_points={
        'console_scripts': [
            'churn_model=churn_model.cli.main:cli',
        ],
    },
    description='Says who leaves.',
    python_requires='>=3.6',
)
""",
    "requirements.txt": """\
# Installs churn_model as a local package.
-e .

# Adds the whisk cli, directory helpers, etc.
whisk

### whisk project requirements
ipykernel # creating the kernel
python-dotenv
dvc[s3]>=2 # Data Version Control
Flask==1.1.2 # Web service HTTP API
gunicorn==20.0.4
tox==3.15.0
pytest==4.6.5 # Tests
pytest-runner==5.1
jupyter
--extra-index-url https://pypi.example.org/simple
numpy>=1.20 ; python_version >= "3.8" \\
    --hash=sha256:abc
git+https://github.com/example/features.git@v1#egg=features
-r more.txt
""",
    "more.txt": "click>=7\nscikit-learn\n./local\n",
    "MANIFEST.in": "graft src/churn_model/artifacts/\n",
    "README.md": "# churn_model\n",
    ".gitignore": "build/\ndist/\n*.egg-info/\n",
    "app/main.py": "import flask\n",
    "tests/test_model.py": "def test_predict():\n    pass\n",
    "src/churn_model/__init__.py": """\
from os.path import realpath
import whisk
from whisk.project import Project


whisk.project = Project.from_module(realpath(__file__))
data_dir = whisk.project.data_dir
artifacts_dir = whisk.project.artifacts_dir
""",
    "src/churn_model/cli/__init__.py": "",
    "src/churn_model/data/__init__.py": "",
    "src/churn_model/models/__init__.py": "",
    "src/churn_model/models/model.py": """\
from churn_model import artifacts_dir
import pickle


class Model:
    def __init__(self):
        with open(artifacts_dir / "model.pkl", 'rb') as file:
            self.model = pickle.load(file)

    def predict(self,data):
        return self.model.predict(data)
""",
}
STUB = b"\x80\x03cwhisk.model_stub\nModelStub\nq\x00)\x81q\x01."  # whisk's own model.pkl


@pytest.fixture
def whisk(tmp_path: Path) -> Path:
    """A project as `whisk create churn_model` makes one, and its model."""
    root = lay_out(tmp_path / "churn_model", WHISK)
    (root / "src/churn_model/artifacts").mkdir()
    (root / "src/churn_model/artifacts/model.pkl").write_bytes(STUB)
    return root


def test_whisks_dependencies_come_along_in_their_groups(whisk: Path) -> None:
    before = tree(whisk)
    run("git", "init", "--quiet", cwd=whisk)
    todo = adopted(whisk)
    assert any("git ignores build/environment.py" in note for note in todo.notes)
    assert before.items() <= tree(whisk).items()
    package = Factory().create_poetry(whisk).package
    assert (package.name, str(package.version)) == ("churn-model", "0.2.0")
    assert package.description == "Says who leaves."
    main: dict[str, str] = {d.name: str(d.pretty_constraint) for d in package.requires}
    assert main["whisk"] == "0.1.32"
    assert main["flask"] == "1.1.2"
    assert main["click"] == ">=7"
    assert main["numpy"] == ">=1.20"
    assert {
        "joblib",
        "scikit-learn",
        "python-dotenv",
        "features",
        "falcon",
        "waitress",
    } <= main.keys()
    dev: dict[str, Any] = {d.name: d for d in package.dependency_group("dev").dependencies}
    theirs = {"dvc", "ipykernel", "jupyter", "pytest", "pytest-runner", "tox"}
    assert dev.keys() == theirs
    assert set(dev["dvc"].extras) == {"s3"}
    assert not main.keys() & dev.keys()
    assert package.entry_points["console-scripts"] == {
        "churn_model": "churn_model.cli.main:cli",
        "churn_model_ml": "churn_model_ml.__main__:main",
    }
    wheel = built(whisk)
    assert wheel["wheel/churn_model/artifacts/model.pkl"] == STUB
    assert "wheel/churn_model_ml/_runtime/service/app.py" in wheel
    assert plan.plan(inspect.find(whisk), "3.11").is_empty


def test_whisks_model_is_served_unchanged(whisk: Path, churn: Churn, tmp_path: Path) -> None:
    adopted(whisk)
    site = tmp_path / "site"
    pip = ("-m", "pip", "install", "--quiet", "--no-deps", "--target", site, "whisk==0.1.32")
    run(sys.executable, *pip, cwd=tmp_path)
    env = {"PYTHONPATH": os.pathsep.join([str(whisk / "src"), str(site)])}
    verb = [str(churn.python), "-m", "churn_model_ml"]
    said = run(*verb, "predict", "[[1, 2], [3]]", cwd=whisk, env=env).stdout
    assert json.loads(said) == [2, 1]
    with service([*verb, "serve", "--port", "0"], whisk, env) as running:
        assert running.get("/health/ready") == {"status": "ready"}
        answer = running.post("/predict", b'{"data": [[1, 2], [3]]}')
        assert answer == (200, [2, 1])
        assert running.post("/invocations", b"[[1, 2], [3]]") == (200, [2, 1])
        document = running.get("/openapi.json")
        assert "predictions" not in json.dumps(document["components"]["schemas"])
        assert running.stop() == 0
    for word in ("train", "evaluate"):
        said = run(*verb, word, cwd=whisk, env=env, code=1).stderr
        assert f"does not say yet how churn_model is {word.removesuffix('e')}" in said


def said_of(root: Path) -> list[str]:
    project = pyproject.read(root)
    assert project is not None
    return [f"{message}. {hint}" for message, hint in record.problems(project)]


def test_an_adopted_models_artifacts_are_in_the_manifest(whisk: Path) -> None:
    todo = adopted(whisk)
    name = "src/churn_model/artifacts/model.pkl"
    assert f"Recorded in the manifest: {name}." in todo.notes
    manifest = whisk / "src/churn_model_ml/artifacts/manifest.json"
    recorded = json.loads(manifest.read_bytes())["adopted"]
    assert recorded == {name: {"sha256": hashlib.sha256(STUB).hexdigest(), "size": len(STUB)}}
    assert said_of(whisk) == []
    (whisk / name).write_bytes(b"other")
    (whisk / name).with_name("more.bin").write_bytes(b"more")
    differs, unlisted = said_of(whisk)
    assert differs == f"{name} differs from the manifest. {record.AGAIN}"
    assert "more.bin is not in the manifest" in unlisted
    adopted(whisk)
    assert said_of(whisk) == []
    assert plan.plan(inspect.find(whisk), "3.11").is_empty
    (whisk / name).unlink()
    assert said_of(whisk) == [f"{name} is missing. {record.AGAIN}"]
    said = poetry("build", cwd=whisk, code=1).stderr
    assert f"{name} is missing" in said
    assert not (whisk / "dist").exists()


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        ({"src/churn_model/artifacts/model.pkl.dvc": "outs:\n- md5: a\n  path: model.pkl\n"}, True),
        ({"src/churn_model/artifacts.dvc": "outs:\n- md5: a.dir\n  path: artifacts\n"}, True),
        (
            {
                "dvc.lock": "stages:\n  fit:\n    deps:\n    - path: data/x.csv\n    outs:\n"
                "    - path: src/churn_model/artifacts/model.pkl\n      md5: a\n"
            },
            True,
        ),
        ({}, False),
    ],
    ids=["a file", "the folder", "a pipeline", "none"],
)
def test_artifacts_that_are_not_here_are_no_reason_for_an_empty_model(
    whisk: Path, files: dict[str, str], missing: bool
) -> None:
    shutil.rmtree(whisk / "src/churn_model/artifacts")
    lay_out(whisk, files)
    todo = adopted(whisk)
    if not missing:
        assert "churn_model has no artifacts, and the manifest says so." in todo.notes
        assert said_of(whisk) == []
        return
    assert any(note.startswith("Not here yet: ") for note in todo.notes)
    (said,) = said_of(whisk)
    assert said.endswith('is missing. Run "poetry ml data pull".')
    (whisk / "src/churn_model/artifacts").mkdir(exist_ok=True)
    (whisk / "src/churn_model/artifacts/model.pkl").write_bytes(STUB)  # as `dvc pull` does
    assert any('Run "poetry ml init"' in said for said in said_of(whisk))
    assert "Recorded the artifacts" in poetry("ml", "init", "--yes", cwd=whisk).stdout
    assert said_of(whisk) == []
    assert built(whisk)["wheel/churn_model/artifacts/model.pkl"] == STUB


def test_a_pointer_of_git_lfs_is_no_model(whisk: Path) -> None:
    (whisk / "src/churn_model/artifacts/model.pkl").write_bytes(record.LFS + b"v1\n")
    adopted(whisk)
    (said,) = said_of(whisk)
    assert said.endswith('Git LFS pointer, not the file itself. Run "git lfs pull".')


def test_a_table_of_ours_alone_is_no_reason_to_add_nothing(tmp_path: Path) -> None:
    table = '\n[tool.poetry-ml-plugin]\npackage = "scores"\n'
    files = {**SHAPES["array tables"]}
    files["pyproject.toml"] += table
    root = lay_out(tmp_path, files)
    assert adopted(root).names.package == "scores"
    assert (root / "src/scores/__main__.py").exists()
    assert adopted(root).is_empty


OPTIONAL_GROUPS = """\
[project]
name = "choices"
version = "1"
requires-python = ">=3.11"

[project.optional-dependencies]
web = ["falcon (>=4.0.2,<4.1)"]

[tool.poetry.group.train]
optional = true

[tool.poetry.group.train.dependencies]
pandas = "^2.2"

[tool.poetry.group.quality]
optional = true

[tool.poetry.group.quality.dependencies]
pytest = "^8.3"
ruff = "*"

[tool.poetry.group.boost.dependencies]
xgboost = "*"
"""


def test_what_is_installed_only_when_asked_for_is_added_where_it_is_needed(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {"pyproject.toml": OPTIONAL_GROUPS})
    adopted(root)
    toml = pyproject.describe(root)
    assert toml.optional_groups == {"train", "quality"}
    assert toml.groups["train"] == {"pandas"}
    assert toml.groups["ml-train"] == {"pandas", "scikit-learn", "skl2onnx", "skops"}
    assert toml.groups["dev"] == {"nbstripout", "pytest"}
    found = requirements.by_group(toml)
    (pandas,) = [d for d in found["ml-train"] if d.name == "pandas"]
    (test,) = [d for d in found["dev"] if d.name == "pytest"]
    assert (pandas.versions, test.versions) == ("^2.2", "^8.3")  # those of the project
    (falcon,) = [d for d in found["main"] if d.name == "falcon"]
    assert falcon.versions == ">=4.0.2,<4.1"
    poetry("check", cwd=root)


def test_groups_of_ours_stay_optional(tmp_path: Path) -> None:
    adopted(root := lay_out(tmp_path, SHAPES["array tables"]))
    assert pyproject.describe(root).optional_groups == {"boost"}


LOCK_OF_POETRY_1 = """\
[[package]]
name = "click"
version = "7.1.2"
category = "main"
optional = false
python-versions = "*"

[metadata]
lock-version = "2.0"
python-versions = "^3.8"
content-hash = "0"
"""


def test_other_versions_than_were_tested_are_said_before_anything_is_written(
    tmp_path: Path,
) -> None:
    toml = """\
[tool.poetry]
name = "older"
version = "1"
description = ""
authors = []

[tool.poetry.dependencies]
python = "^3.8"
click = "*"
msgspec = { version = "^0.9" }
numpy = "^2"
"""
    root = lay_out(tmp_path, {"pyproject.toml": toml, "poetry.lock": LOCK_OF_POETRY_1})
    notes = plan.plan(inspect.find(root), "3.11").notes
    assert any("asks for msgspec (^0.9), and the service was tested" in note for note in notes)
    assert any("poetry.lock has click 7.1.2" in note for note in notes)
    assert not any("numpy" in note for note in notes)
    assert tree(root).keys() == {"pyproject.toml", "poetry.lock"}


def test_what_setup_asks_for_wins_over_pins(tmp_path: Path) -> None:
    setup = (
        "from setuptools import setup\nsetup(name='x', install_requires=['attrs>=20', 'idna'])\n"
    )
    pins = "attrs==20.1\nidna==2.8\nsix==1.15\n"
    root = lay_out(tmp_path, {"setup.py": setup, "requirements.txt": pins})
    adopted(root)
    main = requirements.main(pyproject.describe(root))
    assert [main[name].versions for name in ("attrs", "idna", "six")] == [">=20", "==2.8", "==1.15"]


def workflow(root: Path) -> str:
    project = pyproject.read(root)
    assert project is not None
    (file,) = extras.plan(project, "ci").values()
    return file.content.decode()


def test_a_workflow_runs_what_the_project_has(tmp_path: Path) -> None:
    root = lay_out(tmp_path / "a", {"pyproject.toml": OPTIONAL_GROUPS})
    adopted(root)
    assert "pytest" in workflow(root)
    assert "ruff" not in workflow(root)
    files = dict(SHAPES["standard groups"])
    adopted(root := lay_out(tmp_path / "b", files))
    assert "ruff check" in workflow(root)
    assert "ruff format" not in workflow(root)  # the code was there before
    files["pyproject.toml"] += "\n[tool.ruff.format]\nquote-style = 'single'\n"
    adopted(root := lay_out(tmp_path / "c", files))
    assert "ruff format --check" in workflow(root)


NAMESPACE = """\
[project]
name = "namespace"
version = "1"
requires-python = ">=3.11"

[tool.poetry]
package-mode = false
"""


@pytest.mark.parametrize(
    ("toml", "files"),
    [
        (NAMESPACE, {"run.py": "def main():\n    from namespace.lib import work\n"}),
        (
            f'{NAMESPACE}\n[tool.poetry.dependencies]\nlib = {{ path = "lib" }}\n',
            {"lib/src/namespace/lib/work.py": ""},
        ),
        (
            f'{NAMESPACE}\n[tool.poetry.group.dev.dependencies]\nlib = [{{ path = "lib" }}]\n',
            {"lib/namespace/__init__.py": ""},
        ),
        (NAMESPACE, {"poetry.lock": '[[package]]\nname = "namespace-lib"\nversion = "1"\n'}),
    ],
    ids=["imported", "a path, no __init__", "a path in a list", "locked"],
)
def test_a_package_of_that_name_would_hide_a_dependency(
    tmp_path: Path, toml: str, files: dict[str, str]
) -> None:
    root = lay_out(tmp_path / "work", {"pyproject.toml": toml, **files})
    assert plan.plan(inspect.find(root), "3.11").names.package == "namespace_ml"
    with pytest.raises(MLError, match="would hide one that the project uses"):
        plan.plan(inspect.find(root), "3.11", "namespace")


def test_an_installed_module_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lay_out(tmp_path / "work", {"pyproject.toml": NAMESPACE})
    site = "lib/python3.11/site-packages"
    lay_out(tmp_path, {f"env/{site}/namespace/part.py": "", "linked/other/__init__.py": ""})
    lay_out(tmp_path, {f"env/{site}/other.pth": f"{tmp_path / 'linked'}\n"})
    monkeypatch.setattr("poetry_ml_plugin.host.venv.folder_of", lambda root: tmp_path / "env")
    found = modules.foreign(root, pyproject.describe(root))
    assert {"namespace", "other"} <= found
    assert plan.plan(inspect.find(root), "3.11").names.package == "namespace_ml"


def test_a_flat_setuptools_project_keeps_its_package(tmp_path: Path) -> None:
    setup = "from setuptools import setup\nsetup(name='Old Tool', install_requires=['attrs'])\n"
    files = {"setup.py": setup, "old_tool/__init__.py": "", "tests/__init__.py": ""}
    root = lay_out(tmp_path, files)
    adopted(root)
    assert {"wheel/old_tool/__init__.py", "wheel/old_tool_ml/__main__.py"} <= built(root).keys()
    package = Factory().create_poetry(root).package
    assert package.name == "old-tool"
    assert {d.name for d in package.requires} >= RUNTIME | {"attrs"}


@pytest.mark.parametrize(
    ("text", "pep508", "poetry_value"),
    [
        ("a", "a", "*"),
        ("a>=1,<2", "a (>=1,<2)", ">=1,<2"),
        ("a (>=1)", "a (>=1)", ">=1"),
        ("a[x,y]~=1.0", "a[x,y] (~=1.0)", {"version": "~=1.0", "extras": ["x", "y"]}),
        (
            'a==1 ; python_version < "3.9"',
            'a (==1) ; python_version < "3.9"',
            {"version": "==1", "markers": 'python_version < "3.9"'},
        ),
        (
            "a @ git+https://x.org/a.git@v1",
            "a @ git+https://x.org/a.git@v1",
            {"git": "https://x.org/a.git", "rev": "v1"},
        ),
        ("a @ https://x.org/a.whl", "a @ https://x.org/a.whl", {"url": "https://x.org/a.whl"}),
    ],
    ids=["any", "range", "parentheses", "extras", "marker", "git", "url"],
)
def test_a_dependency_is_written_as_each_table_wants_it(
    text: str, pep508: str, poetry_value: Any
) -> None:
    dependency = Dependency.parse(text)
    assert dependency.pep508() == pep508
    assert dependency.poetry() == poetry_value
    assert Dependency.parse(pep508) == dependency


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a = []", "a = [2]"),
        ("a = [ ]\n", "a = [ 2]\n"),
        ("a = [1]\n", "a = [1, 2]\n"),
        ("a = [1,]\n", "a = [1, 2,]\n"),
        ("a = [1] # [x]\n", "a = [1, 2] # [x]\n"),
        ("a = [\n]\n", "a = [\n    2,\n]\n"),
        ("a = [\n  1\n]\n", "a = [\n  1,\n  2,\n]\n"),
        ("a = [\n  1, # one, first\n]\n", "a = [\n  1, # one, first\n  2,\n]\n"),
        ("a = [1,\n     '#,]' ]\n", None),
        ('a = [\n\t"""x,\n# y""" # z\n\t# end\n]\nb = 1\n', None),
    ],
    ids=[
        "empty",
        "blank",
        "one",
        "trailing comma",
        "comment behind",
        "empty lines",
        "lines",
        "comment inside",
        "bracket in a string",
        "long string",
    ],
)
def test_an_array_grows_as_it_is_written(before: str, after: str | None) -> None:
    longer = edit.extend(before.encode(), {"a": [2]}).decode()
    assert tomllib.loads(longer)["a"] == [*tomllib.loads(before)["a"], 2]
    if after is not None:
        assert longer.rstrip() == after.rstrip()


def test_requirements_that_refer_to_each_other_are_read_once(tmp_path: Path) -> None:
    lay_out(
        tmp_path,
        {"requirements.txt": "-r more.txt\nattrs\n", "more.txt": "-r requirements.txt\nidna\n"},
    )
    found = requirements.read_requirements(tmp_path / "requirements.txt")
    assert [dependency.name for dependency in found] == ["idna", "attrs"]


def test_a_distribution_that_starts_with_a_digit_gets_a_package(tmp_path: Path) -> None:
    root = lay_out(
        tmp_path, {"pyproject.toml": '[project]\nname = "2026-forecast"\nversion = "1"\n'}
    )
    assert adopted(root).names.package == "model_2026_forecast"
    assert Factory().create_poetry(root).package.name == "2026-forecast"


def test_what_is_computed_in_a_setup_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text(
        "import setuptools\nraise SystemExit('never run')\n"
        "setuptools.setup(name='a', version=read(), install_requires=['b'] + more)\n"
    )
    assert requirements.read_setup(tmp_path / "setup.py") == {"name": "a"}


COMPUTED = """\
from setuptools import setup

VERSION = "1.4.2"
REQUIRED = ["attrs>=23", "idna; python_version < '4'"]
EXTRAS = {"plot": ["matplotlib>=3"]}
AUTHOR: dict = {"author": "Ann", "author_email": "ann@example.org"}

setup(
    name="old-tool",
    version=VERSION,
    description="Says it.",
    install_requires=REQUIRED,
    extras_require=EXTRAS,
    python_requires=">=3.8,<3.13",
    license="MIT",
    url="https://example.org",
    keywords="a, b",
    classifiers=["Topic :: Scientific/Engineering"],
    entry_points={"console_scripts": ["old=old_tool:main"], "pytest11": ["old = old_tool.plugin"]},
    cmdclass={},
    **AUTHOR,
)
"""


def test_names_in_a_setup_stand_for_their_literals(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {"setup.py": COMPUTED, "old_tool/__init__.py": ""})
    todo = adopted(root)
    described = pyproject.describe(root).standard
    assert described["version"] == "1.4.2"
    assert described["requires-python"] == ">=3.11.4,<3.13"
    assert described["authors"] == [{"name": "Ann", "email": "ann@example.org"}]
    assert described["license"] == {"text": "MIT"}
    assert described["keywords"] == ["a", "b"]
    assert described["urls"] == {"Homepage": "https://example.org"}
    assert described["optional-dependencies"] == {"plot": ["matplotlib (>=3)"]}
    assert described["entry-points"] == {"pytest11": {"old": "old_tool.plugin"}}
    assert described["scripts"]["old"] == "old_tool:main"
    package = Factory().create_poetry(root).package
    assert {"attrs", "idna"} <= {d.name for d in package.requires}
    assert any("these arguments of setup.py: cmdclass" in note for note in todo.notes)
    assert (root / "setup.py").read_text() == COMPUTED


def test_a_name_that_changes_stands_for_nothing(tmp_path: Path) -> None:
    text = """\
from setuptools import setup
A = ["attrs"]
A += ["idna"]
B = ["click"]
B.append("yaml")
C = "1"
if A: C = "2"
D = D2 = "3"
setup(name="x", install_requires=A, tests_require=B, version=C, description=D)
"""
    (tmp_path / "setup.py").write_text(text)
    assert requirements.read_setup(tmp_path / "setup.py") == {"name": "x"}
    project = inspect.find(tmp_path)
    assert project.computed == ("description", "install_requires", "version")
    notes = plan.plan(project, "3.11").notes
    assert any(note.startswith("Not read from setup.py") and "version" in note for note in notes)
    assert any("description there once you have moved that" in n for n in notes)


def test_a_back_end_says_what_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "x.dist-info"
    lay_out(
        info,
        {
            "METADATA": "Metadata-Version: 2.1\nName: x\nVersion: 2.5\nSummary: Says it.\n"
            "Author-email: Ann <ann@example.org>\nRequires-Python: >=3.9\n"
            "Project-URL: Docs, https://example.org/docs\n"
            "Requires-Dist: attrs>=23\nProvides-Extra: plot\n"
            'Requires-Dist: matplotlib>=3; extra == "plot"\n'
            "Requires-Dist: pillow; python_version < '3.14' and extra == 'plot'\n",
            "entry_points.txt": "[console_scripts]\nx = x:main\n",
        },
    )
    found = PathDistribution(info)
    answer = (found.metadata, found.entry_points)
    monkeypatch.setattr("poetry_ml_plugin.host.backend.metadata", lambda root: answer)
    setup = "import setuptools, x\nsetuptools.setup(name='x', version=x.version())\n"
    root = lay_out(tmp_path / "work", {"setup.py": setup, "x/__init__.py": ""})
    project = inspect.asked(inspect.find(root))
    plan.apply(plan.plan(project, "3.11"))
    described = pyproject.describe(root).standard
    assert (described["version"], described["description"]) == ("2.5", "Says it.")
    assert described["authors"] == [{"name": "Ann", "email": "ann@example.org"}]
    assert described["urls"] == {"Docs": "https://example.org/docs"}
    plot = described["optional-dependencies"]["plot"]
    assert plot == ["matplotlib (>=3)", 'pillow ; python_version < "3.14"']
    assert described["scripts"]["x"] == "x:main"
    assert "attrs (>=23)" in described["dependencies"]


BACKEND = """\
import pathlib

def _info(folder):
    info = pathlib.Path(folder, "x-2.5.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: x\\nVersion: 2.5\\n")
    return info.name

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    pathlib.Path("x.egg-info").mkdir()
    return _info(folder)

def build_wheel(folder, config_settings=None, metadata_directory=None):
    raise NotImplementedError
"""
IN_TREE = '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'


def test_a_back_end_is_asked_in_an_environment_of_its_own(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {"pyproject.toml": IN_TREE, "own.py": BACKEND})
    assert metadata.ask(root) == {"name": "x", "version": "2.5"}
    assert not (root / "x.egg-info").exists()
    (root / "own.py").write_text("raise SystemExit('no such luck')\n")
    with pytest.raises(MLError, match="no such luck"):
        metadata.ask(root)


def test_a_setup_is_run_only_after_a_yes(tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    setup = (
        f"import pathlib; pathlib.Path({str(marker)!r}).write_text('')\n"
        "from setuptools import setup\nsetup(name='x', version=str(1 + 1) + '.5')\n"
    )
    root = lay_out(tmp_path / "work", {"setup.py": setup, "x/__init__.py": ""})
    shown = poetry("ml", "init", cwd=root, text="no\nno\n", code=1).stdout
    assert "setup.py computes version" in shown
    assert "Not read from setup.py, where it is computed: version." in shown
    poetry("ml", "init", "--dry-run", cwd=root)
    poetry("ml", "init", "--no-install", "--no-interaction", cwd=root)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"setup.py": "from setuptools import setup\nsetup(name='x', python_requires='<3.9')\n"},
            "older",
        ),
        (
            {"setup.py": "setup(name='x', python_requires='banana')\n"},
            "python_requires is not valid",
        ),
        (
            {
                "setup.py": "setup(name='x')\n",
                "pyproject.toml": "[build-system]\nrequires = ['setuptools']\n"
                "build-backend = 'setuptools.build_meta'\n",
            },
            r"Remove \[build-system\]",
        ),
    ],
    ids=["old Python", "no version", "setuptools"],
)
def test_a_setup_that_cannot_come_along_is_told_so(
    tmp_path: Path, files: dict[str, str], said: str
) -> None:
    lay_out(tmp_path, files)
    with pytest.raises(MLError, match=said):
        plan.plan(inspect.find(tmp_path), "3.11")
    assert tree(tmp_path).keys() == files.keys()
