"""The checks of `poetry ml check`."""

from __future__ import annotations

import difflib
import importlib.metadata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

from packaging.version import InvalidVersion, Version
from poetry.core.constraints.version import parse_constraint

from poetry_ml_plugin.audit import artifacts, code, dependencies, leaks, signature
from poetry_ml_plugin.audit.facts import Finder, ProjectFacts
from poetry_ml_plugin.audit.problems import Problem
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import git, poetry
from poetry_ml_plugin.project import lock, names, notebooks, pyproject
from poetry_ml_plugin.project.pyproject import Project

LARGE = 50_000_000  # bytes, from where hosts of git repositories begin to complain
CARD = "MODEL_CARD.md"
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
    """Problems that one check found."""

    check: Check
    problems: tuple[Problem, ...]

    @property
    def status(self) -> str:
        """ok, warning or error."""
        if not self.problems:
            return "ok"
        warnings = (problem.severity == "warning" for problem in self.problems)
        return "warning" if self.check.advice or all(warnings) else "error"


def run(project: Project, checks: Iterable[Check], strict: bool = False) -> list[Result]:
    """Run each check on a project. An error while checking becomes a problem too.

    `strict` makes an error of each warning, except where a check gives advice only.
    """
    facts = ProjectFacts(project)
    found = ((check, _find(check, facts)) for check in checks)
    return [
        Result(check, tuple(map(_as_error, problems)) if strict and not check.advice else problems)
        for check, problems in found
    ]


def _as_error(problem: Problem) -> Problem:
    return replace(problem, severity="error")


def fix(results: Iterable[Result]) -> list[tuple[Problem, str]]:
    """Fix what can be fixed safely. Return each problem tried, with the reason where its fix failed."""
    found = [problem for result in results for problem in result.problems]
    fixable = {problem.message: problem for problem in found if problem.fix}
    return [(problem, _fix(problem)) for problem in fixable.values()]


def _fix(problem: Problem) -> str:
    assert problem.fix is not None
    try:
        problem.fix()
    except (MLError, OSError) as error:
        return str(error)
    return ""


def _find(check: Check, facts: ProjectFacts) -> tuple[Problem, ...]:
    try:
        return tuple(check.find(facts))
    except MLError as error:
        return (Problem(*_parts(error)),)
    except Exception as error:  # noqa: BLE001  (what cannot be checked is not all right)
        return (
            Problem(f"this cannot be checked: {type(error).__name__}: {error}", "Fix that first."),
        )


def _parts(error: MLError) -> tuple[str, str]:
    message, _, hint = str(error).partition(". ")
    return message.removesuffix("."), hint or "Fix that first."


def layout(facts: ProjectFacts) -> Iterable[Problem]:
    package = facts.project.artifacts_dir.parent
    for path in [*(package / name for name in NEEDED), facts.root / "configs"]:
        if not path.exists():
            yield Problem(
                f"{facts.project.at(path)} is missing",
                'Restore it with "git checkout".',
            )


def name(facts: ProjectFacts) -> Iterable[Problem]:
    toml, package = facts.toml, facts.project.package
    if toml.name or toml.is_package:
        yield from _unfit(toml.name, "project", names.unfit_distribution(toml.name))
    yield from _unfit(package, "package", names.unfit_package(package))
    entry = f"{package}.__main__:main"
    if toml.is_package and entry not in toml.scripts.values():
        place = "[tool.poetry.scripts]" if toml.keeps_scripts_in_poetry else "[project.scripts]"
        yield Problem(
            "pyproject.toml installs no command for the package",
            f'Write {package} = "{entry}" in {place}.',
            severity="warning",
        )


def _unfit(name: str, what: str, reason: str | None) -> Iterable[Problem]:
    if reason:
        message = f'"{name}" is not a good name for a {what}: {reason}'
        hint = f'Use a name like "{names.suggest(name)}".'
        yield Problem(message, hint, severity="warning" if reason in names.ADVICE else "error")


def settings(facts: ProjectFacts) -> Iterable[Problem]:
    for key in sorted(facts.toml.settings.keys() - set(pyproject.KEYS)):
        near = difflib.get_close_matches(key, pyproject.KEYS, n=1)
        hint = f'Did you mean "{near[0]}"?' if near else f"Known are {', '.join(pyproject.KEYS)}."
        yield Problem(
            f"[tool.{pyproject.TOOL}] {key} is an unknown setting", hint, severity="warning"
        )


def credentials(facts: ProjectFacts) -> Iterable[Problem]:
    return leaks.in_tree(facts.project)


def sizes(facts: ProjectFacts) -> Iterable[Problem]:
    if git.available():
        for path, size in sorted(git.sizes(facts.root).items()):
            if size > LARGE:
                yield Problem(
                    f"{path} takes {size / 1e6:,.0f} MB in the git history",
                    f'Keep it with DVC or git-LFS: "git rm --cached {path}", then "dvc add {path}".',
                    severity="warning",
                )


def template(facts: ProjectFacts) -> Iterable[Problem]:
    made = facts.toml.settings.get("template-version")
    own = importlib.metadata.version(pyproject.TOOL)
    try:
        stale = made is not None and Version(made) < Version(own)
    except InvalidVersion:
        stale = True
    if stale:
        what = f"the project was made from template {made}; the plugin has {own}"
        yield Problem(what, 'Run "poetry ml update".', severity="warning")


def lock_is_fresh(facts: ProjectFacts) -> Iterable[Problem]:
    relock = partial(poetry.lock, facts.root)
    if facts.lock is None:
        yield Problem("poetry.lock is missing", lock.RELOCK, relock, "warning")
    elif not facts.lock.fresh:
        yield Problem("poetry.lock does not match pyproject.toml", lock.RELOCK, relock)
    elif facts.lock.by_poetry_1:
        yield Problem("poetry.lock was written by Poetry 1.x", lock.RELOCK, relock, "warning")


def artifacts_are_whole(facts: ProjectFacts) -> Iterable[Problem]:
    return facts.damage


def code_is_whole(facts: ProjectFacts) -> Iterable[Problem]:
    return facts.once(code.faults)


def rows(facts: ProjectFacts) -> Iterable[Problem]:
    return artifacts.dependent(facts.project)


def versions(facts: ProjectFacts) -> Iterable[Problem]:
    return artifacts.versions(facts.project, facts.lock) if facts.lock else []


def card(facts: ProjectFacts) -> Iterable[Problem]:
    """Find the parts of the model card that only people can write, and nobody has."""
    heading, empty = "the beginning", []
    for line in (facts.text(CARD) or "").splitlines():
        heading = line.removeprefix("## ") if line.startswith("## ") else heading
        if line.startswith("Say here "):
            empty.append(heading)
    if empty:
        what = f"{CARD} says nothing yet under {', '.join(empty)}"
        yield Problem(what, 'Replace the sentences that begin with "Say here".', severity="warning")


def python(facts: ProjectFacts) -> Iterable[Problem]:
    """Hold .python-version, where there is one, against the versions that the project allows."""
    chosen = pyproject.pinned_python(facts.text(".python-version") or "")
    if not chosen:
        return
    try:
        pinned = parse_constraint(f"{chosen}.*")
    except ValueError:
        message = f'.python-version names "{chosen}", which is not a version'
        yield Problem(message, "Write a version there, like 3.12.", severity="warning")
        return
    try:
        fits = facts.toml.pythons.allows_any(pinned)
    except ValueError as error:
        yield Problem(f"pyproject.toml: {error}", "Write versions of Python, like >=3.11,<3.15.")
        return
    if not fits:
        yield Problem(
            f".python-version names {chosen}, but pyproject.toml requires Python "
            f"{facts.toml.requires_python}",
            "Change one of them.",
        )


def outputs(facts: ProjectFacts) -> Iterable[Problem]:
    """Hold this clone against .gitattributes: the filter that it names is nobody's but the clone's."""
    if (
        not (notebooks.is_wanted(facts.root) and git.available())
        or git.outer_repository(facts.root) is None
    ):
        return
    if not notebooks.is_set(facts.root):
        yield Problem(
            "this clone would commit the outputs of notebooks, since its git has no filter for them",
            'Run "poetry install", then "poetry ml check --fix".',
            partial(notebooks.strip_outputs, facts.root),
            "warning",
        )


CHECKS = [
    Check("layout", "required files exist", layout),
    Check("name", "names are valid", name),
    Check("settings", "settings are known", settings),
    Check("lock", "poetry.lock matches pyproject.toml", lock_is_fresh),
    Check("artifacts", "artifacts match their manifest", artifacts_are_whole),
    Check("versions", "library versions of the artifacts are locked", versions),
    Check("dependencies", "runtime dependencies include what serving needs", dependencies.runtime),
    Check("signature", "the model can be given the rows of a request", signature.of_project),
    Check("trained-code", "the code is as it was when the model was trained", code.stale),
    Check("rows", "rows are predicted independently", rows, advice=True),
    Check("credentials", "no credentials committed", credentials),
    Check("notebooks", "outputs of notebooks stay out of git", outputs, advice=True),
    Check("sizes", "no file above 50 MB in git", sizes),
    Check("model-card", "the model card is filled in", card),
    Check("template", "template is up to date", template),
    Check("python", "Python versions agree", python),
]
