"""`poetry ml deploy docker`."""

from __future__ import annotations

from cleo.helpers import argument, option

from poetry_ml_plugin.audit.facts import ProjectFacts
from poetry_ml_plugin.commands.base.command import escape
from poetry_ml_plugin.commands.base.container import IMAGE, OVERWRITE, STRICT, Container
from poetry_ml_plugin.deploy import readiness, smoke_test
from poetry_ml_plugin.deploy.container import (
    builder,
    docker,
    trial,
    values,
)
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import venv
from poetry_ml_plugin.project.pyproject import Project

PLATFORM = option("platform", None, "Platform of the image, like linux/amd64.", flag=False)


class Docker(Container):
    name = "ml deploy docker"
    description = "Writes a Dockerfile, and builds the image of the service."
    arguments = [  # noqa: RUF012
        argument("options", "Further options for the image builder, after --.", True, True)
    ]
    options = [  # noqa: RUF012
        IMAGE,
        option("push", None, "Push the image to the registry in its name."),
        PLATFORM,
        option("no-check", None, "Do not start the image and compare its predictions."),
        option("files-only", None, "Only write Dockerfile and .dockerignore."),
        OVERWRITE,
        STRICT,
    ]
    help = """\
Builds an image with docker, podman or buildah, whichever is installed. Its tag is the project's
version and a hash of its contents. The image is started, and its predictions are compared with the local
model's, before it is pushed.

    <c1>poetry ml deploy docker --image ghcr.io/acme/churn --push</c1>
"""

    def act(self) -> int:
        if (more := self.argument("options")) and not more[0].startswith("-"):
            raise MLError(
                f'"{more[0]}" is not an option of the image builder. See: poetry ml deploy docker --help'
            )
        project = self._project()
        read = self._read(project)
        if self.option("push") and "/" not in read.image:
            raise MLError(
                f'"{read.image}" has no registry to push to. Name one: --image ghcr.io/acme/{read.image}'
            )
        if not self.option("files-only"):
            docker.verify(project, anew=bool(self.option("overwrite")))
            self._warn(readiness.advice(ProjectFacts(project)))
        self._settle(project.root, self._image_files(project, read))
        if self.option("files-only"):
            return self._next(f"docker build --tag {docker.reference(project, read)} .")
        return self._build(project, read)

    def _build(self, project: Project, read: values.Values) -> int:
        program = builder.find()
        reference = docker.reference(project, read)
        self.line(f"Building <c1>{reference}</c1> with {program}")
        labels = docker.labels(project, read)
        platform = self.option("platform") or ""
        more = self.argument("options")
        builder.build(program, project.root, reference, labels, more, platform)
        if not self.option("no-check"):
            self._check(project, program, reference, platform)
        if not self.option("push"):
            tool = "podman" if program == "buildah" else program
            return self._next(f"{tool} run --rm --publish 8080:8080 {reference}")
        self.line(f"Pushing <c1>{reference}</c1>")
        builder.push(program, reference)
        return self._next("poetry ml deploy kubernetes --apply")

    def _check(self, project: Project, program: str, reference: str, platform: str) -> None:
        if program not in trial.RUNS:
            self.line(
                f"  <comment>-</comment> not started: {program} runs no image. Try it with podman"
            )
            return
        local = smoke_test.here(project, venv.find(project.root))
        if local.failure:
            raise MLError(f"The local model cannot predict its examples: {local.failure}")
        said = trial.compare(program, reference, local, platform)
        self.line(f"  <success>✓</success> started here: {escape(said)}")
