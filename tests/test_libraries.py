"""Libraries of one use, added to a project that lacks them."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import poetry

from poetry_ml_plugin.project import libraries, pyproject

PYPROJECT = """[project]
name = "tiny"
version = "0.1.0"
requires-python = ">=3.11,<3.15"
dependencies = []

[tool.poetry]
packages = [{ include = "tiny" }]

[tool.poetry-ml-plugin]
package = "tiny"

[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""
# What `predict` imports first in a project's environment, here in place of the command.
MAIN = "import sys, pyarrow\nprint('pyarrow', sys.argv[1:])\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project that is installed and needs no library."""
    package = tmp_path / "tiny"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(MAIN)
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    poetry("config", "virtualenvs.in-project", "true", "--local", cwd=tmp_path)
    poetry("install", cwd=tmp_path)
    return tmp_path


def test_a_command_that_needs_a_library_says_how_to_add_it_and_adds_it_with_yes(root: Path) -> None:
    before = (root / "pyproject.toml").read_text()
    refused = poetry("ml", "predict", "rows.parquet", cwd=root, code=1)
    assert "This needs pyarrow. Run: poetry ml add parquet" in refused.stderr
    assert (root / "pyproject.toml").read_text() == before
    done = poetry("ml", "predict", "rows.parquet", "--yes", cwd=root)
    assert "pyarrow ['predict', 'rows.parquet']" in done.stdout
    assert "pyarrow" in pyproject.describe(root).groups["main"]
    assert libraries.missing(root, "parquet") == []
    after = (root / "pyproject.toml").read_text()
    poetry("ml", "add", "parquet", cwd=root)
    assert (root / "pyproject.toml").read_text() == after
