"""Whether a project would run at a target, as far as its files say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cached_property, partial
from typing import Any

from packaging.utils import canonicalize_name
from poetry.core.constraints.version import parse_constraint

from poetry_ml_plugin import artifacts, git, lock, poetry_process, project
from poetry_ml_plugin.lock import Lock, Package
from poetry_ml_plugin.project import Project
from poetry_ml_plugin.violations import Violation

HEROKU_PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")  # that its buildpack installs
RIVALS = ("requirements.txt", "Pipfile", "Pipfile.lock", "uv.lock", "runtime.txt")
INSTEAD = "Depend on a release of it, or on a git repository."


class Subject:
    """A project with what its files say, each read once."""

    def __init__(self, found: Project) -> None:
        self.project = found
        self.root = found.root

    @cached_property
    def toml(self) -> dict[str, Any]:
        return project.load(self.root / "pyproject.toml").unwrap()

    @cached_property
    def lock(self) -> Lock | None:
        return lock.read(self.root)

    @cached_property
    def damage(self) -> list[Violation]:
        """How the artifacts differ from their manifest: each is read to its end for that."""
        return artifacts.verify(self.project)

    def text(self, name: str) -> str | None:
        """The text of a file, or None where there is none."""
        path = self.root / name
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None


Finder = Callable[[Subject], Iterable[Violation]]


def lock_is_fresh(subject: Subject) -> Iterable[Violation]:
    relock = partial(poetry_process.lock, subject.root)
    if subject.lock is None:
        yield Violation("poetry.lock is missing", 'Run "poetry lock".', relock)
    elif not subject.lock.fresh:
        yield Violation("poetry.lock does not fit pyproject.toml", 'Run "poetry lock".', relock)


def artifacts_are_whole(subject: Subject) -> Iterable[Violation]:
    return subject.damage


def versions(subject: Subject) -> Iterable[Violation]:
    return artifacts.versions(subject.project, subject.lock) if subject.lock else []


def python(subject: Subject) -> Iterable[Violation]:
    wanted = subject.toml.get("project", {}).get("requires-python", "")
    chosen = (subject.text(".python-version") or "").strip()
    if not chosen:
        yield Violation(
            ".python-version is missing", f"Write the version that fits {wanted} into it."
        )
        return
    try:
        fits = parse_constraint(wanted or "*").allows_any(parse_constraint(f"{chosen}.*"))
    except ValueError:
        yield Violation(f'.python-version says "{chosen}"', "Write a version there, like 3.12.")
        return
    if not fits:
        yield Violation(
            f".python-version says {chosen}, and requires-python in pyproject.toml {wanted}",
            "Change one of them.",
        )


def procfile(subject: Subject) -> Iterable[Violation]:
    line = f"web: python -m {subject.project.package} serve --host 0.0.0.0"
    text = subject.text("Procfile")
    if text is None or not any(each.startswith("web:") for each in text.splitlines()):
        yield Violation(
            "Procfile does not say how to serve",
            f'Write the line "{line}" into it.',
            fix=lambda: project.add_line(subject.root / "Procfile", line),
        )
    elif f"-m {subject.project.package} serve" in text and "--host 0.0.0.0" not in text:
        yield Violation("Procfile serves to its own machine only", f'Write "{line}".')


def one_lock(subject: Subject) -> Iterable[Violation]:
    for other in RIVALS:
        if subject.text(other) is not None:
            yield Violation(
                f"{other} contradicts poetry.lock and .python-version, and may win",
                "Remove it, or keep it out of what is deployed.",
            )


def supported_python(subject: Subject) -> Iterable[Violation]:
    chosen = (subject.text(".python-version") or "").strip()
    found = re.fullmatch(r"(3\.\d+)(\.\d+)?", chosen)
    if chosen and (found is None or found[1] not in HEROKU_PYTHONS):
        named = ", ".join(HEROKU_PYTHONS)
        yield Violation(f'Heroku has no Python "{chosen}"', f"Write one of {named} there.")


def runtime(subject: Subject) -> Iterable[Violation]:
    """Libraries that the artifacts, or the service, need where only runtime dependencies are installed."""
    if subject.lock is None:
        return
    installed = {p.name for p in subject.lock.packages if p.runtime and not p.optional}
    needed = {"falcon": "the service", "waitress": "the service"}
    for file, entry in artifacts.listed(subject.project).items():
        if entry.strict:
            needed |= dict.fromkeys(map(canonicalize_name, entry.libraries), file)
        elif entry.format == "onnx":
            needed["onnxruntime"] = file
    for library, user in sorted(needed.items()):
        if library not in installed:
            yield Violation(
                f"{user} needs {library}, which is no runtime dependency",
                f'Run "poetry add {library}".',
            )


def paths_inside(subject: Subject) -> Iterable[Violation]:
    for package in by_path(subject):
        path = (subject.root / package.path).resolve()
        if not path.is_relative_to(subject.root.resolve()):
            yield Violation(f"{package.name} is taken from {path}, outside the project", INSTEAD)


def no_paths(subject: Subject) -> Iterable[Violation]:
    for package in by_path(subject):
        what = f"{package.name} is taken from {package.path}, which an image does not have"
        yield Violation(what, INSTEAD)


def artifacts_in_git(subject: Subject) -> Iterable[Violation]:
    tracked = git.tracked(subject.root)
    if outside := [path for path in artifacts.files(subject.project) if path not in tracked]:
        yield Violation(
            f"git does not track {', '.join(outside)}, and Render builds what git tracks",
            'Run "git add --force" with these, and commit.',
        )


def by_path(subject: Subject) -> list[Package]:
    """What a server would install from this machine."""
    packages = subject.lock.packages if subject.lock else ()
    return [package for package in packages if package.runtime and package.path]


EVERYWHERE = (lock_is_fresh, artifacts_are_whole, versions, runtime)
IMAGE = (python, no_paths)
TARGETS: dict[str, tuple[Finder, ...]] = {
    "heroku": (procfile, python, supported_python, one_lock, paths_inside),
    "docker": IMAGE,
    "kubernetes": IMAGE,
    "sagemaker": IMAGE,
    "render": (*IMAGE, artifacts_in_git),
    "fly": IMAGE,
}
"""What a deploy depends on, by its target, besides what all of them do."""


def ready(target: str, subject: Subject) -> Iterable[Violation]:
    """Everything that would keep a project from running at a target, as far as its files say."""
    for find in (*EVERYWHERE, *TARGETS[target]):
        yield from find(subject)
