"""The platforms that want one file beside the Dockerfile."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from poetry_ml_plugin.deploy.container.files import Files, render
from poetry_ml_plugin.deploy.container.values import TEMPLATE, Values
from poetry_ml_plugin.errors import MLError

SAGEMAKER = "sagemaker.yaml"  # CloudFormation; the image is a parameter, which must come from ECR
RENDER = "render.yaml"  # a blueprint, which builds the Dockerfile from the repository
FLY = "fly.toml"
MONITORING = (
    "monitoring/prometheus.yml",
    "monitoring/grafana/datasources/prometheus.yaml",
    "monitoring/grafana/dashboards/provider.yaml",
    "monitoring/grafana/dashboards/service.json",
)
COMPOSE = ("compose.yaml", *MONITORING)
LAMBDA = ("lambda/Dockerfile", "lambda/handler.py", "lambda/template.yaml")


def plan(names: str | Iterable[str], values: Values) -> Files:
    """Render a platform's files for a project."""
    python = {f"python:{TEMPLATE.python}-slim": f"python:{values.python}-slim"}
    wanted = [names] if isinstance(names, str) else names
    return {name: render(name, values, **python) for name in wanted}


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
