"""The project's own verbs, run in its virtualenv."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleo.helpers import argument

from poetry_ml_plugin.commands.base.command import MLCommand, escape
from poetry_ml_plugin.commands.base.libraries import provide
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import poetry, venv
from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.project.pyproject import Project

if TYPE_CHECKING:
    from poetry.utils.env import Env


def installed(command: MLCommand, project: Project) -> Env:
    """Return the environment that a project is installed in, which is made if it is missing."""
    env = venv.find(project.root)
    if env is None:
        command.line_error(f"<info>Installing {escape(project.package)} first</info>")
        poetry.install(project.root)
        env = venv.find(project.root)
    if env is None:
        raise MLError(f'{project.root} is not installed. Run "poetry install" there.')
    return env


class Verb(MLCommand):
    """Passes all that follows its name on to `python -m <package> <verb>`."""

    insists = True
    """Whether the verb does nothing without the libraries that it uses."""
    arguments = [argument("args", "What the verb takes.", optional=True, multiple=True)]  # noqa: RUF012

    def configure(self) -> None:
        super().configure()
        self.ignore_validation_errors()  # options are the verb's, and the verb knows them

    def act(self) -> int:
        project = pyproject.find(self.folder)
        env = installed(self, project)
        verb, words = str(self.name).removeprefix("ml "), self._rest()
        for name in self.uses(words):
            provide(self, project.root, name, "--yes" in words, self.insists)
        if self.uses(words):
            words = [word for word in words if word != "--yes"]
        return venv.execute(env.python, ["-m", project.package, verb, *words])

    def uses(self, words: list[str]) -> list[str]:
        """List which of LIBRARIES the verb uses when it is given these words."""
        return []

    def _rest(self) -> list[str]:
        tokens: list[str] = getattr(self.io.input, "_tokens", [])
        rest = tokens[tokens.index(str(self.name)) + 1 :]
        return rest[1:] if rest[:1] == ["--"] else rest


def verb_help(verb: str) -> str:
    return (
        f"Runs <c1>python -m PACKAGE {verb}</c1> in the project's virtualenv, which is made if it is "
        f"missing.\n\nIts options: <c1>poetry ml {verb} -- --help</c1>"
    )
