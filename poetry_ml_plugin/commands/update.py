"""`poetry ml update`: the template's changes since, merged into the project."""

from __future__ import annotations

from dataclasses import replace

from cleo.helpers import option

from poetry_ml_plugin.commands.base.command import MLCommand, escape
from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.template import merge, update
from poetry_ml_plugin.template.merge import Outcome


class Update(MLCommand):
    name = "ml update"
    description = "Merges the template's changes into the project."
    options = [  # noqa: RUF012
        option("dry-run", None, "Show what would change, and change nothing."),
        option("template", None, "Location of the template, if it has moved.", flag=False),
    ]
    help = """\
Merges, with git, what has changed in the template since the project was made or last updated. Your own
changes stay. Where both changed the same lines the files get git's conflict markers, and the command ends
with 1. The result is in the working tree and in the index, and is yours to commit.

List files that updates must not change in pyproject.toml:

    [tool.poetry-ml-plugin]
    keep = ["README.md", "notebooks"]
"""

    def act(self) -> int:
        root = pyproject.find(self.folder).root
        merge.check(root)
        planned = update.plan(root, self.option("template"))
        for path in planned.kept:
            self.line(
                f"  <comment>kept</comment>     {escape(path)}: kept by your settings; the template changed it"
            )
        if not planned.needed:
            self.line(f"Nothing to merge: the template is up to date ({escape(planned.version)}).")
            return 0
        outcome = merge.preview(root, planned.base, planned.new)
        if not self.option("dry-run"):
            title = f"Update the template to {planned.version}"
            left = outcome.removed
            sides = merge.without(planned.base, left), merge.without(planned.new, left)
            outcome = replace(merge.apply(root, *sides, title), removed=left)
        self._tell(outcome)
        if self.option("dry-run"):
            self.line("Nothing was changed: this was a dry run.")
        else:
            self._say_next(outcome, planned.moves_modules)
        return 1 if outcome.conflicts else 0

    def _tell(self, outcome: Outcome) -> None:
        for path, what in sorted(outcome.changes.items()):
            self.line(f"  <info>{what:<8}</info> {escape(path)}")
        for path in outcome.removed:
            self.line(
                f"  <comment>gone</comment>     {escape(path)}: stays removed, as you removed it; the template changed it"
            )
        for path, why in sorted(outcome.conflicts.items()):
            self.line(f"  <error>conflict</error> {escape(path)}: {why}")

    def _say_next(self, outcome: Outcome, moved: bool) -> None:
        if moved:
            self.line("")
            self.line(
                "The template's modules are in _runtime/ now. Files of your own that import the former ones "
                "need other imports, and the model has to be trained again. What goes where is in "
                '"Update a project from its template" of the documentation.'
            )
        following = ["git diff HEAD", "poetry install", "poetry run pytest", "git commit --all"]
        if moved:
            following.insert(2, "poetry ml train")
        if "pyproject.toml" in {**outcome.changes, **outcome.conflicts}:
            following.insert(1, "poetry lock")
        self.line("")
        self.line("Resolve the conflicts, then:" if outcome.conflicts else "Merged. Next:")
        for command in following[1 if outcome.conflicts else 0 :]:
            self.line(f"  <c1>{command}</c1>")
        self.line("Or undo the update: <c1>git reset --merge</c1>")
