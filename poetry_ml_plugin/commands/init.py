"""`poetry ml init`: a plan out, a word in, a machine-learning project where a project was."""

from __future__ import annotations

import difflib
import sys
from collections import Counter

from cleo.helpers import option

from poetry_ml_plugin.adopt import inspect, metadata, plan
from poetry_ml_plugin.adopt.inspect import Existing
from poetry_ml_plugin.adopt.plan import Plan
from poetry_ml_plugin.audit import signature
from poetry_ml_plugin.audit.problems import listing
from poetry_ml_plugin.commands.base import own_data, own_venv
from poetry_ml_plugin.commands.base.command import MLCommand, escape
from poetry_ml_plugin.commands.base.steps import Steps
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import platforms, venv
from poetry_ml_plugin.project.pyproject import Project
from poetry_ml_plugin.template import first_run, from_data
from poetry_ml_plugin.template.environment import Environment
from poetry_ml_plugin.template.first_run import Step
from poetry_ml_plugin.template.from_data import Data


class Init(MLCommand):
    name = "ml init"
    description = "Adds training and serving of a model to an existing project."
    options = [  # noqa: RUF012
        option("package", None, "The name of the package to add.", flag=False),
        *own_data.options(),
        *own_venv.options(),
        option("yes", "y", "Do not ask, and run a setup.py that computes what it says."),
        option("loosen", None, "Bring pinned versions over as lower bounds, and list them."),
        option("dry-run", None, "Print the plan as a diff, and change nothing."),
        option("no-install", None, "Do not lock, install or train."),
        option("no-train", None, "Do not train the sample model."),
    ]
    help = """\
Shows what it would add to the Poetry project in this folder, asks, and adds it. Existing files
stay as they are, except that lines are added to pyproject.toml. A project made by whisk, with its
<c1>setup.py</c1> and <c1>requirements.txt</c1>, becomes a Poetry project, and its model is served.

    <c1>poetry ml init --dry-run</c1>
"""

    def act(self) -> int:
        try:
            with platforms.signals_raise():
                return self._add()
        except platforms.Ended as ended:  # on the way into it and out of it, too
            self.line_error("Interrupted.", style="error")
            return ended.exit_code

    def _add(self) -> int:
        found = inspect.find(self.folder)
        project = self._complete(inspect.loosened(found) if self.option("loosen") else found)
        data = own_data.given(self)
        todo = plan.plan(project, venv.preferred_python(), self.option("package"), data)
        if todo.is_empty:
            self.line(
                f"{escape(str(todo.root))} is already a machine-learning project: nothing to add."
            )
            return 0
        if todo.model:
            self._refuse_unservable(todo)
        if self.option("dry-run"):
            for line in plan.diff(todo):
                self.write(escape(line))
            return 0
        self._show(todo)
        if todo.renews:
            return self._renew(todo) if self._agreed() else self._left()
        environment, self._away = own_venv.chosen(self, todo.root)
        if not self._agreed():
            return self._left()
        with environment:
            return self._learn(todo, data) if data else self._apply(todo)

    def _left(self) -> int:
        self.line("Nothing was changed.")
        return 1

    def _renew(self, todo: Plan) -> int:
        plan.apply(todo)
        self.line(f"Recorded the artifacts of {escape(str(todo.model))} in the manifest.")
        return 0

    def _refuse_unservable(self, todo: Plan) -> None:
        """Raise MLError where the source of the model's `predict` says that it cannot be served."""
        places = (todo.root / "src" / str(todo.model), todo.root / str(todo.model))
        path = next(place / signature.MODEL for place in places if place.is_dir())
        where = path.relative_to(todo.root).as_posix()
        if problems := list(signature.problems(path, where)):
            raise MLError(f"The model cannot be served. Nothing was changed.\n{listing(problems)}")

    def _complete(self, project: Existing) -> Existing:
        """Ask the build back end for what setup.py computes, if the user agrees to run that."""
        if not project.computed or self.option("dry-run"):
            return project
        if not self.option("yes"):
            if self.io.input.has_parameter_option(["--no-interaction", "-n"]):
                return project
            names = ", ".join(project.computed)
            files = metadata.sources(project.root)
            self.write(f"{files} computes {escape(names)}. Run it to read that? (yes/no) [no] ")
            if sys.stdin.readline().strip().lower() not in ("y", "yes"):
                return project
        try:
            return inspect.asked(project)
        except MLError as error:
            self.line_error(escape(str(error)), style="warning")
            return project

    def _agreed(self) -> bool:
        if self.option("yes") or self.io.input.has_parameter_option(["--no-interaction", "-n"]):
            return True
        self.write("Add these changes? (yes/no) [no] ")
        answer = sys.stdin.readline()  # cleo's own question asks for ever where nobody is
        if not answer:
            raise MLError("Not an interactive terminal: pass --yes. Nothing was changed.")
        return answer.strip().lower() in ("y", "yes")

    def _show(self, todo: Plan) -> None:
        self.line(
            f"To <c1>{escape(todo.names.distribution)}</c1> in {escape(str(todo.root))}, these changes are made:"
        )
        self.line("")
        package = f"src/{todo.names.package}"
        folders = Counter(
            package if f"{name}".startswith(package) else f"{name}" for name in todo.files
        )
        for name, count in folders.items():
            many = f"/  ({count} files)" if name == package else ""
            self.line(f"  <success>+</success> {escape(name)}{many}")
        self.line("")
        self.line("  pyproject.toml")
        before, after = (text.decode().splitlines() for text in (todo.before, todo.after))
        for line in list(difflib.unified_diff(before, after, n=0, lineterm=""))[2:]:
            if not line.startswith("@@") and line[1:].strip():
                self.line(f"    {escape(line)}")
        self.line("")
        if todo.kept:
            self.line(f"Kept unchanged: {escape(', '.join(todo.kept))}")
        for note in (*todo.notes, *plan.doubtful(todo)):
            self.line(escape(note))

    def _apply(self, todo: Plan) -> int:
        def write(tell: first_run.Tell) -> str:
            plan.apply(todo)
            return f"{len(todo.files)} files"

        steps = Steps(self.io)
        done = steps.run([Step("Add to the project", write, "poetry ml init")])
        sample = todo.model is None and not self.option("no-train")
        if (done or steps.interrupted) and not self.option("no-install"):
            project = Project(todo.root, todo.names.package)
            with Environment(project, cache=self.uses_cache) as environment:
                steps.run(first_run.environment_steps(environment, train=sample))
        if steps.failed:
            self._say("Fix that, then continue with:", todo, steps.resume)
            return steps.exit_code
        installed = not self.option("no-install")
        following = [] if installed else ["poetry lock", "poetry install"]
        if todo.model is None and not (installed and sample):
            following += ["poetry ml train"]
        self._say("Next:", todo, [*following, "poetry ml serve"])
        return 0

    def _learn(self, todo: Plan, data: Data) -> int:
        """Add a model of the user's table: all of it or, on any failure, nothing."""
        path = todo.root / "poetry.lock"
        lock = path.read_bytes() if path.exists() else None
        project = Project(todo.root, todo.names.package)
        install, train = not self.option("no-install"), not self.option("no-train")

        def write(tell: first_run.Tell) -> str:
            plan.apply(todo)
            return f"{len(todo.files)} files"

        steps = Steps(self.io)
        try:
            if steps.run([Step("Add to the project", write)]) and install:
                with Environment(project, cache=self.uses_cache) as environment:
                    steps.run(from_data.steps(environment, data, train))
        except BaseException:  # a signal between two steps
            plan.take_back(todo, lock)
            raise
        if steps.failed:
            plan.take_back(todo, lock)
            self.line_error("The project is as it was.", style="error")
            return steps.exit_code
        for line in data.said:
            self.line(escape(f"  {line}".rstrip()))
        following = [] if install else ["poetry lock", data.command]
        self._say(
            "Next:", todo, [*following, *([] if train else ["poetry ml train"]), "poetry ml serve"]
        )
        return 0

    def _say(self, title: str, todo: Plan, commands: list[str]) -> None:
        self.line("")
        self.line(title)
        for command in [*self._away, *self.way_to(todo.root), *commands]:
            self.line(f"  <c1>{escape(command)}</c1>")
