"""The service on Fly.io: a fly.toml that builds the Dockerfile."""

from __future__ import annotations

from poetry_ml_plugin.deploy.files import Files, render
from poetry_ml_plugin.deploy.values import Values

FILE = "fly.toml"


def plan(values: Values) -> Files:
    """The app's configuration."""
    return {FILE: render(FILE, values)}
