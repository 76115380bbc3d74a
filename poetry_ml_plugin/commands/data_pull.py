"""`poetry ml data pull`: data brought from a remote."""

from __future__ import annotations

from poetry_ml_plugin.commands.base.data import REMOTE, TARGETS, YES, DataCommand


class Pull(DataCommand):
    name = "ml data pull"
    description = "Brings the data that DVC keeps from a remote."
    arguments = [TARGETS]  # noqa: RUF012
    options = [REMOTE, YES]  # noqa: RUF012

    def act(self) -> int:
        return self.transfer("pull", self.argument("targets"))
