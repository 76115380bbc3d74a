"""`poetry ml deploy docker | kubernetes | sagemaker | render | fly`: files that are the user's, and what runs them."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from cleo.helpers import option

from poetry_ml_plugin.audit.facts import ProjectFacts
from poetry_ml_plugin.audit.problems import Problem, listing
from poetry_ml_plugin.commands.base.command import MLCommand, escape
from poetry_ml_plugin.deploy import TARGETS, memory, readiness
from poetry_ml_plugin.deploy.container import (
    docker,
    files,
    values,
)
from poetry_ml_plugin.project import edit, pyproject
from poetry_ml_plugin.project.pyproject import Project

OVERWRITE = option("overwrite", None, "Show how files differ, and replace them.")
IMAGE = option(
    "image", None, "The image's name, like ghcr.io/acme/churn, saved in pyproject.toml.", flag=False
)
STRICT = option("strict", None, "Refuse code that changed since the model was trained.")


class Container(MLCommand):
    """Writes the files of a target, and leaves those that are there to the user."""

    def _project(self) -> Project:
        project = pyproject.find(self.folder)
        return replace(project, strict=True) if self.option("strict") else project

    def _warn(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            said = escape(f"{problem.message}. {problem.hint}")
            self.line_error(f"<comment>{said}</comment>")

    def _settle(self, root: Path, planned: Mapping[str, str], edited: Collection[str] = ()) -> None:
        """Write what is new, and what follows from settings into what the user edited.

        Where both changed the same lines, the user's file stays, unless it is to be replaced. `edited` are
        planned from what is there already.
        """
        changed = {change.name: change for change in files.changes(root, planned)}
        kept = [name for name, change in changed.items() if not self._settled(root, change, edited)]
        noted = planned.keys() - kept - set(edited)
        files.record(root, {name: planned[name] for name in noted})
        for name in sorted(planned.keys() - changed.keys()):
            self.line(f"  <comment>=</comment> {name} is up to date")

    def _settled(self, root: Path, change: files.Change, edited: Collection[str]) -> bool:
        """Bring a file up to date; tell whether it follows the settings now."""
        name = change.name
        if change.untouched or name in edited:
            files.write(root, change)
            self.line(
                f"  <success>✓</success> {name} {'written' if change.old is None or name in edited else 'updated'}"
            )
            return True
        merged = None if self.option("overwrite") else change.merged
        if merged is not None and merged != change.old:
            files.write(root, replace(change, new=merged))
            self.line(f"  <success>✓</success> {name} updated, with your changes kept")
            return True
        if merged is None and self._may_replace(change):
            files.write(root, change)
            self.line(f"  <success>✓</success> {name} written")
            return True
        if merged is not None:
            self._say_kept(change)
        return merged is not None

    def _may_replace(self, change: files.Change) -> bool:
        if not self.option("overwrite"):
            self._say_kept(change)
            return False
        self.line(escape(change.diff))
        # With nobody to ask, --overwrite is the answer.
        nobody = not (
            self.io.is_interactive() and sys.stdin.isatty()
        )  # cleo asks /dev/null for ever
        return nobody or self.confirm(f"Replace {change.name}?", False)

    def _say_kept(self, change: files.Change) -> None:
        count = sum(line[:1] in ("+", "-") for line in change.diff.splitlines()[2:])
        self.line(
            f"  <comment>-</comment> {change.name} was kept: it differs in "
            f"{count} line{'s' * (count > 1)} from the generated file (--overwrite shows and replaces them)"
        )

    def _read(self, project: Project) -> values.Values:
        image = self.option("image")
        read = values.read(project, image)
        if image and memory.recall(project, "docker").get("image") != image:
            keys = ("tool", pyproject.TOOL, "deploy", "docker", "image")
            edit.amend(project.root, {keys: image})
        return read

    def _image_files(self, project: Project, read: values.Values) -> dict[str, str]:
        planned = docker.plan(project, read, anew=bool(self.option("overwrite")))
        if "@sha256:" not in planned["Dockerfile"]:
            self.line(
                f"  <comment>-</comment> python:{read.python}-slim is not pinned to a digest, "
                "because the registry cannot be reached. Pin it later with --overwrite"
            )
        return planned

    def _advise(self, project: Project, target: str) -> None:
        """Name all that keeps a platform from building and running this: it asks nobody first."""
        if wrong := list(readiness.ready(TARGETS[target], ProjectFacts(project))):
            self.line("")
            self.line("<comment>Fix these problems before deploying:</comment>")
            self.line(escape(listing(wrong)))

    def _next(self, *commands: str) -> int:
        self.line("")
        self.line("Next:")
        for command in commands:
            self.line(f"  <c1>{escape(command)}</c1>")
        return 0
