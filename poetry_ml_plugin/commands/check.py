"""`poetry ml check`: what is right with a project, what is not, and how to fix it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import partial

from cleo.helpers import option

from poetry_ml_plugin import deploy
from poetry_ml_plugin.adopt import record
from poetry_ml_plugin.audit import checks
from poetry_ml_plugin.audit.checks import Result
from poetry_ml_plugin.audit.facts import ProjectFacts
from poetry_ml_plugin.audit.problems import Problem
from poetry_ml_plugin.build import contents
from poetry_ml_plugin.commands.base.command import MLCommand, escape
from poetry_ml_plugin.deploy import readiness
from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.template import leftovers

STYLES = {"ok": "success", "warning": "comment", "error": "error"}


class Check(MLCommand):
    name = "ml check"
    description = "Checks that the project can be built, shared and deployed."
    options = [  # noqa: RUF012
        option("fix", None, "Fix what can be fixed safely, then check again."),
        option("strict", None, "Count warnings as errors, except those of deploy targets."),
        option("json", None, "Print JSON."),
    ]
    help = """\
The exit code is 1 if there is an error, and 0 if there are only warnings. With --strict it is 1 if there
is a warning.
"""

    def act(self) -> int:
        project = pyproject.find(self.folder)
        strict = bool(self.option("strict")) or project.strict
        results = checks.run(project, every_check(), strict)
        if self.option("fix") and (tried := checks.fix(results)):
            for problem, fault in tried:
                said = (
                    f"Not fixed: {problem.message}: {fault}"
                    if fault
                    else f"Fixed: {problem.message}"
                )
                self.line_error(escape(said))
            results = checks.run(pyproject.find(self.folder), every_check(), strict)
        if self.option("json"):
            self.line(escape(json.dumps(_data(results), indent=2)))
        else:
            self._table(results)
        return 1 if any(result.status == "error" for result in results) else 0

    def _table(self, results: Sequence[Result]) -> None:
        said: set[str] = set()
        width = max(len(result.check.id) for result in results)
        for result in results:
            style = STYLES[result.status]
            id_ = result.check.id
            self.line(
                f"<{style}>{result.status:<8}</> <c1>{id_:<{width}}</> {escape(result.check.title)}"
            )
            for problem in result.problems:
                self.line(f"{'':{width + 10}}{escape(problem.message)}.")
                if problem.message not in said:  # a hint is not repeated
                    self.line(f"{'':{width + 12}}{escape(problem.hint)}")
                said.add(problem.message)
        if any(problem.fix for result in results for problem in result.problems):
            self.line("")
            self.line("Some problems can be fixed with <c1>poetry ml check --fix</c1>.")


def every_check() -> list[checks.Check]:
    """List every check: the audit's own, the build's, and one for each deploy target."""
    return [
        *checks.CHECKS,
        *contents.CHECKS,
        checks.Check("adopted", "artifacts of an adopted model match the manifest", _of_adopted),
        checks.Check("sample", "nothing is left of the template's sample", _leftovers, advice=True),
        *(
            checks.Check(
                f"deploy-{name}", f"ready for {name}", partial(readiness.ready, target), True
            )
            for name, target in deploy.targets().items()
        ),
    ]


def _leftovers(facts: ProjectFacts) -> list[Problem]:
    return [
        Problem(left.message, left.hint, severity="warning")
        for left in leftovers.remains(facts.project)
    ]


def _of_adopted(facts: ProjectFacts) -> list[Problem]:
    return [Problem(message, hint) for message, hint in record.problems(facts.project)]


def _data(results: Iterable[Result]) -> list[dict[str, object]]:
    return [
        {
            "id": result.check.id,
            "title": result.check.title,
            "status": result.status,
            "problems": [
                {
                    "message": problem.message,
                    "hint": problem.hint,
                    "severity": problem.severity,
                    "fixable": problem.fix is not None,
                }
                for problem in result.problems
            ],
        }
        for result in results
    ]
