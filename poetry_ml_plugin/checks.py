"""What `poetry ml check` looks at: a list of small checks."""

from __future__ import annotations

import difflib
import importlib.metadata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from packaging.version import InvalidVersion, Version

from poetry_ml_plugin import exposure, git, names, packaging, project, readiness, scaffold
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import Project
from poetry_ml_plugin.readiness import Finder, Subject
from poetry_ml_plugin.violations import Violation

LARGE = 50_000_000  # bytes, from where hosts of git repositories begin to complain
NEEDED = ("__init__.py", "__main__.py", "models/model.py")  # of a package that has the verbs


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


def fix(results: Iterable[Result]) -> list[tuple[Violation, str]]:
    """Mend what can be mended safely, and return what that was, with why it was not where it failed."""
    found = [violation for result in results for violation in result.violations]
    fixable = {violation.what: violation for violation in found if violation.fix}
    return [(violation, _mend(violation)) for violation in fixable.values()]


def _mend(violation: Violation) -> str:
    assert violation.fix is not None
    try:
        violation.fix()
    except (MLError, OSError) as error:
        return str(error)
    return ""


def _find(check: Check, subject: Subject) -> tuple[Violation, ...]:
    try:
        return tuple(check.find(subject))
    except MLError as error:
        return (Violation(*_parts(error)),)


def _parts(error: MLError) -> tuple[str, str]:
    what, _, mend = str(error).partition(". ")
    return what.removesuffix("."), mend or "Mend that first."


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


def settings(subject: Subject) -> Iterable[Violation]:
    for key in sorted(subject.toml["tool"][project.TOOL].keys() - set(project.KEYS)):
        near = difflib.get_close_matches(key, project.KEYS, n=1)
        mend = f'Write "{near[0]}".' if near else f"There are {', '.join(project.KEYS)}."
        yield Violation(f"[tool.{project.TOOL}] {key} means nothing", mend, warning=True)


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


CHECKS = [
    Check("layout", "the files that the commands need", layout),
    Check("name", "names that will do", name),
    Check("settings", "each is one that is read", settings),
    Check("lock", "poetry.lock fits pyproject.toml", readiness.lock_is_fresh),
    Check("artifacts", "each is as it was trained", readiness.artifacts_are_whole),
    Check("versions", "what wrote the artifacts is locked", readiness.versions),
    Check("packaging", "artifacts travel in wheel and sdist", packs),
    Check("credentials", "none where others read", credentials),
    Check("sizes", "nothing above 50 MB in git", sizes),
    Check("template", "the newest one", template),
    Check("python", "one version throughout", readiness.python),
    *(
        Check(f"deploy-{name}", f"ready for {name}", partial(readiness.ready, name), advice=True)
        for name in readiness.TARGETS
    ),
]
