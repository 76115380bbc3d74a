"""`poetry ml drift`: rows that the service predicted, beside those of the training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cleo.helpers import argument

from poetry_ml_plugin.commands.base.command import MLCommand, escape
from poetry_ml_plugin.drift import compare, logs, page
from poetry_ml_plugin.drift.compare import Shift
from poetry_ml_plugin.host import inside, platforms
from poetry_ml_plugin.project import pyproject

SHIFTED = 3
PAGE = "reports/drift.html"


class Drift(MLCommand):
    name = "ml drift"
    description = "Compares logged predictions with what the training recorded."
    arguments = [argument("logs", "Files or folders that log_predictions wrote.", multiple=True)]  # noqa: RUF012
    help = f"""\
Compares missing values, unseen words, the shares of each column's values (PSI, and the chi-squared test)
and the predictions with those of the rows that the model was judged on. Writes {PAGE}.

    <c1>poetry ml drift logs/</c1>

Exit codes: 0 nothing shifted; 3 something did; 1 it could not be compared.
"""

    def act(self) -> int:
        project = pyproject.find(self.folder)
        then = compare.reference(project)
        paths = [self.folder / Path(word).expanduser() for word in self.argument("logs")]
        log = logs.read(paths, then.trained)
        shifts = compare.compare(then, log.rows)
        title = f"{len(log.rows):,} logged rows beside {then.rows:,} of the training"
        target = inside.resolve(project.root / PAGE, project.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        platforms.write_whole(target, page.render(title, shifts, log.notes).encode())
        self.line(f"{title}:")
        self._table(shifts)
        for note in log.notes:
            self.line_error(f"<comment>{escape(note)}.</comment>")
        self.line(f"The shares of each column are in {PAGE}.")
        return SHIFTED if any(shift.alarms for shift in shifts) else 0

    def _table(self, shifts: Sequence[Shift]) -> None:
        width = max(len(shift.column) for shift in shifts)
        self.line(f"  {'column':<{width}}  missing  unseen    PSI")
        for shift in shifts:
            style = "error" if shift.alarms else "success"
            self.line(
                f"  <{style}>{escape(shift.column):<{width}}</>  {shift.missing[1]:>7.1%} {shift.unseen:>7.1%} "
                f"{shift.psi:>6.2f}  {escape('; '.join(shift.alarms))}".rstrip()
            )
