"""`poetry ml deploy render`."""

from __future__ import annotations

from poetry_ml_plugin.commands.base.container import OVERWRITE, Container
from poetry_ml_plugin.deploy.container import (
    platforms,
    values,
)
from poetry_ml_plugin.project import pyproject


class Render(Container):
    name = "ml deploy render"
    description = "Writes a blueprint for Render."
    options = [OVERWRITE]  # noqa: RUF012

    def act(self) -> int:
        project = pyproject.find(self.folder)
        read = values.read(project)
        self._settle(
            project.root,
            {**self._image_files(project, read), **platforms.plan(platforms.RENDER, read)},
        )
        self._advise(project, "render")
        artifacts = project.artifacts_dir.relative_to(project.root).as_posix()
        return self._next(
            f"git add Dockerfile .dockerignore {platforms.RENDER} {artifacts}",
            "git commit --message 'Deploy to Render' && git push",
        )
