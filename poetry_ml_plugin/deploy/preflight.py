"""All that can be known before the first call: whether a project will build, start and predict on Heroku."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from poetry.core.constraints.version import parse_constraint
from poetry.factory import Factory

from poetry_ml_plugin import artifacts, lock, venv
from poetry_ml_plugin.deploy import bundle, trial
from poetry_ml_plugin.deploy.bundle import Bundle
from poetry_ml_plugin.deploy.tarball import Packed, pack
from poetry_ml_plugin.deploy.trial import Trial
from poetry_ml_plugin.errors import MLError

if TYPE_CHECKING:
    from poetry.poetry import Poetry
    from poetry.utils.env import Env

    from poetry_ml_plugin.project import Project

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")  # that the buildpack installs
RIVALS = ("requirements.txt", "Pipfile", "Pipfile.lock", "uv.lock")  # for the one lock file
SERVERS = ("falcon", "waitress")
MB = 1_000_000
SLUG_LIMIT = 500 * MB
SHRINKS_TO = 0.4  # what compression leaves of installed packages, in our experience
MEMORY = {  # MB, by the size of the dyno
    "eco": 512,
    "basic": 512,
    "standard-1x": 512,
    "standard-2x": 1024,
    "performance-m": 2560,
    "performance-l": 14336,
    "performance-l-ram": 30720,
    "performance-xl": 63488,
    "performance-2xl": 129024,
}
DEFAULT_SIZE = "basic"


@dataclass(frozen=True)
class Subject:
    """What the checks look at."""

    project: Project
    poetry: Poetry
    bundle: Bundle
    env: Env | None
    trial: Trial
    size: str


@dataclass(frozen=True)
class Prepared:
    """A project that passed every check, packed."""

    bundle: Bundle
    packed: Packed
    notes: list[str]
    trial: Trial
    description: str


def prepare(found: Project, size: str, file: BinaryIO) -> Prepared:
    """Check a project for dynos of a size, and pack it into a file. Raises MLError with all violations."""
    poetry, env = Factory().create_poetry(found.root), venv.find(found.root)
    files = bundle.plan(found, defaults(found, poetry, env))
    size = (size or DEFAULT_SIZE).lower()
    subject = Subject(found, poetry, files, env, trial.here(found, env), size)
    if wrong := violations(subject):
        listed = "\n".join(f"  - {violation}" for violation in wrong)
        raise MLError(f"Nothing was deployed, for it would not work:\n{listed}")
    packed = pack(files, file)
    if packed.size > SLUG_LIMIT:
        raise MLError(f"{packed.size / MB:.0f} MB are too much for a slug: 500 MB are allowed.")
    description = f"{poetry.package.name} {poetry.package.version}"
    return Prepared(files, packed, notes(subject), subject.trial, description)


def distribution(found: Project) -> str:
    """The distribution's name."""
    return str(Factory().create_poetry(found.root).package.name)


def defaults(found: Project, poetry: Poetry, env: Env | None) -> dict[str, str]:
    """The files that Heroku needs, for a project that has none of its own."""
    mine = "{}.{}".format(*(env.version_info if env else sys.version_info)[:2])
    fitting = [version for version in PYTHONS if _allows(poetry, version)]
    python = mine if mine in fitting else (fitting or [PYTHONS[-1]])[-1]
    return {
        "Procfile": f"web: python -m {found.package} serve --host 0.0.0.0\n",
        ".python-version": f"{python}\n",
    }


def violations(subject: Subject) -> list[str]:
    """Everything that would make the deploy fail."""
    return [*subject.bundle.violations, *(said for check in CHECKS for said in check(subject))]


def notes(subject: Subject) -> list[str]:
    """Everything that is good to know before it goes on."""
    return [*subject.bundle.notes, *(said for check in ADVICE for said in check(subject))]


def check_lock(subject: Subject) -> Iterator[str]:
    locker = subject.poetry.locker
    if not locker.is_locked():
        yield "poetry.lock is missing. Run: poetry lock"
    elif not locker.is_fresh():
        yield "poetry.lock does not fit pyproject.toml any more. Run: poetry lock"


def check_rivals(subject: Subject) -> Iterator[str]:
    for name in RIVALS:
        if name in subject.bundle.names:
            yield f"{name} lies beside poetry.lock, and Heroku builds from one lock file only. Remove it."
    if "runtime.txt" in subject.bundle.names:
        yield "runtime.txt is out of use, and wins over .python-version. Remove it."


def check_servers(subject: Subject) -> Iterator[str]:
    runtime = {package["name"] for package in _runtime(subject.poetry)}
    for name in SERVERS:
        if subject.poetry.locker.is_locked() and name not in runtime:
            yield f"{name} is not among the runtime dependencies. Run: poetry add {name}"


def check_paths(subject: Subject) -> Iterator[str]:
    root = subject.project.root
    for package in _runtime(subject.poetry):
        source = package.get("source", {})
        if source.get("type") not in ("directory", "file"):
            continue
        path = (root / source["url"]).resolve()
        if not path.is_relative_to(root.resolve()):
            yield f"{package['name']} is taken from {path}, out of the project. Move it inside."


def check_artifacts(subject: Subject) -> Iterator[str]:
    locked = lock.read(subject.project.root)
    versions = artifacts.versions(subject.project, locked) if locked else []
    for violation in [*artifacts.verify(subject.project), *versions]:
        yield f"{violation.what}. {violation.mend}"


def check_python(subject: Subject) -> Iterator[str]:
    said = _text(subject, ".python-version").strip()
    found = re.fullmatch(r"(3\.\d+)(\.\d+)?", said)
    if found is None:
        yield f'.python-version says "{said}": Heroku reads a version like 3.12 or 3.12.1 only.'
    elif found[1] not in PYTHONS:
        yield f"Heroku has no Python {said}. Name one of {', '.join(PYTHONS)} in .python-version."
    elif not _allows(subject.poetry, said):
        yield f".python-version says {said}, requires-python {subject.poetry.package.python_versions}."


def check_procfile(subject: Subject) -> Iterator[str]:
    if not re.search(r"^web:", _text(subject, "Procfile"), re.MULTILINE):
        yield 'The Procfile has no line "web: …", so nothing would be served.'


def check_trial(subject: Subject) -> Iterator[str]:
    if subject.trial.failure:
        yield f"The model does not predict its examples here: {subject.trial.failure}"


def check_size(subject: Subject) -> Iterator[str]:
    if subject.size not in MEMORY:
        yield f"There is no dyno size {subject.size}. Sizes are {', '.join(MEMORY)}."
    elif subject.trial.memory > MEMORY[subject.size]:
        larger = next((name for name, mb in MEMORY.items() if mb > subject.trial.memory), "")
        yield (
            f"Predicting takes {subject.trial.memory} MB of memory here, a {subject.size} dyno has "
            f"{MEMORY[subject.size]}. Take a larger one: --size {larger or list(MEMORY)[-1]}"
        )


def advise_slug(subject: Subject) -> Iterator[str]:
    if subject.env is None:
        return
    sizes = {p["name"]: _installed(subject.env, p["name"]) for p in _runtime(subject.poetry)}
    estimate = sum(sizes.values()) * SHRINKS_TO + subject.bundle.size
    if estimate > 0.8 * SLUG_LIMIT:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
        named = ", ".join(f"{name} {sizes[name] / MB:.0f} MB" for name in largest)
        yield (
            f"The slug may come to {estimate / MB:.0f} MB, and 500 are allowed. "
            f"The largest packages: {named}."
        )


def advise_memory(subject: Subject) -> Iterator[str]:
    limit = MEMORY.get(subject.size, 0)
    if 0.6 * limit < subject.trial.memory <= limit:
        yield (
            f"Predicting takes {subject.trial.memory} MB of the {limit} that a {subject.size} dyno "
            "has: keep to one worker (--env WEB_CONCURRENCY=1), or take a larger --size."
        )


def advise_trial(subject: Subject) -> Iterator[str]:
    if subject.trial.skipped:
        yield f"No prediction will be compared: {subject.trial.skipped}."


CHECKS = (
    check_lock,
    check_rivals,
    check_servers,
    check_paths,
    check_artifacts,
    check_python,
    check_procfile,
    check_trial,
    check_size,
)
ADVICE = (advise_slug, advise_memory, advise_trial)


def _runtime(poetry: Poetry) -> list[dict[str, Any]]:
    """What the lock file says of the packages that a server installs."""
    if not poetry.locker.is_locked():
        return []
    packages = poetry.locker.lock_data["package"]
    return [package for package in packages if "main" in package.get("groups", ["main"])]


def _allows(poetry: Poetry, version: str) -> bool:
    exact = f"=={version}" if version.count(".") == 2 else f"=={version}.*"
    return poetry.package.python_constraint.allows_any(parse_constraint(exact))


def _text(subject: Subject, name: str) -> str:
    """What a file that travels says."""
    for member in subject.bundle.members:
        if member.name == name:
            source = member.source
            content = source if isinstance(source, bytes) else source.read_bytes()
            return content.decode(errors="replace")
    return ""


def _installed(env: Env, name: str) -> int:
    """The bytes that an installed package says it has."""
    found: Iterable[importlib.metadata.Distribution] = env.site_packages.distributions(name=name)
    return sum(file.size or 0 for dist in found for file in dist.files or [])
