"""What `poetry ml check` looks at: a list of small checks, and which of them a deploy depends on."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version
from poetry.core.constraints.version import parse_constraint

from poetry_ml_plugin import artifacts, exposure, git, lock, names, packaging, project, scaffold
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.lock import Lock
from poetry_ml_plugin.project import Project
from poetry_ml_plugin.violations import Violation

LARGE = 50_000_000  # bytes, from where hosts of git repositories begin to complain
NEEDED = ("__init__.py", "__main__.py", "models/model.py")  # of a package that has the verbs


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

    def text(self, name: str) -> str | None:
        """The text of a file, or None where there is none."""
        path = self.root / name
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None


Finder = Callable[[Subject], Iterable[Violation]]


@dataclass(frozen=True)
class Check:
    """One thing that should be so: `find` says how it is not."""

    id: str
    title: str
    find: Finder
    advice: bool = False  # whether what it finds is worth knowing only


@dataclass(frozen=True)
class Result:
    """What a check has found."""

    check: Check
    violations: tuple[Violation, ...]

    @property
    def status(self) -> str:
        """ok, warning or error."""
        if not self.violations:
            return "ok"
        return (
            "warning" if self.check.advice or all(v.warning for v in self.violations) else "error"
        )


def run(found: Project, checks: Iterable[Check]) -> list[Result]:
    """What each check finds in a project. What keeps one from looking is found by it too."""
    subject = Subject(found)
    return [Result(check, _find(check, subject)) for check in checks]


def fix(results: Iterable[Result]) -> list[Violation]:
    """Mend what can be mended safely, and return what that was."""
    found = [violation for result in results for violation in result.violations]
    mended = {v.what: v for v in found if v.fix}
    for violation in mended.values():
        assert violation.fix is not None
        violation.fix()
    return list(mended.values())


def _find(check: Check, subject: Subject) -> tuple[Violation, ...]:
    try:
        return tuple(check.find(subject))
    except MLError as error:
        return (Violation(*_parts(error)),)


def _parts(error: MLError) -> tuple[str, str]:
    what, _, mend = str(error).partition(". ")
    return what, mend


def layout(subject: Subject) -> Iterable[Violation]:
    package = subject.project.artifacts_dir.parent
    for path in [*(package / name for name in NEEDED), subject.root / "configs"]:
        if not path.exists():
            yield Violation(
                f"{subject.project.at(path)} is missing",
                'Bring it back with "git checkout", or see what "poetry ml new" makes.',
            )


def name(subject: Subject) -> Iterable[Violation]:
    declared = subject.toml.get("project", {}).get("name")
    try:
        names.derive(subject.root, declared or "", subject.project.package)
    except MLError as error:
        yield Violation(*_parts(error))
    entry = f"{subject.project.package}.__main__:main"
    if entry not in subject.toml.get("project", {}).get("scripts", {}).values():
        mend = f'Write {subject.project.package} = "{entry}" in [project.scripts].'
        yield Violation("pyproject.toml installs no command for the package", mend, warning=True)


def lock_is_fresh(subject: Subject) -> Iterable[Violation]:
    relock = partial(lock.renew, subject.root)
    if subject.lock is None:
        yield Violation("poetry.lock is missing", 'Run "poetry lock".', relock)
    elif not subject.lock.fresh:
        yield Violation("poetry.lock does not fit pyproject.toml", 'Run "poetry lock".', relock)


def artifacts_are_whole(subject: Subject) -> Iterable[Violation]:
    return artifacts.verify(subject.project)


def versions(subject: Subject) -> Iterable[Violation]:
    return artifacts.versions(subject.project, subject.lock) if subject.lock else []


def packs(subject: Subject) -> Iterable[Violation]:
    return packaging.links(subject.project) or packaging.lost(subject.project)


def credentials(subject: Subject) -> Iterable[Violation]:
    return exposure.in_tree(subject.project)


def sizes(subject: Subject) -> Iterable[Violation]:
    if git.available():
        for path, size in sorted(git.sizes(subject.root).items()):
            if size > LARGE:
                yield Violation(
                    f"{path} takes {size / 1e6:,.0f} MB in git, for ever",
                    f'Keep it with DVC or git-LFS: "git rm --cached {path}", then "dvc add {path}".',
                    warning=True,
                )


def template(subject: Subject) -> Iterable[Violation]:
    made = subject.toml["tool"][project.TOOL].get("template-version")
    own = importlib.metadata.version(scaffold.DISTRIBUTION)
    try:
        stale = made is not None and Version(made) < Version(own)
    except InvalidVersion:
        stale = True
    if stale:
        what = f"the project is made from template {made}, and the plugin brings {own}"
        yield Violation(what, 'Run "poetry ml update".', warning=True)


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
        path = subject.root / "Procfile"
        yield Violation(
            "Procfile does not say how to serve",
            f'Write the line "{line}" into it.',
            fix=lambda: path.write_text(f"{text or ''}\n{line}\n".lstrip(), encoding="utf-8"),
        )
    elif f"-m {subject.project.package} serve" in text and "--host 0.0.0.0" not in text:
        yield Violation("Procfile serves to its own machine only", f'Write "{line}".')


def one_lock(subject: Subject) -> Iterable[Violation]:
    for other in ("requirements.txt", "Pipfile", "Pipfile.lock", "uv.lock", "runtime.txt"):
        if (subject.root / other).exists():
            yield Violation(
                f"{other} contradicts poetry.lock and .python-version, and may win",
                "Remove it, or keep it out of what is deployed.",
            )


def supported_python(subject: Subject) -> Iterable[Violation]:
    chosen = (subject.text(".python-version") or "").strip()
    minor = chosen.split(".")[1] if chosen.startswith("3.") else ""
    if not minor.isdigit() or int(minor) not in range(10, 15):
        yield Violation(
            f'Heroku has no Python "{chosen}"', "Write 3.10 to 3.14 into .python-version."
        )


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


EVERYWHERE = (lock_is_fresh, artifacts_are_whole, runtime)
TARGETS: dict[str, tuple[Finder, ...]] = {
    "docker": (python,),
    "heroku": (procfile, python, supported_python, one_lock),
}
"""What a deploy depends on, by its target, besides what all of them do."""


def ready(target: str, subject: Subject) -> Iterable[Violation]:
    """Everything that would keep a project from running at a target, as far as its files say."""
    for find in (*EVERYWHERE, *TARGETS[target]):
        yield from find(subject)


CHECKS = [
    Check("layout", "the files that the commands need", layout),
    Check("name", "names that will do", name),
    Check("lock", "poetry.lock fits pyproject.toml", lock_is_fresh),
    Check("artifacts", "each is as it was trained", artifacts_are_whole),
    Check("versions", "what wrote the artifacts is locked", versions),
    Check("packaging", "artifacts travel in wheel and sdist", packs),
    Check("credentials", "none where others read", credentials),
    Check("sizes", "nothing above 50 MB in git", sizes),
    Check("template", "the newest one", template),
    Check("python", "one version throughout", python),
    *(
        Check(f"deploy-{target}", f"ready for {target}", partial(ready, target), advice=True)
        for target in TARGETS
    ),
]
