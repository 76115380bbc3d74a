"""What must be, and what must not be, in a project's wheel and sdist: before a build, and after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import tomlkit
from poetry.core.factory import Factory
from poetry.core.masonry.builders.sdist import SdistBuilder
from poetry.core.masonry.builders.wheel import WheelBuilder

from poetry_ml_plugin import archives, artifacts, credentials, exposure, lock, project
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import Project
from poetry_ml_plugin.violations import Violation

BACKEND = "poetry.core.masonry.api"
AGAIN = "Build it again."
LOCK = 'Run "poetry lock".'
NO_SBOM = (
    'It can be written by "poetry build" alone, with poetry-core as the one build requirement. '
    f"Or take sbom out of [tool.{project.TOOL}]."
)


def before(found: Project) -> list[Violation]:
    """Every reason not to build a project as it stands on the disk."""
    locked = lock.read(found.root)
    return [
        *artifacts.verify(found),
        *(artifacts.versions(found, locked) if locked else _unlocked(found)),
        *(links(found) or lost(found)),
        *exposure.in_tree(found),
    ]


def after(found: Project, archive: Path) -> list[Violation]:
    """Every reason not to let a wheel or an sdist of a project out: it is opened, and read to its end."""
    try:
        return list(_inspect(found, archive))
    except MLError as error:
        return [Violation(str(error), AGAIN)]


def links(found: Project) -> list[Violation]:
    """Links in the package: Poetry cannot pack them, or packs them under the name of their target."""
    package = found.artifacts_dir.parent
    paths = [package.parent, package, *sorted(package.rglob("*"))]
    return [v for path in paths if path.is_symlink() and (v := _link(found, path))]


def lost(found: Project) -> list[Violation]:
    """Artifacts that a build would leave behind without a word."""
    missing: dict[str, list[str]] = {}
    for kind, names in contents(found).items():
        prefix = _artifacts_in(found, wheel=kind == "wheel")
        for name in (artifacts.MANIFEST, *artifacts.listed(found)):
            if artifacts.is_file(found.artifacts_dir / name) and prefix / name not in names:
                missing.setdefault(name, []).append(kind)
    return [
        Violation(
            f"{found.at(found.artifacts_dir)}/{name} would not be in the {' and the '.join(kinds)}",
            _include(found),
            fix=lambda: include(found),
        )
        for name, kinds in missing.items()
    ]


def include(found: Project) -> None:
    """Have the artifacts travel in every build, even where git ignores them."""
    folder = found.at(found.artifacts_dir)
    poetry = project.load(found.root / "pyproject.toml").unwrap().get("tool", {}).get("poetry", {})
    entries = tomlkit.array()
    for entry in [entry for entry in poetry.get("include", []) if folder not in str(entry)]:
        entries.append(tomlkit.item(entry, _parent=entries))
    wanted = tomlkit.inline_table()
    wanted.update({"path": f"{folder}/**/*", "format": ["sdist", "wheel"]})
    entries.append(wanted)
    project.amend(found.root, {("tool", "poetry", "include"): entries})


def contents(found: Project) -> dict[str, set[PurePosixPath]]:
    """What Poetry would put into a wheel and an sdist, by the names there. Raises MLError where it cannot.

    What another build backend would do is not known before it has done so.
    """
    system = project.load(found.root / "pyproject.toml").unwrap().get("build-system", {})
    if system.get("build-backend", BACKEND) != BACKEND:
        return {}
    try:
        poetry = Factory().create_poetry(found.root)
        wheel = WheelBuilder(poetry).find_files_to_add()
        sdist = SdistBuilder(poetry).find_files_to_add(exclude_build=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise MLError(f"{found.root} cannot be built: {error}") from error
    return {
        "wheel": {PurePosixPath(file.relative_to_target_root().as_posix()) for file in wheel},
        "sdist": {PurePosixPath(file.relative_to_source_root().as_posix()) for file in sdist},
    }


def _unlocked(found: Project) -> list[Violation]:
    return [
        Violation(f"{name} depends on the versions of its libraries, and none is locked", LOCK)
        for name, entry in artifacts.listed(found).items()
        if entry.strict
    ]


def _inspect(found: Project, archive: Path) -> Iterator[Violation]:
    where = f"{archive.name}: "
    prefix = _artifacts_in(found, archives.is_wheel(archive))
    manifest, seen, sbom = b"", {}, not archives.is_wheel(archive)
    for path, stream in archives.members(archive):
        if stream is None:
            yield Violation(f"{where}{path} is a link", "Put the file itself in its place.")
            continue
        head = stream.read(credentials.LONGEST)
        facts = (*artifacts.digest(stream, head), head[:1024])
        if prefix in path.parents:
            name = path.relative_to(prefix)
            seen[name.as_posix()] = facts
            manifest = head if str(name) == artifacts.MANIFEST else manifest
        sbom = sbom or path.parent.name == "sboms"
        if credentials.refused(path) and not exposure.pardoned(found, path):
            yield Violation(f"{where}{path} is for nobody else", f"Take it out. {exposure.PARDON}.")
        elif facts[1] == len(head):
            yield from exposure.in_text(found, path, head, where)
    yield from _held(found, where, manifest, seen)
    if found.sbom and not sbom:
        yield Violation(f"{where}there is no SBOM", NO_SBOM)


def _held(
    found: Project, where: str, manifest: bytes, seen: Mapping[str, tuple[str, int, bytes]]
) -> Iterator[Violation]:
    """How the artifacts in an archive differ from the manifest beside them."""
    try:
        entries = artifacts.parse(manifest)
    except ValueError:
        yield Violation(f"{where}there is no manifest, and so no trained model", _include(found))
        return
    for name, entry in entries.items():
        if name not in seen:
            yield Violation(f"{where}{name} is missing", _include(found))
        elif differs := artifacts.compare(f"{where}{name}", entry, *seen[name]):
            yield differs
    for name in sorted(artifacts.unlisted(seen, entries)):
        yield Violation(f"{where}{name} is not in the manifest", artifacts.UNLISTED)


def _link(found: Project, path: Path) -> Violation | None:
    target = path.resolve()
    inside = target.is_relative_to(found.root.resolve())
    if path.exists() and inside and found.artifacts_dir not in (path, *path.parents):
        return None  # Poetry packs it under another name, which is no business of ours
    fault = "" if inside else " outside the project"
    mend = (
        'Run "dvc config cache.type copy", then "dvc checkout --relink".'
        if ".dvc" in target.parts or path.with_name(f"{path.name}.dvc").is_file()
        else "Put what it points to in its place."
    )
    return Violation(f"{found.at(path)} is a link to {target}{fault}: it would not be packed", mend)


def _artifacts_in(found: Project, wheel: bool) -> PurePosixPath:
    """The folder of the artifacts in a wheel, or in an sdist."""
    return PurePosixPath(*() if wheel else ("src",), found.package, found.artifacts_dir.name)


def _include(found: Project) -> str:
    glob = f"{found.at(found.artifacts_dir)}/**/*"
    return f'Write include = [{{ path = "{glob}", format = ["sdist", "wheel"] }}] in [tool.poetry].'
