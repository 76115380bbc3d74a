"""`poetry ml deploy compose`."""

from __future__ import annotations

from poetry_ml_plugin.commands.base.container import IMAGE, OVERWRITE, Container
from poetry_ml_plugin.deploy.container import platforms
from poetry_ml_plugin.project import pyproject


class Compose(Container):
    name = "ml deploy compose"
    description = "Writes a compose.yaml: the service with Prometheus and Grafana on one machine."
    options = [IMAGE, OVERWRITE]  # noqa: RUF012

    def act(self) -> int:
        project = pyproject.find(self.folder)
        read = self._read(project)
        planned = platforms.plan(platforms.COMPOSE, read)
        self._settle(project.root, {**self._image_files(project, read), **planned})
        self._advise(project, "compose")
        return self._next(
            "docker compose up --build --detach",
            "docker compose ps",
        )
