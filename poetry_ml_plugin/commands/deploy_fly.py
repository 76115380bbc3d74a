"""`poetry ml deploy fly`."""

from __future__ import annotations

from poetry_ml_plugin.commands.base.container import OVERWRITE, Container
from poetry_ml_plugin.deploy.container import (
    platforms,
    values,
)
from poetry_ml_plugin.project import pyproject


class Fly(Container):
    name = "ml deploy fly"
    description = "Writes a fly.toml for Fly.io."
    options = [OVERWRITE]  # noqa: RUF012

    def act(self) -> int:
        project = pyproject.find(self.folder)
        read = values.read(project)
        self._settle(
            project.root,
            {**self._image_files(project, read), **platforms.plan(platforms.FLY, read)},
        )
        self._advise(project, "fly")
        return self._next(f"fly apps create {read.name}", "fly deploy")
