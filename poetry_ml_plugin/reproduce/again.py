"""Train a revision once more, and judge what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from poetry_ml_plugin.audit import artifacts
from poetry_ml_plugin.data import dvc
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import git, processes
from poetry_ml_plugin.project.pyproject import Project
from poetry_ml_plugin.reproduce import checkout, environment, record
from poetry_ml_plugin.reproduce.record import Record

SECRET = "***"


class Screen(Protocol):
    """Display of what is under way."""

    def step(self, title: str) -> AbstractContextManager[Callable[[str], None]]:
        """Show that something is under way. The last that the function is given is shown at its end."""

    def tell(self, text: str) -> None:
        """Show what the step under way has to say."""


@dataclass(frozen=True)
class Verdict:
    """How a training compares with the one that its revision records."""

    commit: str
    differing: tuple[str, ...]  # trained files that are not the same byte by byte
    numbers: tuple[str, ...]  # metrics and predictions beyond the tolerance
    causes: tuple[str, ...]  # what the two trainings did not have in common

    @property
    def is_identical(self) -> bool:
        return not self.differing

    @property
    def is_equal(self) -> bool:
        return self.is_identical or not self.numbers


def reproduce(project: Project, revision: str, groups: Collection[str], screen: Screen) -> Verdict:
    """Train a revision again, away from the working tree. Raises MLError where that cannot be done."""
    commit = checkout.resolve(project.root, revision)
    with checkout.worktree(project, commit) as there:
        before = record.read(there)
        with screen.step("Find its data") as done:
            done(_provide_data(project, there, before))
        with screen.step("Provide its environment"):
            python = environment.provide(there, before, groups)
        former = _examples(python, there)
        _configure(there, before)
        with screen.step("Train again") as done:
            done(_train(python, there, screen.tell))
        return _judge(
            project, commit, (before, record.read(there)), (former, _examples(python, there))
        )


def _provide_data(project: Project, there: Project, before: Record) -> str:
    """Put the recorded data in its place where git has it not. Raises MLError that names what is missing."""
    absent = [name for name in before.data if not (there.root / name).is_file()]
    for name in list(absent):
        found = record.find_data(name, before.data[name], project.root)
        if found and artifacts.is_inside(name):
            target = there.root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(found.read_bytes())
            absent.remove(name)
    if absent:
        dvc.pull_into(there.root, absent, project.root)
    if left := [name for name in absent if not (there.root / name).is_file()]:
        known = ", ".join(f"{name} (sha256 {before.data[name][:12]}…)" for name in left)
        raise MLError(
            f"The data of that training is not here: {known}. Put the very files there, or get them "
            "with: poetry ml data pull"
        )
    return ", ".join(before.data)


def _configure(there: Project, before: Record) -> None:
    """Have configs/train.yaml say what the training recorded. A secret, recorded as ***, stays as it is."""
    path = there.root / "configs" / "train.yaml"
    config = before.run.get("config", {})
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    secret = [line for line in lines if config.get(line.partition(":")[0]) == SECRET]
    settings = [f"{key}: {json.dumps(value)}" for key, value in config.items() if value != SECRET]
    if settings:
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join([*settings, *secret, ""]), encoding="utf-8")


def _train(python: Path, there: Project, tell: Callable[[str], None]) -> str:
    command = [str(python), "-m", there.package, "train"]
    lines = processes.follow(command, there.root, tell, _place(there))
    return lines[-1] if lines else ""


def _examples(python: Path, there: Project) -> Any:
    """Predict the model's own examples; None where it has none, or its artifacts are not here."""
    command = [str(python), "-m", there.package, "predict", "--example"]
    try:
        lines = processes.follow(command, there.root, lambda line: None, _place(there))
        return json.loads("\n".join(lines[lines.index("[") :]))
    except (MLError, ValueError):
        return None


def _place(there: Project) -> dict[str, str]:
    return {"PYTHONPATH": str(there.root / "src"), "PYTHONNOUSERSITE": "1"}


def _judge(
    project: Project, commit: str, records: tuple[Record, Record], examples: tuple[Any, Any]
) -> Verdict:
    numbers = record.changed_metrics(*records)
    if None not in examples and not record.alike(*examples):
        numbers.append("the predictions of the model's examples")
    causes = [*record.causes(*records), *_machinery(project, commit, records[0])]
    return Verdict(commit, tuple(record.differing(*records)), tuple(numbers), tuple(causes))


def _machinery(project: Project, commit: str, before: Record) -> list[str]:
    """Say what of the code no hash in the manifest tells: changes of _runtime, and a tree that was not clean."""
    trained = before.run.get("commit")
    if not isinstance(trained, str) or git.code(project.root, "cat-file", "-e", trained) != 0:
        return []
    found = []
    runtime = project.at(project.artifacts_dir.parent / "_runtime")
    if git.code(project.root, "diff", "--quiet", trained, commit, "--", runtime) == 1:
        found.append(f"code: {runtime} changed since the commit of the training")
    if before.run.get("clean") is False:
        found.append(
            f"code: the training ran on {trained[:12]} with changes that were not committed"
        )
    return found
