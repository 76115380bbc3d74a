"""`poetry ml deploy sagemaker`."""

from __future__ import annotations

from poetry_ml_plugin.commands.base.container import IMAGE, OVERWRITE, Container
from poetry_ml_plugin.deploy.container import (
    platforms,
)
from poetry_ml_plugin.project import pyproject


class SageMaker(Container):
    name = "ml deploy sagemaker"
    description = "Writes a CloudFormation template for a SageMaker endpoint."
    options = [IMAGE, OVERWRITE]  # noqa: RUF012

    def act(self) -> int:
        project = pyproject.find(self.folder)
        read = self._read(project)
        self._settle(
            project.root,
            {**self._image_files(project, read), **platforms.plan(platforms.SAGEMAKER, read)},
        )
        registry = "ACCOUNT.dkr.ecr.REGION.amazonaws.com"
        image = read.image if "/" in read.image else f"{registry}/{read.image}"
        return self._next(
            f"poetry ml deploy docker --image {image} --platform linux/amd64 --push",
            f"aws cloudformation deploy --template-file {platforms.SAGEMAKER} --stack-name {read.name} "
            "--capabilities CAPABILITY_IAM --parameter-overrides Image=THE_IMAGE_JUST_PUSHED",
        )
