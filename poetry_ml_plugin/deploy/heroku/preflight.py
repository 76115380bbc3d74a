"""All that can be known before the first call: whether a project will build, start and predict on Heroku."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from packaging.utils import canonicalize_name

from poetry_ml_plugin.audit import code, leaks
from poetry_ml_plugin.audit.facts import ProjectFacts
from poetry_ml_plugin.audit.problems import Problem, listing
from poetry_ml_plugin.deploy import TARGETS, pythons, readiness, smoke_test
from poetry_ml_plugin.deploy.heroku import bundle, slug
from poetry_ml_plugin.deploy.heroku.bundle import Bundle
from poetry_ml_plugin.deploy.heroku.tarball import Packed, pack
from poetry_ml_plugin.deploy.smoke_test import SmokeTest
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import git, venv
from poetry_ml_plugin.project import pyproject

if TYPE_CHECKING:
    from poetry.utils.env import Env

    from poetry_ml_plugin.project.pyproject import Project

MB = 1_000_000
SLUG_LIMIT = 500 * MB
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


class DeployFacts(ProjectFacts):
    """A project as it travels, on its way to dynos of a size."""

    def __init__(
        self, project: Project, files: Bundle, env: Env | None, smoke_test: SmokeTest, size: str
    ) -> None:
        super().__init__(project)
        self.bundle, self.env, self.smoke_test, self.size = files, env, smoke_test, size

    def text(self, name: str) -> str | None:
        """Read a text file among those that are sent; return None if there is none."""
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
    smoke_test: SmokeTest
    description: str


def prepare(project: Project, size: str, file: BinaryIO) -> Prepared:
    """Check a project for dynos of a size, and pack it into a file. Raises MLError with all problems."""
    env = venv.find(project.root)
    toml = pyproject.describe(project.root)
    files = bundle.plan(project, defaults(project, env))
    size = (size or DEFAULT_SIZE).lower()
    facts = DeployFacts(project, files, env, smoke_test.here(project, env), size)
    if wrong := problems(facts):
        raise MLError(f"Not deployed. Fix these problems first:\n{listing(wrong)}")
    packed = pack(files, file)
    if packed.size > SLUG_LIMIT:
        raise MLError(f"{packed.size / MB:.0f} MB is too large for a slug: the limit is 500 MB.")
    description = f"{distribution(project)} {toml.version}".rstrip()
    return Prepared(files, packed, notes(facts), facts.smoke_test, description)


def distribution(project: Project) -> str:
    """Return the distribution's name."""
    return canonicalize_name(pyproject.describe(project.root).name or project.package)


def defaults(project: Project, env: Env | None) -> dict[str, str]:
    """Provide the files that Heroku needs, for a project that lacks them."""
    mine = "{}.{}".format(*(env.version_info if env else sys.version_info)[:2])
    python = pythons.fitting(pyproject.describe(project.root), mine)
    return {
        "Procfile": f"web: python -m {project.package} serve --host 0.0.0.0\n",
        ".python-version": f"{python}\n",
    }


def problems(facts: DeployFacts) -> list[Problem]:
    """Find everything that would make the deploy fail."""
    own = (found for check in CHECKS for found in check(facts))
    return [*facts.bundle.problems, *readiness.ready(TARGETS["heroku"], facts), *own]


def notes(facts: DeployFacts) -> list[str]:
    """Collect what is worth knowing before the deploy."""
    stale = [f"{problem.message}. {problem.hint}" for problem in readiness.advice(facts)]
    return [*facts.bundle.notes, *stale, *(said for advise in ADVICE for said in advise(facts))]


def check_code(facts: DeployFacts) -> list[Problem]:
    """Find modules that the package imports and that would not be sent with it."""
    prefix = f"{facts.project.at(facts.project.artifacts_dir.parent)}/"
    names = (name for name in facts.bundle.names if name.startswith(prefix))
    sent = [PurePosixPath(name.removeprefix(prefix)) for name in names]
    missing = code.left_behind(facts.project, sent)
    known = git.tracked(facts.root) if missing else set()
    ignored = git.ignored(facts.root, missing)
    untracked = [name for name in missing if name not in known and name not in ignored]
    others = {name: "sent" for name in missing if name not in untracked}
    return [
        *code.behind(facts.project, others),
        *(
            Problem(
                f"{name}, which the package imports, is not sent: git does not track it", _add(name)
            )
            for name in untracked
        ),
    ]


def _add(name: str) -> str:
    return f"Run: git add {name}"


def check_smoke_test(facts: DeployFacts) -> Iterator[Problem]:
    if facts.smoke_test.failure:
        what = f"the local model cannot predict its examples: {facts.smoke_test.failure}"
        yield Problem(what, 'See "poetry ml predict --example".')


def check_size(facts: DeployFacts) -> Iterator[Problem]:
    size, taken = facts.size, facts.smoke_test.memory
    if size not in MEMORY:
        yield Problem(f"Unknown dyno size {size}", f"Choose from {', '.join(MEMORY)}.")
    elif taken > MEMORY[size]:
        larger = next((name for name, mb in MEMORY.items() if mb > taken), list(MEMORY)[-1])
        yield Problem(
            f"Predicting needs {taken} MB of memory, but a {size} dyno has {MEMORY[size]}",
            f"Use a larger one: --size {larger}.",
        )


def check_paths(facts: DeployFacts) -> Iterator[Problem]:
    """Find dependencies in the project's own folder that would not be sent with it."""
    root = facts.root.resolve()
    for package in readiness.by_path(facts):
        path = (root / package.path).resolve()
        if path == root or not path.is_relative_to(root):  # another check's
            continue
        name = path.relative_to(root).as_posix()
        if not any(n == name or n.startswith(f"{name}/") for n in facts.bundle.names):
            yield Problem(
                f"{package.name} is installed from {name}, which is not sent",
                f'Run "git add --force {name}", or depend on a release of it.',
            )


def advise_slug(facts: DeployFacts) -> Iterator[str]:
    sizes = slug.sizes(facts.lock.packages if facts.lock else (), facts.env)
    estimate = sum(sizes.values()) + facts.bundle.size
    if estimate > 0.8 * SLUG_LIMIT:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
        named = ", ".join(f"{name} {sizes[name] / MB:.0f} MB" for name in largest)
        yield (
            f"The slug may reach {estimate / MB:.0f} MB; the limit is 500 MB. "
            f"The largest packages, compressed: {named}."
        )
        if "torch" in sizes and slug.for_gpus(sizes):
            yield "A dyno has no GPU. For a build of PyTorch without CUDA, run: poetry ml add torch --cpu"


def advise_memory(facts: DeployFacts) -> Iterator[str]:
    limit = MEMORY.get(facts.size, 0)
    if 0.6 * limit < facts.smoke_test.memory <= limit:
        yield (
            f"Predicting takes {facts.smoke_test.memory} MB of the {limit} that a {facts.size} dyno "
            "has: keep to one worker (--env WEB_CONCURRENCY=1), or take a larger --size."
        )


def advise_smoke_test(facts: DeployFacts) -> Iterator[str]:
    if facts.smoke_test.skipped:
        yield f"The smoke test is skipped: {facts.smoke_test.skipped}."


def check_credentials(facts: DeployFacts) -> list[Problem]:
    """Find credentials in the project, and in what is sent although git does not know it."""
    known = git.tracked(facts.root) | git.untracked(facts.root)
    sent = {member.name for member in facts.bundle.members if isinstance(member.source, Path)}
    unknown = leaks.in_files(facts.project, sent - known) if known else []
    return [*leaks.in_tree(facts.project), *unknown]


CHECKS = (check_credentials, check_code, check_smoke_test, check_size, check_paths)
ADVICE = (advise_slug, advise_memory, advise_smoke_test)
