"""`poetry ml data …`: the project and the DVC that keeps its data."""

from __future__ import annotations

from cleo.helpers import argument, option

from poetry_ml_plugin.commands.base.command import MLCommand
from poetry_ml_plugin.commands.base.libraries import provide
from poetry_ml_plugin.data import dvc, remotes
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.project.pyproject import Project

YES = option("yes", None, "Add libraries that are missing without asking.")
TARGETS = argument("targets", "Files, if not all.", optional=True, multiple=True)
REMOTE = option("remote", "r", "The remote, if it is not the default one.", flag=False)


class DataCommand(MLCommand):
    """Has DVC installed before it is used."""

    def project(self) -> Project:
        """Find the project. Raises MLError where nobody agrees to install DVC for it."""
        project = pyproject.find(self.folder)
        if dvc.command(project.root) is None:
            provide(self, project.root, "data", bool(self.option("yes")))
        return project

    def transfer(self, verb: str, targets: list[str]) -> int:
        """Push or pull files, from or to a remote."""
        project = self.project()
        if not dvc.is_set_up(project.root):
            raise MLError("DVC keeps no data of this project yet. Run: poetry ml data add PATH")
        remote = self.option("remote") or remotes.default(project.root)
        if not remote:
            raise MLError("No remote is set. Run: poetry ml data remote URL")
        if use := remotes.needs(project.root, remote):
            provide(self, project.root, use, bool(self.option("yes")))
        try:
            dvc.run(project.root, verb, "--remote", remote, *targets, cwd=self.folder)
        except MLError as error:
            raise MLError(f"{error} {remotes.advice(project.root, remote)}") from error
        return 0
