"""The deploy targets: those of the plugin, and those of other packages."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import metadata

from poetry_ml_plugin.deploy.target import Target

GROUP = "poetry_ml_plugin.targets"

TARGETS = {
    "heroku": Target(
        summary="builds and runs the service on Heroku",
        needs="a Heroku account: $HEROKU_API_KEY, ~/.netrc or the heroku CLI's login",
        commands={
            "": "poetry_ml_plugin.commands.deploy_heroku:Deploy",
            "status": "poetry_ml_plugin.commands.deploy_heroku_status:Status",
            "logs": "poetry_ml_plugin.commands.deploy_heroku_logs:Logs",
            "releases": "poetry_ml_plugin.commands.deploy_heroku_releases:Releases",
            "rollback": "poetry_ml_plugin.commands.deploy_heroku_rollback:Rollback",
            "scale": "poetry_ml_plugin.commands.deploy_heroku_scale:Scale",
            "open": "poetry_ml_plugin.commands.deploy_heroku_open:Open",
            "destroy": "poetry_ml_plugin.commands.deploy_heroku_destroy:Destroy",
        },
        checks="poetry_ml_plugin.deploy.heroku.readiness:CHECKS",
    ),
    "docker": Target(
        summary="writes a Dockerfile, builds the image, and pushes it if asked to",
        needs="docker, podman or buildah",
        commands={"": "poetry_ml_plugin.commands.deploy_docker:Docker"},
        checks="poetry_ml_plugin.deploy.container.readiness:IMAGE",
    ),
    "compose": Target(
        summary="writes a compose.yaml: the service with Prometheus and a dashboard in Grafana",
        needs="Docker with Compose, or podman-compose",
        commands={"": "poetry_ml_plugin.commands.deploy_compose:Compose"},
        checks="poetry_ml_plugin.deploy.container.readiness:IMAGE",
    ),
    "kubernetes": Target(
        summary="writes manifests (KServe's and Knative's too), and applies them if asked to",
        needs="an image that the cluster can pull; kubectl to apply",
        commands={"": "poetry_ml_plugin.commands.deploy_kubernetes:Kubernetes"},
        checks="poetry_ml_plugin.deploy.container.readiness:IMAGE",
    ),
    "sagemaker": Target(
        summary="writes a CloudFormation template for a SageMaker endpoint",
        needs="the image in ECR, and the aws CLI",
        commands={"": "poetry_ml_plugin.commands.deploy_sagemaker:SageMaker"},
        checks="poetry_ml_plugin.deploy.container.readiness:IMAGE",
    ),
    "lambda": Target(
        summary="writes an image and a template for an AWS Lambda function with a URL",
        needs="docker, a repository in ECR, and the aws CLI",
        commands={"": "poetry_ml_plugin.commands.deploy_lambda:Lambda"},
        checks="poetry_ml_plugin.deploy.container.readiness:IMAGE",
    ),
    "render": Target(
        summary="writes a blueprint for Render",
        needs="a repository that Render can read, artifacts included",
        commands={"": "poetry_ml_plugin.commands.deploy_render:Render"},
        checks="poetry_ml_plugin.deploy.container.readiness:RENDER",
    ),
    "fly": Target(
        summary="writes a fly.toml for Fly.io",
        needs="the fly CLI",
        commands={"": "poetry_ml_plugin.commands.deploy_fly:Fly"},
        checks="poetry_ml_plugin.deploy.container.readiness:IMAGE",
    ),
    "huggingface": Target(
        summary="writes the files of a Docker Space on Hugging Face, to upload",
        needs="the hf CLI, logged in",
        commands={"": "poetry_ml_plugin.commands.deploy_huggingface:HuggingFace"},
        checks="poetry_ml_plugin.deploy.container.readiness:IMAGE",
    ),
}


def targets() -> dict[str, Target]:
    """Collect every target by its name. One that does not load is reported on standard error."""
    return {**TARGETS, **_others()}


def command_paths(known: Mapping[str, Target]) -> dict[str, str]:
    """Map the full name of each target's commands to the path of its class."""
    return {
        f"ml deploy {name} {words}".rstrip(): path
        for name, target in known.items()
        for words, path in target.commands.items()
    }


def _others() -> dict[str, Target]:
    found = {}
    for entry in metadata.entry_points(group=GROUP):
        if entry.name in TARGETS:
            continue
        try:
            target = entry.load()
        except Exception as error:  # noqa: BLE001
            # Somebody else's bug must not be the reason why nothing can be deployed.
            print(f"The deploy target {entry.name} does not load: {error!r}", file=sys.stderr)
            continue
        if isinstance(target, Target):
            found[entry.name] = target
        else:
            print(f"The deploy target {entry.name} is no Target: {entry.value}", file=sys.stderr)
    return found
