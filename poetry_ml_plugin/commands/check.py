"""`poetry ml check`: what is right with a project, what is not, and what mends it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from cleo.helpers import option

from poetry_ml_plugin import checks, project
from poetry_ml_plugin.checks import Result
from poetry_ml_plugin.commands.command import MLCommand, escape

STYLES = {"ok": "success", "warning": "comment", "error": "error"}


class Check(MLCommand):
    name = "ml check"
    description = "Checks that the project can be built, shared and deployed."
    options = [  # noqa: RUF012
        option("fix", None, "Mend what can be mended safely, then check again."),
        option("json", None, "Print JSON."),
    ]
    help = "Ends with 1 where something is wrong. Warnings are worth knowing, and end with 0."

    def act(self) -> int:
        found = project.find(self.folder)
        results = checks.run(found, checks.CHECKS)
        if self.option("fix") and (tried := checks.fix(results)):
            for violation, fault in tried:
                said = (
                    f"Not mended: {violation.what}: {fault}"
                    if fault
                    else f"Mended: {violation.what}"
                )
                self.line_error(escape(said))
            results = checks.run(project.find(self.folder), checks.CHECKS)
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
            for violation in result.violations:
                if violation.what not in said:
                    self.line(f"{'':{width + 10}}{escape(violation.what)}.")
                    self.line(f"{'':{width + 12}}{escape(violation.mend)}")
                said.add(violation.what)
        if any(violation.fix for result in results for violation in result.violations):
            self.line("")
            self.line("Some of it can be mended with <c1>poetry ml check --fix</c1>.")


def _data(results: Iterable[Result]) -> list[dict[str, object]]:
    return [
        {
            "id": result.check.id,
            "title": result.check.title,
            "status": result.status,
            "violations": [
                {"what": v.what, "mend": v.mend, "warning": v.warning, "fixable": v.fix is not None}
                for v in result.violations
            ],
        }
        for result in results
    ]
