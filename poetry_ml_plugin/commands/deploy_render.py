"""`poetry ml deploy render`."""

from __future__ import annotations

import re

from poetry_ml_plugin.commands.base.container import OVERWRITE, Container
from poetry_ml_plugin.deploy.container import (
    platforms,
    values,
)
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import git
from poetry_ml_plugin.project import pyproject


class Render(Container):
    name = "ml deploy render"
    description = "Writes a blueprint for Render."
    options = [OVERWRITE]  # noqa: RUF012

    def act(self) -> int:
        project = pyproject.find(self.folder)
        read = values.read(project)
        top = git.outer_repository(project.root) if git.available() else None
        top = (top or project.root).resolve()
        below = project.root.resolve().relative_to(top).as_posix()
        if not re.fullmatch(r"[\w./-]+", below, re.ASCII):
            raise MLError(f'The folder "{below}" cannot be written into {platforms.RENDER}.')
        blueprint = platforms.blueprint(top, read, below)
        self._settle(project.root, self._image_files(project, read))
        self._settle(top, blueprint)
        self._advise(project, "render")
        artifacts = project.artifacts_dir.relative_to(project.root).as_posix()
        return self._next(
            f"git add Dockerfile .dockerignore :/{platforms.RENDER} {artifacts}",
            "git commit --message 'Deploy to Render' && git push",
        )
