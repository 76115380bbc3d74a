"""Checks of what a wheel and an sdist contain, before and after a build."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import tomlkit
from poetry.core.factory import Factory
from poetry.core.masonry.builders.sdist import SdistBuilder
from poetry.core.masonry.builders.wheel import WheelBuilder

from poetry_ml_plugin.audit import artifacts, code, credentials, dependencies, leaks
from poetry_ml_plugin.audit.checks import Check
from poetry_ml_plugin.audit.facts import ProjectFacts
from poetry_ml_plugin.audit.problems import Problem
from poetry_ml_plugin.build import archives
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import git
from poetry_ml_plugin.project import edit, lock, pyproject
from poetry_ml_plugin.project.pyproject import Project

AGAIN = "Build it again."
NO_SBOM = (
    'Only "poetry build" can write it, with poetry-core as the only build requirement. '
    f"Or remove sbom from [tool.{pyproject.TOOL}]."
)


def before(project: Project) -> list[Problem]:
    """Find every reason not to build a project as it is on disk."""
    facts = ProjectFacts(project)
    return [
        *facts.damage,
        *(artifacts.versions(project, facts.lock) if facts.lock else _unlocked(project)),
        *dependencies.runtime(facts),
        *(links(project) or [*lost(facts), *lost_code(facts)]),
        *_errors(facts.once(code.faults)),
        *leaks.in_tree(project),
        *(code.stale(facts) if project.strict else ()),
    ]


def advice(project: Project) -> list[Problem]:
    """Find what does not prevent a build, and is worth a warning."""
    return [] if project.strict else list(code.stale(ProjectFacts(project)))


def after(project: Project, archive: Path) -> list[Problem]:
    """Find every reason not to release a wheel or an sdist: open it, and read it to its end."""
    try:
        return list(_inspect(project, archive))
    except MLError as error:
        return [Problem(str(error), AGAIN)]


def links(project: Project) -> list[Problem]:
    """Find links in the package: Poetry cannot pack them, or packs them under another name."""
    package = project.artifacts_dir.parent
    paths = [package.parent, package, *sorted(package.rglob("*"))]
    return [v for path in paths if path.is_symlink() and (v := _link(project, path))]


def lost(facts: ProjectFacts) -> list[Problem]:
    """Find artifacts that a build would silently leave out."""
    project = facts.project
    missing: dict[str, list[str]] = {}
    for kind, names in facts.once(contents).items():
        prefix = _artifacts_in(project, wheel=kind == "wheel")
        for name in (artifacts.MANIFEST, *artifacts.listed(project)):
            if artifacts.is_file(project.artifacts_dir / name) and prefix / name not in names:
                missing.setdefault(name, []).append(kind)
    return [
        Problem(
            f"{project.at(project.artifacts_dir)}/{name} would not be in the {' and the '.join(kinds)}",
            _include(project),
            fix=lambda: include(project),
        )
        for name, kinds in missing.items()
    ]


def lost_code(facts: ProjectFacts) -> list[Problem]:
    """Find modules that the package imports and a build would leave out."""
    project = facts.project
    missing: dict[str, list[str]] = {}
    for kind, names in facts.once(contents).items():
        package = _package_in(project, wheel=kind == "wheel")
        shipped = [name.relative_to(package) for name in names if package in name.parents]
        for name in code.left_behind(project, shipped):
            missing.setdefault(name, []).append(kind)
    kinds = {name: f"in the {' and the '.join(kinds)}" for name, kinds in missing.items()}
    return code.behind(project, kinds)


def packs(facts: ProjectFacts) -> list[Problem]:
    return links(facts.project) or lost(facts)


def packs_code(facts: ProjectFacts) -> list[Problem]:
    try:
        return [*facts.once(code.faults), *lost_code(facts)]
    except MLError:  # it cannot be built at all, of which the other check speaks
        return facts.once(code.faults)


CHECKS = [
    Check("packaging", "wheel and sdist contain the artifacts", packs),
    Check("code", "wheel and sdist contain the modules that are imported", packs_code),
]


def include(project: Project) -> None:
    """Have the artifacts travel in every build, even where git ignores them."""
    folder = project.at(project.artifacts_dir)
    entries = tomlkit.array()
    others = pyproject.describe(project.root).includes
    for entry in [entry for entry in others if folder not in str(entry)]:
        entries.append(tomlkit.item(entry, _parent=entries))
    wanted = tomlkit.inline_table()
    wanted.update({"path": f"{folder}/**/*", "format": ["sdist", "wheel"]})
    entries.append(wanted)
    edit.amend(project.root, {("tool", "poetry", "include"): entries})


def contents(project: Project) -> dict[str, set[PurePosixPath]]:
    """List what Poetry would pack into a wheel and an sdist. Raises MLError if it cannot.

    What another build backend would do is not known before it has done so.
    """
    toml = pyproject.describe(project.root)
    if toml.backend != pyproject.BACKEND or not toml.is_package:
        return {}
    try:
        with git.safely():
            poetry = Factory().create_poetry(project.root)
            wheel = WheelBuilder(poetry).find_files_to_add()
            sdist = SdistBuilder(poetry).find_files_to_add(exclude_build=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise MLError(f"{project.root} cannot be built: {error}") from error
    return {
        "wheel": {PurePosixPath(file.relative_to_target_root().as_posix()) for file in wheel},
        "sdist": {PurePosixPath(file.relative_to_source_root().as_posix()) for file in sdist},
    }


def _unlocked(project: Project) -> list[Problem]:
    return [
        Problem(
            f"{name} depends on the versions of its libraries, but poetry.lock is missing",
            lock.RELOCK,
        )
        for name, entry in artifacts.listed(project).items()
        if entry.strict
    ]


def _inspect(project: Project, archive: Path) -> Iterator[Problem]:
    where = f"{archive.name}: "
    prefix = _artifacts_in(project, archives.is_wheel(archive))
    manifest, seen, sbom = b"", {}, not archives.is_wheel(archive)
    for path, stream in archives.members(archive):
        if stream is None:
            yield Problem(f"{where}{path} is a link", "Replace the link with the file.")
            continue
        head = stream.read(credentials.LONGEST)
        facts = (*artifacts.digest(stream, head), head[:1024])
        if prefix in path.parents:
            name = path.relative_to(prefix)
            seen[name.as_posix()] = facts
            manifest = head if str(name) == artifacts.MANIFEST else manifest
        sbom = sbom or path.parent.name == "sboms"
        if credentials.refused(path) and not leaks.pardoned(project, path):
            yield Problem(
                f"{where}{path} looks like a credential file",
                f"Exclude it from the package. {leaks.PARDON}.",
            )
        elif facts[1] == len(head):
            yield from leaks.in_text(project, path, head, where)
    yield from _held(project, where, manifest, seen)
    if project.sbom and not sbom:
        yield Problem(f"{where}there is no SBOM", NO_SBOM)


def _held(
    project: Project, where: str, manifest: bytes, seen: Mapping[str, tuple[str, int, bytes]]
) -> Iterator[Problem]:
    """Compare the artifacts in an archive with the manifest beside them."""
    try:
        entries = artifacts.parse(manifest)
    except ValueError:
        yield Problem(
            f"{where}there is no manifest, so there is no trained model", _include(project)
        )
        return
    for name, entry in entries.items():
        if name not in seen:
            yield Problem(f"{where}{name} is missing", _include(project))
        elif differs := artifacts.compare(f"{where}{name}", entry, *seen[name]):
            yield differs
    for name in sorted(artifacts.unlisted(seen, entries)):
        yield Problem(f"{where}{name} is not in the manifest", artifacts.UNLISTED)


def _link(project: Project, path: Path) -> Problem | None:
    target = path.resolve()
    inside = target.is_relative_to(project.root.resolve())
    if path.exists() and inside and project.artifacts_dir not in (path, *path.parents):
        return None  # Poetry packs it under another name, which is no business of ours
    fault = "" if inside else " outside the project"
    hint = (
        'Run "dvc config cache.type copy", then "dvc checkout --relink".'
        if ".dvc" in target.parts or path.with_name(f"{path.name}.dvc").is_file()
        else "Replace the link with a copy of its target."
    )
    return Problem(f"{project.at(path)} is a link to {target}{fault}: it would not be packed", hint)


def _artifacts_in(project: Project, wheel: bool) -> PurePosixPath:
    """Return the artifacts' folder in a wheel, or in an sdist."""
    return _package_in(project, wheel) / project.artifacts_dir.name


def _package_in(project: Project, wheel: bool) -> PurePosixPath:
    """Return the package's folder in a wheel, or in an sdist."""
    return PurePosixPath(*() if wheel else ("src",), project.package)


def _errors(problems: Iterable[Problem]) -> Iterator[Problem]:
    return (problem for problem in problems if problem.severity == "error")


def _include(project: Project) -> str:
    glob = f"{project.at(project.artifacts_dir)}/**/*"
    return f'Write include = [{{ path = "{glob}", format = ["sdist", "wheel"] }}] in [tool.poetry].'
