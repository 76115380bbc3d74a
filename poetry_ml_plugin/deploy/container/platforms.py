"""The platforms that want one file beside the Dockerfile."""

from __future__ import annotations

from poetry_ml_plugin.deploy.container.files import Files, render
from poetry_ml_plugin.deploy.container.values import Values

SAGEMAKER = "sagemaker.yaml"  # CloudFormation; the image is a parameter, which must come from ECR
RENDER = "render.yaml"  # a blueprint, which builds the Dockerfile from the repository
FLY = "fly.toml"


def plan(file: str, values: Values) -> Files:
    """Render a platform's file for a project."""
    return {file: render(file, values)}
