"""Projects of setuptools, Flit, Hatch, PDM, uv and pipenv: brought over, or told in a sentence what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import poetry
from poetry.core.factory import Factory
from test_init import lay_out, tree

from poetry_ml_plugin.adopt import inspect, plan
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import pyproject, requirements

CFG = """\
[metadata]
name = cfg-tool
version = 1.5
author = Ann
author-email = ann@example.org
summary = Says it.
long_description = file: README.md
license = MIT
keywords = a, machine learning
classifiers =
    Topic :: Scientific/Engineering
    # not yet: Topic :: Software Development
project_urls =
    Docs = https://example.org/docs

[options]
packages = find:
python_requires = >=3.8,<3.14
install_requires = attrs>=23; idna

[options.extras_require]
plot =
    six>=1; python_version < "3.12"

[options.entry_points]
console_scripts =
    Cfg-Tool = cfg_tool:main

[flake8]
max-line-length = 100
"""
DOTTED = "{}[project]\nname = 'foo'\nversion = '1'\nrequires-python = '>=3.11'\n{}"


def backend(name: str) -> str:
    return f"[build-system]\nrequires = ['x']\nbuild-backend = '{name}'\n"


def planned(root: Path, files: dict[str, str]) -> plan.Plan:
    return plan.plan(inspect.find(lay_out(root, files)), "3.11")


def test_a_setup_cfg_is_brought_over(tmp_path: Path) -> None:
    todo = planned(tmp_path, {"setup.cfg": CFG, "cfg_tool/__init__.py": ""})
    plan.apply(todo)
    described = pyproject.describe(tmp_path).standard
    assert (described["name"], described["version"]) == ("cfg-tool", "1.5")
    assert described["description"] == "Says it."
    assert described["requires-python"] == ">=3.11.4,<3.14"
    assert described["authors"] == [{"name": "Ann", "email": "ann@example.org"}]
    assert described["keywords"] == ["a", "machine learning"]
    assert described["classifiers"] == ["Topic :: Scientific/Engineering"]
    assert described["urls"] == {"Docs": "https://example.org/docs"}
    assert described["optional-dependencies"] == {"plot": ['six (>=1) ; python_version < "3.12"']}
    assert described["scripts"]["Cfg-Tool"] == "cfg_tool:main"
    main = requirements.main(pyproject.describe(tmp_path))
    assert (main["attrs"].versions, main["idna"].versions) == (">=23", "")
    assert Factory().create_poetry(tmp_path).package.name == "cfg-tool"
    assert any("delete the project's description there when you agree" in n for n in todo.notes)
    assert (tmp_path / "setup.cfg").read_text() == CFG


@pytest.mark.parametrize(
    "files",
    [
        {"setup.cfg": "[metadata]\nname = x\nversion = attr: x.__version__\n"},
        {
            "setup.cfg": "[metadata]\nname = x\n",
            "setup.py": "from setuptools import setup\nsetup(use_scm_version=True)\n",
        },
        {"setup.py": "from setuptools import setup\nsetup(name='x', pbr=True)\n"},
    ],
    ids=["attr", "scm", "pbr"],
)
def test_a_version_that_is_computed_is_named(tmp_path: Path, files: dict[str, str]) -> None:
    todo = planned(tmp_path, {**files, "x/__init__.py": ""})
    assert any("where it is computed: version" in note for note in todo.notes)


def test_a_setup_py_wins_over_a_setup_cfg(tmp_path: Path) -> None:
    cfg = "[metadata]\nname = x\nversion = 1\n[options]\nzip_safe = yes\nscripts =\n    bin/x\n"
    setup = "from setuptools import setup\nsetup(version='2')\n"
    todo = planned(tmp_path, {"setup.cfg": cfg, "setup.py": setup})
    assert pyproject.parse(todo.after).version == "2"
    assert any(
        "no place for these arguments of setup.py and setup.cfg: scripts" in n for n in todo.notes
    )


def test_a_setup_cfg_that_only_configures_tools_is_no_project(tmp_path: Path) -> None:
    with pytest.raises(MLError, match="No project found"):
        planned(tmp_path, {"setup.cfg": "[flake8]\nmax-line-length = 100\n"})
    with pytest.raises(MLError, match=r"setup\.cfg cannot be read"):
        planned(tmp_path, {"setup.cfg": "[metadata]\nname = x\nname = y\n"})


REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "old Flit": (
        {
            "pyproject.toml": backend("flit_core.buildapi")
            + "[tool.flit.metadata]\nmodule = 'foo'\n"
        },
        r"in \[tool.flit.metadata\], which Poetry does not read. Write it as \[project\]",
    ),
    "old PDM": (
        {"pyproject.toml": backend("pdm.pep517.api") + "[tool.pdm]\nname = 'foo'\n"},
        r"in \[tool.pdm\], which Poetry does not read. Write it as \[project\]",
    ),
    "setuptools alone": (
        {"pyproject.toml": backend("setuptools.build_meta"), "setup.cfg": CFG},
        r"no \[project\]. Remove \[build-system\]",
    ),
    "Flit": (
        {
            "pyproject.toml": backend("flit_core.buildapi")
            + "[project]\nname = 'foo'\ndynamic = ['version']\n"
        },
        r'"poetry.core.masonry.api" into \[build-system\], write version into \[project\]',
    ),
    "Hatch": ({"pyproject.toml": DOTTED.format(backend("hatchling.build"), "")}, "hatchling.build"),
    "PDM": ({"pyproject.toml": DOTTED.format(backend("pdm.backend"), "")}, "pdm.backend"),
    "uv": ({"pyproject.toml": DOTTED.format(backend("uv_build"), "")}, "package-mode = false"),
    "pipenv": ({"Pipfile": ""}, "pipenv requirements > requirements.txt"),
    "conda": ({"environment.yml": ""}, "into requirements.txt"),
    "no version": (
        {"pyproject.toml": "[project]\nname = 'foo'\nrequires-python = '>=3.11'\n"},
        r"not valid for Poetry: Either \[project.version\]",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_poetry_cannot_take_over_is_told_what_to_do(tmp_path: Path, name: str) -> None:
    files, said = REFUSED[name]
    with pytest.raises(MLError, match=said):
        planned(tmp_path, files)
    assert tree(tmp_path).keys() == files.keys()


@pytest.mark.parametrize("how", ["poetry-core", "package-mode"])
def test_following_the_advice_leads_to_a_project(tmp_path: Path, how: str) -> None:
    files = {"pyproject.toml": DOTTED.format(backend("hatchling.build"), ""), "foo.py": ""}
    with pytest.raises(MLError, match="hatchling"):
        planned(tmp_path, files)
    ours = '[build-system]\nrequires = ["poetry-core (>=2.1,<3)"]\nbuild-backend = "poetry.core.masonry.api"\n'
    files["pyproject.toml"] = {
        "poetry-core": DOTTED.format(ours, ""),
        "package-mode": f"{files['pyproject.toml']}[tool.poetry]\npackage-mode = false\n",
    }[how]
    plan.apply(planned(tmp_path, files))
    poetry("check", cwd=tmp_path)


UV = """\
dependencies = ['attrs', 'mylib']

[tool.uv]
dev-dependencies = ['pytest']

[tool.uv.sources]
mylib = { git = 'https://example.org/mylib' }
"""


def test_what_poetry_does_not_read_of_a_project_is_named(tmp_path: Path) -> None:
    files = {"pyproject.toml": DOTTED.format("", UV), "uv.lock": "", "pdm.lock": "", "main.py": ""}
    notes = planned(tmp_path, files).notes
    assert any("[tool.uv] and uv.lock are not used" in note for note in notes)
    assert any("pdm.lock is not used" in note for note in notes)
    assert any("where mylib is to come from, before you lock" in note for note in notes)
    assert any("dev-dependencies of [tool.uv]: move them" in note for note in notes)
