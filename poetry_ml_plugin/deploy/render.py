"""The service on Render: a blueprint that builds the Dockerfile from the repository."""

from __future__ import annotations

from poetry_ml_plugin.deploy.files import Files, render
from poetry_ml_plugin.deploy.values import Values

FILE = "render.yaml"


def plan(values: Values) -> Files:
    """The blueprint."""
    return {FILE: render(FILE, values)}
