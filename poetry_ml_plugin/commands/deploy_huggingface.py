"""`poetry ml deploy huggingface`."""

from __future__ import annotations

from cleo.helpers import argument

from poetry_ml_plugin.audit.facts import ProjectFacts
from poetry_ml_plugin.commands.base.container import OVERWRITE, STRICT, Container
from poetry_ml_plugin.deploy import memory, readiness
from poetry_ml_plugin.deploy.container import docker, space
from poetry_ml_plugin.deploy.container.values import read as read_values
from poetry_ml_plugin.errors import MLError

TARGET = "huggingface"


class HuggingFace(Container):
    name = "ml deploy huggingface"
    description = "Writes the files of a Docker Space on Hugging Face."
    arguments = [  # noqa: RUF012
        argument("space", "The Space, like acme/churn, saved in pyproject.toml.", optional=True)
    ]
    options = [OVERWRITE, STRICT]  # noqa: RUF012
    help = f"""\
Puts what the image is built from into {space.FOLDER}, with a README.md that Hugging Face understands. Hugging Face
builds the Dockerfile and runs it. A Space is public unless you make it private.
"""

    def act(self) -> int:
        project = self._project()
        name = self.argument("space") or str(memory.recall(project, TARGET).get("space", ""))
        if name and not space.NAME.fullmatch(name):
            raise MLError(f'"{name}" is not the name of a Space. Write one like acme/churn.')
        docker.verify(project, anew=bool(self.option("overwrite")))
        self._warn(readiness.advice(ProjectFacts(project)))
        if name and memory.recall(project, TARGET).get("space") != name:
            memory.remember(project, TARGET, {"space": name})
        read = read_values(project)
        self._settle(project.root, self._image_files(project, read))
        names = space.assemble(project, read)
        self.line(f"  <success>✓</success> {space.FOLDER} with {len(names)} files")
        name = name or f"ACCOUNT/{read.name}"
        return self._next(
            f"hf repos create {name} --repo-type space --space-sdk docker --exist-ok",
            f"hf upload {name} {space.FOLDER} . --repo-type space --delete '*'",
        )
