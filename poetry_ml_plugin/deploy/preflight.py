"""All that can be known before the first call: whether a project will build, start and predict on Heroku."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from poetry.core.constraints.version import parse_constraint
from poetry.factory import Factory

from poetry_ml_plugin import readiness, venv
from poetry_ml_plugin.deploy import bundle, trial
from poetry_ml_plugin.deploy.bundle import Bundle
from poetry_ml_plugin.deploy.tarball import Packed, pack
from poetry_ml_plugin.deploy.trial import Trial
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.violations import Violation, listing

if TYPE_CHECKING:
    from poetry.poetry import Poetry
    from poetry.utils.env import Env

    from poetry_ml_plugin.project import Project

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


class Subject(readiness.Subject):
    """A project as it travels, on its way to dynos of a size."""

    def __init__(
        self, found: Project, files: Bundle, env: Env | None, tried: Trial, size: str
    ) -> None:
        super().__init__(found)
        self.bundle, self.env, self.trial, self.size = files, env, tried, size

    def text(self, name: str) -> str | None:
        """The text of a file that travels, or None where none does."""
        for member in self.bundle.members:
            if member.name == name:
                source = member.source
                content = source if isinstance(source, bytes) else source.read_bytes()
                return content.decode(errors="replace")
        return None


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
    subject = Subject(found, files, env, trial.here(found, env), size)
    if wrong := violations(subject):
        raise MLError(f"Nothing was deployed, for it would not work:\n{listing(wrong)}")
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
    fitting = [version for version in readiness.HEROKU_PYTHONS if _allows(poetry, version)]
    python = mine if mine in fitting else (fitting or readiness.HEROKU_PYTHONS)[-1]
    return {
        "Procfile": f"web: python -m {found.package} serve --host 0.0.0.0\n",
        ".python-version": f"{python}\n",
    }


def violations(subject: Subject) -> list[Violation]:
    """Everything that would make the deploy fail."""
    own = (found for check in CHECKS for found in check(subject))
    return [*subject.bundle.violations, *readiness.ready("heroku", subject), *own]


def notes(subject: Subject) -> list[str]:
    """Everything that is good to know before it goes on."""
    return [*subject.bundle.notes, *(said for advise in ADVICE for said in advise(subject))]


def check_trial(subject: Subject) -> Iterator[Violation]:
    if subject.trial.failure:
        what = f"the model does not predict its examples here: {subject.trial.failure}"
        yield Violation(what, 'See "poetry ml predict --example".')


def check_size(subject: Subject) -> Iterator[Violation]:
    size, taken = subject.size, subject.trial.memory
    if size not in MEMORY:
        yield Violation(f"There is no dyno size {size}", f"Sizes are {', '.join(MEMORY)}.")
    elif taken > MEMORY[size]:
        larger = next((name for name, mb in MEMORY.items() if mb > taken), list(MEMORY)[-1])
        yield Violation(
            f"Predicting takes {taken} MB of memory here, a {size} dyno has {MEMORY[size]}",
            f"Take a larger one: --size {larger}.",
        )


def check_paths(subject: Subject) -> Iterator[Violation]:
    """What is installed from the project's own folder has to travel with it."""
    root = subject.root.resolve()
    for package in readiness.by_path(subject):
        path = (root / package.path).resolve()
        if path == root or not path.is_relative_to(root):  # another check's
            continue
        name = path.relative_to(root).as_posix()
        if not any(n == name or n.startswith(f"{name}/") for n in subject.bundle.names):
            yield Violation(
                f"{package.name} is taken from {name}, which does not travel",
                f'Run "git add --force {name}", or depend on a release of it.',
            )


def advise_slug(subject: Subject) -> Iterator[str]:
    if subject.env is None:
        return
    packages = subject.lock.packages if subject.lock else ()
    sizes = {p.name: _installed(subject.env, p.name) for p in packages if p.runtime}
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


CHECKS = (check_trial, check_size, check_paths)
ADVICE = (advise_slug, advise_memory, advise_trial)


def _allows(poetry: Poetry, version: str) -> bool:
    return poetry.package.python_constraint.allows_any(parse_constraint(f"=={version}.*"))


def _installed(env: Env, name: str) -> int:
    """The bytes that an installed package says it has."""
    found: Iterable[importlib.metadata.Distribution] = env.site_packages.distributions(name=name)
    return sum(file.size or 0 for dist in found for file in dist.files or [])
