"""`poetry ml train | evaluate | predict | serve`: the project's own verbs, in its virtualenv."""

from __future__ import annotations

from cleo.helpers import argument

from poetry_ml_plugin import poetry_process, project, venv
from poetry_ml_plugin.commands.command import MLCommand, escape
from poetry_ml_plugin.errors import MLError


class Verb(MLCommand):
    """Passes all that follows its name on to `python -m <package> <verb>`."""

    arguments = [argument("args", "What the verb takes.", optional=True, multiple=True)]  # noqa: RUF012

    def configure(self) -> None:
        super().configure()
        self.ignore_validation_errors()  # options are the verb's, and the verb knows them

    def act(self) -> int:
        found = project.find(self.folder)
        env = venv.find(found.root)
        if env is None:
            self.line_error(f"<info>Installing {escape(found.package)} first</info>")
            poetry_process.install(found.root)
            env = venv.find(found.root)
        if env is None:
            raise MLError(f'{found.root} is not installed. Run "poetry install" there.')
        verb = str(self.name).removeprefix("ml ")
        return venv.execute(env.python, ["-m", found.package, verb, *self._rest()])

    def _rest(self) -> list[str]:
        tokens: list[str] = getattr(self.io.input, "_tokens", [])
        rest = tokens[tokens.index(str(self.name)) + 1 :]
        return rest[1:] if rest[:1] == ["--"] else rest


def _help(verb: str) -> str:
    return (
        f"Runs <c1>python -m PACKAGE {verb}</c1> in the project's virtualenv, which is made if it is "
        f"missing.\n\nIts options: <c1>poetry ml {verb} -- --help</c1>"
    )


class Train(Verb):
    name = "ml train"
    description = "Trains the model and saves it with its manifest."
    help = _help("train")


class Evaluate(Verb):
    name = "ml evaluate"
    description = "Evaluates the saved model on held-out rows."
    help = _help("evaluate")


class Predict(Verb):
    name = "ml predict"
    description = "Predicts rows given as JSON, as a file or on standard input."
    help = _help("predict")


class Serve(Verb):
    name = "ml serve"
    description = "Serves the model over HTTP."
    help = _help("serve")
