"""`poetry ml reproduce`: a revision's training repeated, and held against its record."""

from __future__ import annotations

from cleo.helpers import argument, option

from poetry_ml_plugin.commands.base.command import MLCommand, escape
from poetry_ml_plugin.commands.base.steps import Steps
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import platforms
from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.reproduce import again
from poetry_ml_plugin.reproduce.again import Verdict

DIFFERENT = 3
NOT_RUN = 4


class Reproduce(MLCommand):
    name = "ml reproduce"
    description = (
        "Trains a revision again, elsewhere, and compares the model with the recorded one."
    )
    arguments = [argument("revision", "The commit, branch or tag.", optional=True, default="HEAD")]  # noqa: RUF012
    options = [  # noqa: RUF012
        option("with", None, "Optional groups that the training needs, with commas.", flag=False),
    ]
    help = """\
Checks the revision out into a temporary folder, installs what its poetry.lock has, takes its data by the
recorded hashes, and trains with the recorded settings. Nothing of your working tree is touched.

    <c1>poetry ml reproduce</c1>
    <c1>poetry ml reproduce v1.2</c1>

Exit codes: 0 the same model, byte by byte or within the tolerance; 3 another model; 4 it could not run.
"""

    def act(self) -> int:
        groups = [name for name in (self.option("with") or "").split(",") if name]
        try:
            project = pyproject.find(self.folder)
            with platforms.signals_raise():
                steps = Steps(self.io)
                verdict = again.reproduce(project, self.argument("revision"), groups, steps)
        except MLError as error:
            said = str(error).rstrip(".")
            self.line_error(f"<error>It could not run: {escape(said)}.</error>")
            return NOT_RUN
        except platforms.Ended as ended:
            self.line_error("Interrupted.", style="error")
            return ended.exit_code
        return self._tell(verdict)

    def _tell(self, verdict: Verdict) -> int:
        self.line("")
        name = verdict.commit[:12]
        if verdict.is_identical:
            self.line(
                f"<success>Reproduced</success> {name}: every trained file is byte-identical."
            )
        elif verdict.is_equal:
            files = escape(", ".join(verdict.differing))
            self.line(
                f"<success>Reproduced</success> {name}: {files} differ in bytes; metrics and "
                "predictions are equal within the tolerance."
            )
        else:
            self.line(
                f"<error>Not reproduced</error> {name}: {escape('; '.join(verdict.numbers))}."
            )
        for cause in verdict.causes:
            self.line(f"  {escape(cause)}")
        if not verdict.is_equal and not verdict.causes:
            self.line(
                "  Data, code, libraries, Python and platform are as they were recorded: the training "
                "itself gives another model each time. Set the seed of everything in it that is random."
            )
        return 0 if verdict.is_equal else DIFFERENT
