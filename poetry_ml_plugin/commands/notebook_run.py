"""`poetry ml notebook run`: a notebook executed into reports/."""

from __future__ import annotations

from pathlib import Path

from cleo.helpers import argument, option

from poetry_ml_plugin.commands.base.command import MLCommand, escape
from poetry_ml_plugin.commands.base.libraries import provide
from poetry_ml_plugin.commands.base.verb import installed
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import notebooks, pyproject


class Run(MLCommand):
    name = "ml notebook run"
    description = "Runs a notebook from top to bottom, and writes it into reports/."
    arguments = [argument("path", "The notebook.")]  # noqa: RUF012
    options = [  # noqa: RUF012
        option(
            "parameter", "p", "A parameter, key=value; may be repeated.", flag=False, multiple=True
        ),
        option("yes", None, "Add libraries that are missing without asking."),
    ]
    help = """\
The parameters replace those in the cell that is tagged "parameters". Where a cell raises, it is named, and
reports/ stays as it was.

    <c1>poetry ml notebook run notebooks/exploration.ipynb -p shown=20</c1>
"""

    def act(self) -> int:
        project = pyproject.find(self.folder)
        parameters = [_pair(word) for word in self.option("parameter")]
        path = (self.folder / Path(self.argument("path")).expanduser()).resolve()
        env = installed(self, project)
        provide(self, project.root, "notebook", bool(self.option("yes")))
        target = notebooks.run(env.python, project.root, path, parameters)
        self.line(f"<success>Written</success> {escape(project.at(target))}")
        return 0


def _pair(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not equals or not key.isidentifier():
        raise MLError(f'"{word}" is not a parameter. Write -p key=value.')
    return key, value
