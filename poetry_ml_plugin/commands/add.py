"""`poetry ml add`: files that a project may have, and does not by default."""

from __future__ import annotations

from cleo.helpers import argument

from poetry_ml_plugin.commands.base.command import MLCommand, escape
from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.template import extras


class Add(MLCommand):
    name = "ml add"
    description = f"Adds {', '.join(extras.EXTRAS)} to the project."
    arguments = [argument("what", ", ".join(extras.EXTRAS))]  # noqa: RUF012
    help = "\n".join(f"  <c1>{name:<13}</c1> {what}" for name, what in extras.EXTRAS.items())

    def act(self) -> int:
        project = pyproject.find(self.folder)
        files = extras.plan(project, self.argument("what"))
        extras.write(files)
        for path in files:
            self.line(f"  <info>added</info> {escape(str(path))}")
        return 0
