"""The platforms that want one file beside the Dockerfile."""

from __future__ import annotations

import re
from pathlib import Path

from poetry_ml_plugin.deploy.container.files import Files, render
from poetry_ml_plugin.deploy.container.values import Values
from poetry_ml_plugin.errors import MLError

SAGEMAKER = "sagemaker.yaml"  # CloudFormation; the image is a parameter, which must come from ECR
RENDER = "render.yaml"  # a blueprint, which builds the Dockerfile from the repository
FLY = "fly.toml"


def plan(file: str, values: Values) -> Files:
    """Render a platform's file for a project."""
    return {file: render(file, values)}


def blueprint(top: Path, values: Values, below: str) -> Files:
    """Render Render's file, which it reads at the top of a repository alone.

    `below` is the project's folder in it, or ".". Raises MLError where the file there is about other services:
    it is one for all of them.
    """
    text = render(RENDER, values)
    if below != ".":
        text = text.replace("    runtime: docker\n", f"    runtime: docker\n    rootDir: {below}\n")
    path = top / RENDER
    there = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    if there and not re.search(rf"(?m)^\s*(- )?name: {re.escape(values.name)}$", there):
        service = text.partition("services:\n")[2]
        raise MLError(f"{path} is about other services. Add this one to them:\n{service}")
    return {RENDER: text}
