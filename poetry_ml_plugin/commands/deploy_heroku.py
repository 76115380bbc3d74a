"""`poetry ml deploy heroku`."""

from __future__ import annotations

import difflib
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from cleo.helpers import argument, option

from poetry_ml_plugin import deploy
from poetry_ml_plugin.commands.base.command import escape
from poetry_ml_plugin.commands.base.steps import Steps
from poetry_ml_plugin.deploy import memory
from poetry_ml_plugin.deploy.heroku import preflight
from poetry_ml_plugin.deploy.heroku.app import CLI
from poetry_ml_plugin.deploy.heroku.deployment import (
    Deployment,
    DeployOptions,
    Source,
    app_name,
)
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import pyproject

if TYPE_CHECKING:
    from typing import BinaryIO

    from poetry_ml_plugin.deploy.heroku.preflight import Prepared
    from poetry_ml_plugin.project.pyproject import Project

from poetry_ml_plugin.commands.base.heroku import SIZE, TARGET, HerokuCommand, count


class Deploy(HerokuCommand):
    name = "ml deploy heroku"
    description = "Builds and runs the service on Heroku."
    arguments = [  # noqa: RUF012
        argument("app", "Name of the app, which is created if it does not exist.", optional=True)
    ]
    options = [  # noqa: RUF012
        option(
            "env",
            "e",
            "Config var: KEY=VALUE, or KEY to copy it from the environment.",
            flag=False,
            multiple=True,
        ),
        option("dynos", None, "Number of web dynos.", flag=False),
        SIZE,
        option("region", None, "Region of a new app, like eu.", flag=False),
        option("team", None, "Team that owns the new app.", flag=False),
        option("dry-run", None, "Show what would be sent, and stop."),
        option("strict", None, "Refuse code that changed since the model was trained."),
        option("force", None, "Deploy again although the files have not changed."),
    ]
    help = f"""\
Sends the tracked files and the trained artifacts to Heroku, builds and starts the service there, and
compares its first prediction with the local model's. It needs neither a commit nor the heroku CLI.
The app's name is saved in pyproject.toml.

    <c1>{CLI} my-app --env LOG_LEVEL=info --env API_TOKEN</c1>

Exit codes: 1 nothing was changed, or Heroku refused; 3 the build failed; 4 the service did not start;
5 predictions differ from the local model; 6 what was released could not be checked, because the network was
lost or somebody released other code meanwhile; 130 and 143 interrupted. Except with 6, whatever served before
serves on.
"""

    def work(self) -> int:
        project = pyproject.find(self.folder)
        if self.option("strict"):
            project = replace(project, strict=True)
        options = self._options(project)
        steps = Steps(self.io)
        with tempfile.TemporaryFile() as file:
            with steps.step("Check and pack") as done:
                ready = preflight.prepare(project, options.size, cast("BinaryIO", file))
                done(_summary(ready))
            for note in ready.notes:
                self.line(f"  <comment>{escape(note)}</comment>")
            if self.option("dry-run"):
                self._show(options, ready)
                return 0
            source = Source(
                cast("BinaryIO", file),
                ready.packed,
                ready.description,
                ready.smoke_test.prediction,
                ready.smoke_test.rows,
                _service_key(project.package.upper(), options.env),
            )
            deployment = Deployment(self.api(), steps, options, source, self.unproved)
            url = deployment.run(self._remember(project, steps))
        self.line("")
        self.line(f"  <c1>{escape(url)}</c1>")
        return 0

    def _options(self, project: Project) -> DeployOptions:
        verbs = [verb for verb in deploy.TARGETS[TARGET].commands if verb]
        if near := difflib.get_close_matches(self.argument("app") or "", verbs, 1, 0.75):
            # Else a slip of the finger would make an app.
            raise MLError(
                f'Did you mean "{CLI} {near[0]}"? Otherwise choose another name for the app.'
            )
        named = self.argument("app") or self.remembered()
        dynos = self.option("dynos")
        return DeployOptions(
            app=named or app_name(preflight.distribution(project)),
            named=bool(named),
            region=self.option("region") or "",
            team=self.option("team") or "",
            env=variables(self.option("env"), dict(os.environ)),
            dynos=None if dynos is None else count(dynos, "--dynos"),
            size=self.option("size") or "",
            force=self.option("force"),
        )

    def _remember(self, project: Project, steps: Steps) -> Callable[[str], None]:
        def remember(app: str) -> None:
            if not self.remembered():  # else another app is for this one time
                memory.remember(project, TARGET, {"app": app})
                steps.line(f"Saved the app's name {app} in pyproject.toml.")

        return remember

    def _show(self, options: DeployOptions, ready: Prepared) -> None:
        self.line("")
        for member in ready.bundle.members:
            self.line(f"  {member.size:>12,}  {escape(member.name)}")
        self.line(f"  {ready.bundle.size:>12,}  in total; {ready.packed.size:,} compressed")
        if ready.bundle.left_out:
            self.line(f"  not sent: {escape(', '.join(ready.bundle.left_out))}")
        self.line("")
        self.line(
            f"  would be sent to the app <c1>{escape(options.app)}</c1>, created if it does not exist"
        )
        for name in options.env:
            self.line(f"  with {escape(name)} set")
        if options.dynos is not None or options.size:
            dynos = options.dynos if options.dynos is not None else "its"
            size = f" {escape(options.size)}" if options.size else ""
            self.line(f"  on {dynos}{size} web dynos")


def variables(words: list[str], environ: dict[str, str]) -> dict[str, str]:
    """Config vars from KEY=VALUE and KEY. Raises MLError that names every word that is neither."""
    pairs = {}
    wrong = []
    for word in words:
        name, equals, value = word.partition("=")
        if not re.fullmatch(r"\w+", name, re.ASCII):
            wrong.append("one word is not KEY=VALUE")  # it may hold a value: not to be shown
        elif not equals and name not in environ:
            wrong.append(f"{name} is not set in the environment")
        else:
            pairs[name] = value if equals else environ[name]
    if wrong:
        raise MLError(f"--env: {'; '.join(wrong)}. Write --env KEY=VALUE, or --env KEY.")
    return pairs


def _service_key(prefix: str, env: Mapping[str, str]) -> str:
    """Find the key that the service asks of its callers: in this shell, or among those being set."""
    known = os.environ.get(f"{prefix}_API_KEY") or env.get(f"{prefix}_SERVE_API_KEYS", "")
    return known.split(",")[0].strip()


def _summary(ready: Prepared) -> str:
    files, size = len(ready.bundle.members), ready.bundle.size / 1e6
    return f"{files} files, {size:.1f} MB; {ready.packed.size / 1e6:.1f} MB compressed"
