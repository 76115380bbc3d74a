"""`poetry ml template check`: whether a project is a valid template."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from cleo.helpers import argument, option

from poetry_ml_plugin.commands.base.command import MLCommand, escape
from poetry_ml_plugin.commands.base.steps import Steps
from poetry_ml_plugin.commands.base.trust import agree
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import venv
from poetry_ml_plugin.project.names import Names
from poetry_ml_plugin.project.pyproject import Project
from poetry_ml_plugin.template import find, first_run, render, scaffold, update
from poetry_ml_plugin.template.environment import Environment
from poetry_ml_plugin.template.first_run import Step
from poetry_ml_plugin.template.render import Template

# Unlike any word in a template, so that one which was not replaced shows.
NAMES = Names("quite-another-name", "quite_another_name")


class Check(MLCommand):
    name = "ml template check"
    description = "Renders a template, installs it, trains its model and runs its tests."
    arguments = [argument("template", "Template, as for new --template.")]  # noqa: RUF012
    options = [option("trust", None, "Run the template's code without asking.")]  # noqa: RUF012
    help = """\
A template is a Poetry project that runs where it stands, and whose pyproject.toml names the word to
replace with a new project's name:

    [tool.poetry-ml-plugin.template]
    word = "our_model"

    <c1>poetry ml template check ./our-template</c1>
"""

    def act(self) -> int:
        with tempfile.TemporaryDirectory(prefix="poetry-ml-check-") as folder:
            return self._check(Project(Path(folder).resolve() / "checked", NAMES.package))

    def _check(self, project: Project) -> int:
        template = find.get(self.argument("template"), self.folder, self.folder)
        if not agree(self, template):
            return 1
        os.environ["POETRY_VIRTUALENVS_IN_PROJECT"] = "true"  # to be gone with the folder
        steps = Steps(self.io)
        with Environment(project, cache=self.uses_cache) as environment:
            steps.run(
                [
                    Step("Render it", lambda tell: write(template, project)),
                    *first_run.environment_steps(environment, train=True),
                    Step("Run its tests", lambda tell: first_run.run_tests(project, tell)),
                ]
            )
        if not steps.failed:
            self.line(f"<info>{escape(self.argument('template'))} is a valid template.</info>")
        return steps.exit_code


def write(template: Template, project: Project) -> str:
    """Write a project from the template. Raises MLError where a word of the template is left in it."""
    # Where the template is may have its word in it, and is remembered for updates.
    nowhere = replace(template, source="")
    files = render.plan(NAMES, venv.preferred_python(), template=nowhere)
    left = [
        str(path) for path, file in files.items() if render.has_word(file.content, template.names)
    ]
    if left:
        raise MLError(f"These files still contain the template's word: {', '.join(left)}.")
    scaffold.write(update.remember(files), project.root)
    return f"{len(files)} files"
