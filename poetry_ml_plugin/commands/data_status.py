"""`poetry ml data status`: how the data here differs from what is recorded, and from a remote."""

from __future__ import annotations

from poetry_ml_plugin.commands.base.data import REMOTE, YES, DataCommand
from poetry_ml_plugin.data import dvc, remotes
from poetry_ml_plugin.errors import MLError


class Status(DataCommand):
    name = "ml data status"
    description = "Shows how the data differs from what is recorded, and from the remote."
    options = [REMOTE, YES]  # noqa: RUF012

    def act(self) -> int:
        root = self.project().root
        if not dvc.is_set_up(root):
            raise MLError("DVC keeps no data of this project yet. Run: poetry ml data add PATH")
        self.line("<info>Recorded and here:</info>")
        dvc.run(root, "status")
        if remote := self.option("remote") or remotes.default(root):
            self.line(f"<info>Here and at the remote {remote}:</info>")
            try:
                remotes.check_answers(root, remote)
                dvc.run(root, "status", "--cloud", "--remote", remote)
            except MLError as error:
                raise MLError(f"{error} {remotes.advice(root, remote)}") from error
        return 0
