"""`poetry ml data push`: data sent to a remote."""

from __future__ import annotations

from poetry_ml_plugin.commands.base.data import REMOTE, TARGETS, YES, DataCommand


class Push(DataCommand):
    name = "ml data push"
    description = "Sends the data that DVC keeps to a remote."
    arguments = [TARGETS]  # noqa: RUF012
    options = [REMOTE, YES]  # noqa: RUF012

    def act(self) -> int:
        return self.transfer("push", self.argument("targets"))
