"""How Sphinx builds the documentation."""

from __future__ import annotations

import tomllib
from pathlib import Path

PYPROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]

project = PYPROJECT["name"]
version = release = PYPROJECT["version"]
author = PYPROJECT["authors"][0]["name"]
project_copyright = author
html_title = project

extensions = ["myst_parser"]
myst_heading_anchors = 3

html_theme = "furo"
html_theme_options = {
    "source_repository": PYPROJECT["urls"]["Repository"],
    "source_branch": "main",
    "source_directory": "docs/",
}
