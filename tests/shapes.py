"""Projects as they are found in the wild, each as its files; a folder's name ends with a slash."""

from __future__ import annotations

PACKAGE = {"src/{}/__init__.py": '"""A package."""\n', "src/{}/config.py": "x = 1\n"}
FLAT = {
    "{}/__init__.py": "",
    "{}/cli.py": "def main():\n    pass\n",
    "{}/data/table.csv": "a,b\n1,2\n",
}


def _with(files: dict[str, str], name: str, toml: str, **more: str) -> dict[str, str]:
    named = {path.format(name): content for path, content in files.items()}
    return {"pyproject.toml": toml.lstrip("\n"), "README.md": "# Mine\n", **named, **more}


STANDARD = """
# What this is for: see README.md
[project]
name = "forecast"  # never rename
version = "1.2.0"
description = "Forecasts"
authors = [
    {name = "Ann", email = "ann@example.org"},
]
readme = "README.md"
requires-python = ">=3.10"
dependencies = [
    # the web
    "requests (>=2.31,<3.0)",

    "rich>=13",  # pretty
    # numbers
    "numpy<3"
    # the end
]

# ---- tools ----

[tool.poetry]
packages = [{include = "forecast", from = "src"}]

# what tests need
[tool.poetry.group.dev.dependencies]
pytest = "^8.0"  # the newest

[build-system]
requires = ["poetry-core>=2.0.0,<3.0.0"]
build-backend = "poetry.core.masonry.api"
"""

LEGACY_FLAT = """
[tool.poetry]
name = "my-legacy"
version = "0.3.1"
description = ""
authors = ["Ann <ann@example.org>"]
license = "MIT"
readme = "README.md"

[tool.poetry.dependencies]
python = "^3.9"
pandas = "^2.0"
# do not touch
falcon = "^4.0.2"
uvloop = { version = "*", optional = true, markers = "sys_platform != 'win32'" }

[tool.poetry.dev-dependencies]
pytest = "^7.0"
black = { version = "^24", allow-prereleases = true }

[tool.poetry.extras]
fast = ["uvloop"]

[tool.black]
line-length = 100


[build-system]
requires = ["poetry-core>=1.0.0"]
build-backend = "poetry.core.masonry.api"
"""

LEGACY_GROUPS = """
[tool.poetry]
name = "groups"
version = "0.1.0"
description = "Legacy groups"
authors = ["Ann <ann@example.org>"]
packages = [
  { include = "groups", from = "src" },
  { include = "plugins" },
]
include = ["CHANGELOG.md", { path = "tests", format = "sdist" }]
exclude = ["**/*.secret"]

[tool.poetry.scripts]
groups = "groups.cli:main"

[tool.poetry.dependencies]
python = ">=3.8,<4.0"
PyYAML = ">=5"

[tool.poetry.group.dev.dependencies]
mypy = "*"

[tool.poetry.group.test.dependencies]
pytest = "*"

[tool.poetry.group.docs]
optional = true

[tool.poetry.group.docs.dependencies]
mkdocs = "*"   # docs only

[[tool.poetry.source]]
name = "internal"
url = "https://pypi.example.org/simple/"
priority = "explicit"

[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""

DYNAMIC_VERSION = """
[build-system]
requires = ["poetry-core>=2.0", "poetry-dynamic-versioning>=1.0.0,<2.0.0"]
build-backend = "poetry.core.masonry.api"

[project]
name = "dynamic"
dynamic = ["version", "classifiers"]
description = "Version from git"
requires-python = ">=3.11,<3.15"
dependencies = []

[project.urls]
"Bug tracker" = "https://example.org/bugs"

[project.scripts]
dyn = "dynamic.cli:main"

[tool.poetry]
version = "0.0.0"  # filled in
classifiers = ["Topic :: Software Development"]

[tool.poetry.requires-plugins]
poetry-dynamic-versioning = { version = ">=1.0.0,<2.0.0", extras = ["plugin"] }

[tool.poetry-dynamic-versioning]
enable = false
"""

DYNAMIC_DEPENDENCIES = """
[project]
name = "mixed"
version = "2.0"
requires-python = ">=3.10"
dynamic = ["dependencies"]

[tool.poetry.dependencies]
python = ">=3.10,<3.15"
httpx = {version = ">=0.27", extras = ["http2"]}

[tool.poetry]
packages = [{include = "mixed"}]

[build-system]
requires = ["poetry-core>=2.0"]
build-backend = "poetry.core.masonry.api"
"""

COMPACT = """
[project]
name="compact"
version="1"
authors=[{name="Ann"}]
requires-python=">=3.10"
dependencies=["attrs>=23", "tomli>=2; python_version<'3.11'"] # few
scripts={compact="compact.cli:main"}
[tool.poetry]
include=["*.md",]
group={dev={dependencies={ruff="*"}}}
[build-system]
requires=["poetry-core"]
build-backend="poetry.core.masonry.api"
"""

DOTTED = """
[project]
name = "dotted"
version = "1.0"
urls.homepage = "https://example.org"
requires-python = ">=3.10"
optional-dependencies.plot = ["matplotlib>=3"]

[tool]
poetry.packages = [{ include = "dotted" }]
poetry.group.dev.dependencies.pytest = "^8"
black.line-length = 99
# the end of the tools

[build-system]
build-backend = "poetry.core.masonry.api"
requires = ["poetry-core"]
"""

STANDARD_GROUPS = """
[project]
name = "standard"
version = "0.1.0"
requires-python = ">=3.10"
dependencies = ["pydantic>=2"]

[dependency-groups]
test = ["pytest>=8"]
dev = [
\t{include-group = "test"},
\t"ruff==0.14.*",
]

[tool.pytest.ini_options]
addopts = '''
  -ra -W "ignore:# not a comment"
'''

[build-system]
requires = ["poetry-core>=2.2"]
build-backend = "poetry.core.masonry.api"
"""

NO_PACKAGE = """
[tool.poetry]
package-mode = false

[tool.poetry.dependencies]
python = "^3.10"
polars = "*"

[tool.pytest.ini_options]
pythonpath = ["scripts"]
"""

SUB_FOLDER = """
[project]
name = "company-scoring"
version = "0.1.0"
requires-python = ">=3.10"
dependencies = [
    "company-shared",
    "scikit-learn>=1.5" ]

[tool.poetry]
packages = [
    { include = "scoring", from = "src/company" },
]

[tool.poetry.dependencies]
company-shared = { path = "../shared", develop = true }

[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""

ONE_MODULE = """
# one file, no git, no license

[project]
name = "one-module"
version = "0.0.1"

[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"

#############
# The end   #
#############
"""

ARRAY_TABLES = """
[project]
name = "tables"
version = "1"
requires-python = ">=3.11"

[[tool.poetry.packages]]
include = "tables"
from = "src"

# the docs travel
[[tool.poetry.include]]
path = "README.md"
format = ["sdist"]

[[tool.mypy.overrides]]
module = "x"

[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""

INLINE = """
project = {name = "inline", version = "1", requires-python = ">=3.11", dependencies = ["attrs"]}
tool = {poetry = {packages = [{include = "inline", from = "src"}], group = {docs = {optional = true}}}}
build-system = {requires = ["poetry-core"], build-backend = "poetry.core.masonry.api"}
"""

DOTTED_THROUGHOUT = """
project.name = "points"
project.version = "1"
project.requires-python = ">=3.11"
project.scripts.points = "points.cli:main"
tool.poetry.packages = [{ include = "points", from = "src" }]
tool.poetry.group.dev.dependencies.mypy = "*"
build-system.requires = ["poetry-core"]
build-system.build-backend = "poetry.core.masonry.api"
"""

SHAPES = {
    "standard": _with(PACKAGE, "forecast", STANDARD, **{".gitignore": "dist/\n*.tmp\n"}),
    "legacy, flat": _with(FLAT, "my_legacy", LEGACY_FLAT),
    "legacy groups": _with(
        PACKAGE,
        "groups",
        LEGACY_GROUPS,
        **{
            "plugins/a.py": "",
            "CHANGELOG.md": "1\n",
            "tests/test_a.py": "",
            "src/groups/x.secret": "s",
        },
    ),
    "dynamic version": _with(FLAT, "dynamic", DYNAMIC_VERSION),
    "dynamic dependencies": _with(FLAT, "mixed", DYNAMIC_DEPENDENCIES),
    "compact": _with(PACKAGE, "compact", COMPACT),
    "dotted keys": _with(FLAT, "dotted", DOTTED, **{"tests/test_model.py": "# mine\n"}),
    "Windows": _with(PACKAGE, "forecast", STANDARD.replace("\n", "\r\n").lstrip("\r\n").rstrip()),
    "array tables": _with(PACKAGE, "tables", ARRAY_TABLES),
    "inline tables": _with(PACKAGE, "inline", INLINE),
    "dotted throughout": _with(PACKAGE, "points", DOTTED_THROUGHOUT),
    "standard groups": _with(PACKAGE, "standard", STANDARD_GROUPS),
    "no package": {"pyproject.toml": NO_PACKAGE.lstrip(), "scripts/run.py": "print(1)\n"},
    "sub-folder": _with(
        {"src/company/scoring/__init__.py": "", "Procfile": "web: mine\n"}, "", SUB_FOLDER
    ),
    "one module": _with({"one_module.py": "x = 1\n"}, "", ONE_MODULE),
}

SETUP_PY = """
from setuptools import find_packages, setup

VERSION = "1.4.2"
REQUIRED = ["attrs>=23", "idna>=3; python_version < '4'"]
EXTRAS = {"plain": ["six>=1.16"]}

setup(
    name="old-tool",
    version=VERSION,
    author="Ann",
    license="MIT",
    packages=find_packages(),
    install_requires=REQUIRED,
    extras_require=EXTRAS,
    python_requires=">=3.8",
    entry_points={"console_scripts": ["old-tool=old_tool.cli:main"]},
)
"""

SETUP_CFG = """
[metadata]
name = cfg-tool
version = attr: cfg_tool.__version__
author = Ann
license = MIT

[options]
packages = find:
python_requires = >=3.9
install_requires =
    attrs>=23
    idna; python_version < "4"

[options.entry_points]
console_scripts =
    cfg-tool = cfg_tool.cli:main

[flake8]
max-line-length = 100
"""

UV = """
[project]
name = "fast-app"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["attrs>=23"]

[dependency-groups]
dev = ["pytest>=8"]

[tool.uv]
package = false
"""


def _test(module: str, *libraries: str) -> dict[str, str]:
    """A test that a project has of its own: that it and what it needs can be imported."""
    lines = [f"    import {name}\n" for name in (*libraries, module)]
    return {"tests/test_own.py": f"def test_it_is_there():\n{''.join(lines)}"}


# Projects that are whole: each can be installed, and has a test of its own.
WHOLE = {
    "standard": {**SHAPES["standard"], **_test("forecast.config", "requests", "rich", "numpy")},
    "legacy, flat": {**SHAPES["legacy, flat"], **_test("my_legacy.cli", "pandas", "falcon")},
    "legacy groups": {**SHAPES["legacy groups"], **_test("groups.config", "yaml")},
    "dynamic dependencies": {**SHAPES["dynamic dependencies"], **_test("mixed.cli")},
    "array tables": {**SHAPES["array tables"], **_test("tables.config")},
    "inline tables": {**SHAPES["inline tables"], **_test("inline.config", "attrs")},
    "standard groups": {**SHAPES["standard groups"], **_test("standard.config", "pydantic")},
    "no package": {**SHAPES["no package"], **_test("run", "polars")},
    "sub-folder": {**SHAPES["sub-folder"], **_test("scoring", "company_shared", "sklearn")},
    "setup.py": {
        **{path.format("old_tool"): text for path, text in FLAT.items()},
        "setup.py": SETUP_PY,
        **_test("old_tool.cli", "attrs", "idna"),
    },
    "setup.cfg": {
        **{path.format("cfg_tool"): text for path, text in FLAT.items()},
        "cfg_tool/__init__.py": '__version__ = "2.5"\n',
        "setup.cfg": SETUP_CFG,
        "setup.py": "from setuptools import setup\n\nsetup()\n",
        **_test("cfg_tool.cli", "attrs", "idna"),
    },
    "uv": {
        "pyproject.toml": UV,
        "uv.lock": "version = 1\n",
        "main.py": "x = 1\n",
        **_test("main", "attrs"),
    },
    "requirements.txt": {
        "requirements.txt": "attrs==23.1.0\nidna>=3\npytest>=8\n",
        "score.py": "x = 1\n",
        **_test("score", "attrs", "idna"),
    },
}
