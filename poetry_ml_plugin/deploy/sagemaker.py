"""The service as a SageMaker endpoint: a CloudFormation template around its image."""

from __future__ import annotations

from poetry_ml_plugin.deploy.files import Files, render
from poetry_ml_plugin.deploy.values import Values

FILE = "sagemaker.yaml"


def plan(values: Values) -> Files:
    """The template. Its image is a parameter, for SageMaker takes it from ECR alone."""
    return {FILE: render(FILE, values)}
