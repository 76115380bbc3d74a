"""`poetry ml deploy lambda`."""

from __future__ import annotations

from poetry_ml_plugin.commands.base.container import IMAGE, OVERWRITE, Container
from poetry_ml_plugin.deploy.container import docker, platforms
from poetry_ml_plugin.project import pyproject


class Lambda(Container):
    name = "ml deploy lambda"
    description = "Writes the image of an AWS Lambda function with a URL, and its template."
    options = [IMAGE, OVERWRITE]  # noqa: RUF012
    help = """\
Writes lambda/: a Dockerfile that puts AWS' runtime interface client on top of the service's image, the handler,
and a CloudFormation template of the function with its URL. Requests are those of the service.
"""

    def act(self) -> int:
        project = pyproject.find(self.folder)
        read = self._read(project)
        planned = platforms.plan(platforms.LAMBDA, read)
        self._settle(project.root, {**self._image_files(project, read), **planned})
        self._advise(project, "lambda")
        reference = docker.reference(project, read)
        registry = f"ACCOUNT.dkr.ecr.REGION.amazonaws.com/{read.name}-lambda:{reference.rpartition(':')[2]}"
        return self._next(
            "poetry ml deploy docker --platform linux/amd64",
            "docker build --platform linux/amd64 --provenance=false "
            f"--build-arg IMAGE={reference} --tag {registry} lambda",
            f"docker push {registry}",
            f"aws cloudformation deploy --template-file lambda/template.yaml --stack-name {read.name} "
            f"--capabilities CAPABILITY_IAM --parameter-overrides Image={registry}",
        )
