"""`poetry ml new`: words in, a project out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from itertools import dropwhile
from pathlib import Path, PurePosixPath

from cleo.helpers import argument, option

from poetry_ml_plugin.commands.base import own_data, own_venv
from poetry_ml_plugin.commands.base.command import MLCommand, escape
from poetry_ml_plugin.commands.base.steps import Steps
from poetry_ml_plugin.commands.base.trust import agree
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import platforms, staging, venv
from poetry_ml_plugin.project import names
from poetry_ml_plugin.project.pyproject import Project
from poetry_ml_plugin.template import find, first_run, from_data, render, scaffold, update
from poetry_ml_plugin.template.environment import Environment
from poetry_ml_plugin.template.first_run import Step
from poetry_ml_plugin.template.from_data import Data
from poetry_ml_plugin.template.render import Template


class New(MLCommand):
    name = "ml new"
    description = "Creates a project with a model that trains, predicts and serves."
    arguments = [argument("path", "Folder to create.")]  # noqa: RUF012
    options = [  # noqa: RUF012
        option("name", None, "Name of the distribution (default: the folder's).", flag=False),
        option("package", None, "Name of the package (default: the distribution's).", flag=False),
        option("description", None, "Description of the project, in one sentence.", flag=False),
        option("template", None, f"{', '.join(find.SHIPPED)}, a folder or URL[@REF].", flag=False),
        *own_data.options(),
        *own_venv.options(),
        option("trust", None, "Run a foreign template's code without asking."),
        option("into", None, "Add missing files to a folder that is not empty."),
        option("no-install", None, "Do not lock, install or train."),
        option("no-train", None, "Do not train the sample model."),
        option("no-uv", None, "Do not let uv unpack the packages, where it is installed."),
        option("no-git", None, "Do not create a git repository."),
    ]
    help = """\
Creates a project folder, locks and installs its dependencies, trains the sample model, and makes the
first commit. With --data the project is about that table: its schema is inferred, and a model is chosen
and trained on it. The table stays out of git unless you say so.

What an equal project resolved within the last day is not resolved again, unless you pass --no-cache.

    <c1>poetry ml new churn</c1>
    <c1>poetry ml new churn --data customers.csv --target churned</c1>
    <c1>poetry ml new mood --template text</c1>
    <c1>poetry ml new churn --template https://example.org/our-template.git@v2</c1>
"""

    def act(self) -> int:
        try:
            with platforms.signals_raise():
                return self._make()
        except platforms.Ended as ended:  # on the way into it and out of it, too
            self.line_error("Interrupted.", style="error")
            return ended.exit_code

    def _make(self) -> int:
        target = self._target()
        own = names.derive(target, self.option("name"), self.option("package"))
        into = self.option("into") and target.is_dir() and any(target.iterdir())
        (_check_into if into else scaffold.check_target)(target)
        data = self._data(into)
        word = find.FROM_DATA if data else self.option("template")
        template = find.get(word, self.folder, target)
        description = data.description if data else self.option("description")
        files = render.plan(own, venv.preferred_python(), description, template)
        files = update.remember(files)
        if data:
            files = from_data.add(files, data)
        if into:
            files = scaffold.missing(files, target)
        self.line(f"Creating <c1>{escape(own.distribution)}</c1> in {escape(str(target))}")

        def write(tell: first_run.Tell) -> str:
            (scaffold.add if into else scaffold.write)(files, target)
            return f"{len(files)} files"

        steps, project = Steps(self.io), Project(target, own.package)
        environment, self._away = own_venv.chosen(self, target)
        with environment, from_data.whole(project) if data else contextlib.nullcontext():
            # A signal may come the moment after all was put in its place.
            done = steps.run([Step("Write the project", write)])
            if done or (steps.interrupted and (target / "pyproject.toml").exists()):
                if data:
                    return self._learn(project, steps, data, files)
                return self._bring_up(project, steps, template, files)
        return steps.exit_code

    def _data(self, into: bool) -> Data | None:
        if self.option("data") is not None and (into or self.option("template")):
            other = "--into" if into else "--template"
            raise MLError(f"--data has a template of its own, and goes with no {other}.")
        return own_data.given(self)

    def _learn(
        self, project: Project, steps: Steps, data: Data, files: Iterable[PurePosixPath]
    ) -> int:
        """Bring up a project about the user's table: all of it or, on any failure, nothing."""
        start, commit = first_run.repository_steps(project, data.committed(project, files))
        own_repository = not self.option("no-git") and steps.run([start])
        install, train = not self.option("no-install"), not self.option("no-train")
        if install:
            with self._environment(project) as environment:
                steps.run(from_data.steps(environment, data, train))
        if own_repository and not steps.failed:
            steps.run([commit])
        if steps.failed:
            from_data.take_back(project)
            self.line_error(f"Nothing of {escape(str(project.root))} is left.", style="error")
            return steps.exit_code
        for line in data.said:
            self.line(escape(f"  {line}".rstrip()))
        go = [*self._away, *self.way_to(project.root)]
        if not install:
            self._say("To go on:", [*go, data.command])
            return 0
        following = ["poetry ml serve", "poetry build"] if train else ["poetry ml train"]
        self._say("Next:", [*go, *following])
        return 0

    def _bring_up(
        self, project: Project, steps: Steps, template: Template, files: Iterable[PurePosixPath]
    ) -> int:
        install, train = not self.option("no-install"), not self.option("no-train")
        start, commit = first_run.repository_steps(project, [str(path) for path in files])
        own_repository = not self.option("no-git") and steps.run([start])
        trusted = not install or agree(self, template)
        if install and trusted:
            with self._environment(project) as environment:
                steps.run(first_run.environment_steps(environment, train))
        if own_repository:
            steps.run([commit])
        go = [*self._away, *self.way_to(project.root)]
        if steps.failed:
            self._say("Fix that, then continue with:", [*go, *steps.resume])
            return steps.exit_code
        if not trusted:
            following = ["poetry install", "poetry ml train"]
            self._say("Once you trust its code, continue with:", [*go, *following])
            return 1
        ready = install and train
        following = (
            ["poetry ml serve", "poetry build"] if ready else ["poetry ml train", "poetry ml serve"]
        )
        self._say("Next:", [*go, *following])
        return 0

    def _environment(self, project: Project) -> Environment:
        return Environment(project, not self.option("no-uv"), self.uses_cache)

    def _say(self, title: str, commands: Iterable[str]) -> None:
        self.line("")
        self.line(title)
        for command in commands:
            self.line(f"  <c1>{escape(command)}</c1>")

    def _target(self) -> Path:
        path = Path(self.argument("path")).expanduser()
        if not self.argument("path"):  # as of a variable that is not set: it is not where we are
            names.derive(path)
        if ".." in dropwhile("..".__eq__, path.parts):
            raise MLError(f'"{path}" has ".." after a folder name. Write the path without it.')
        return (self.folder / path).resolve()


def _check_into(target: Path) -> None:
    staging.clean(target)
    if (target / "pyproject.toml").exists():
        raise MLError(
            f"{target} has a pyproject.toml already. Add to that project with: "
            f"cd {platforms.quoted(str(target))}; poetry ml init"
        )
