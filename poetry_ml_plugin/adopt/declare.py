"""Additions that an existing pyproject.toml needs to train and serve a model."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from typing import Any

from packaging.utils import canonicalize_name
from poetry.core.constraints.version import Version, parse_constraint

from poetry_ml_plugin.adopt import metadata, record
from poetry_ml_plugin.adopt.inspect import Existing
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import edit, lock, pyproject, requirements
from poetry_ml_plugin.project.names import Names
from poetry_ml_plugin.project.requirements import Dependency
from poetry_ml_plugin.template import render

BUILD_SYSTEM = {"requires": ["poetry-core (>=2.1,<3)"], "build-backend": "poetry.core.masonry.api"}
# What an existing model has no need of: the sample's libraries could contradict its own.
SAMPLE_DEPENDENCIES = {"numpy", "onnxruntime"}
SAMPLE_GROUPS = {"train", "boost", "dev"}
# An existing project has tools of its own choice; `serve --reload` says what it needs when it is used.
SAMPLE_TOOLS = {"ruff", "watchfiles"}


def wish(
    project: Existing,
    own: Names,
    python: str,
    model: str | None,
    template: str = render.DEFAULT,
) -> dict[str, Any]:
    """Collect what pyproject.toml does not say yet and has to, for the files of a template."""
    said: dict[str, Any] = {"tool": {"poetry": {}}}
    if not project.toml.is_described:
        said = edit.merged(_described(project, own, python), said)
    if project.toml.is_package:
        said["tool"]["poetry"] |= {
            "packages": _packages(project, own),
            "include": [
                _artifacts(f"src/{own.package}/artifacts"),
                *([_artifacts(place)] if (place := _of_model(project, model)) else []),
            ],
        }
        said = edit.merged(said, _script(project, own))
    else:
        said["tool"]["pytest"] = {"ini_options": {"pythonpath": ["src"]}}
    for group, dependencies in _dependencies(project, model, template).items():
        said = edit.merged(said, _group(project, group, dependencies))
    version = importlib.metadata.version(render.DISTRIBUTION)
    if render.from_index():
        said["tool"]["poetry"]["requires-plugins"] = {render.DISTRIBUTION: f">={version}"}
    said["tool"][pyproject.TOOL] = {"package": own.package, "template-version": version}
    if template != render.DEFAULT:
        said["tool"][pyproject.TOOL]["template-source"] = template
    if not project.toml.is_described and "build-system" not in project.toml.data:
        said["build-system"] = BUILD_SYSTEM
    return said


def _described(project: Existing, own: Names, python: str) -> dict[str, Any]:
    """Write [project] from setup.py, for a project that has no such table."""
    setup = project.setup
    described: dict[str, Any] = {
        "name": own.distribution,
        "version": str(setup.get("version", "0.1.0")),
        "description": " ".join(str(setup.get("description", "")).split()),
    }
    if (project.root / "README.md").exists():
        described["readme"] = "README.md"
    described["requires-python"] = _requires_python(project, python)
    return {"project": {**described, **metadata.described(setup)}}


def _requires_python(project: Existing, python: str) -> str:
    """Bound the Pythons of a project: as setup.py does, and as the service needs."""
    ours = pyproject.requires_python(python)
    said = project.setup.get("python_requires")
    if not isinstance(said, str) or project.pythons_of_setup.allows_all(parse_constraint(ours)):
        return ours
    lowest = parse_constraint(pyproject.requires_python(pyproject.LOWEST))
    return str(project.pythons_of_setup.intersect(lowest))


def doubts(project: Existing, model: str | None) -> Iterator[str]:
    """Say where a project asks for other versions of a library than the template was tested with."""
    theirs = {**requirements.united(brought(project)), **requirements.main(project.toml)}
    locked = _lock(project)
    for wanted in _wanted(project, model, render.DEFAULT)["main"]:
        said = theirs.get(canonicalize_name(wanted.name))
        if said is None or said.url:
            continue
        ours = parse_constraint(wanted.versions or "*")
        if not ours.allows_any(parse_constraint(said.versions or "*")):
            yield (
                f"The project asks for {said.pep508()}, and the service was tested with "
                f"{wanted.name} ({wanted.versions}) only."
            )
            continue
        versions = locked.versions(canonicalize_name(wanted.name)) if locked else set()
        if versions and not any(ours.allows(Version.parse(version)) for version in versions):
            yield (
                f"poetry.lock has {wanted.name} {', '.join(sorted(versions))}, and the service was tested "
                f"with {wanted.versions}. Run, after poetry lock: poetry update {wanted.name}"
            )


def _lock(project: Existing) -> lock.Lock | None:
    """Read the lock file, which may be broken, or older than what reads it: the next step writes it."""
    try:
        return lock.read(project.root) if project.content else None
    except MLError:
        return None


def _packages(project: Existing, own: Names) -> list[dict[str, str]]:
    """Poetry looks for a package by itself only where none is listed."""
    ours = {"include": own.package, "from": "src"}
    if project.toml.packages:
        return [ours]
    if not project.toml.is_described:
        inside = sorted(path.parent.name for path in project.root.glob("src/*/__init__.py"))
        beside = sorted(path.parent.name for path in project.root.glob("*/__init__.py"))
        flat = [{"include": name} for name in beside if name not in ("docs", "tests")]
        return [*([{"include": name, "from": "src"} for name in inside] or flat), ours]
    module = project.name.replace("-", "_")
    for place, where in (("", {}), ("src", {"from": "src"})):
        for name in (module, f"{module}.py"):
            if (project.root / place / name).exists() and name != own.package:
                return [{"include": name, **where}, ours]
    return [ours]


def _artifacts(folder: str) -> dict[str, Any]:
    return {"path": f"{folder}/**/*", "format": ["sdist", "wheel"]}


def _of_model(project: Existing, model: str | None) -> str:
    """Find the folder of an existing model's artifacts, which git may ignore and a build must not."""
    if model is None or not record.find(project.root, model):
        return ""
    return record.folder(project.root, model).relative_to(project.root).as_posix()


def _script(project: Existing, own: Names) -> dict[str, Any]:
    scripts = {"scripts": {own.package: f"{own.package}.__main__:main"}}
    return (
        {"tool": {"poetry": scripts}}
        if project.toml.keeps_scripts_in_poetry
        else {"project": scripts}
    )


def _dependencies(
    project: Existing, model: str | None, template: str
) -> dict[str, list[Dependency]]:
    """List what to add to each group: the template's dependencies, and those of older files."""
    wanted = _wanted(project, model, template)
    for dependency in brought(project):
        group = "dev" if requirements.for_development(dependency) else "main"
        wanted[group] = [dependency, *wanted.get(group, [])]
    present, optional = project.toml.groups, project.toml.optional_groups
    installed = set().union(*(present[group] for group in present.keys() - optional))
    result: dict[str, list[Dependency]] = {}
    for group, dependencies in wanted.items():
        there = present.get("main", set())
        if group != "main":
            there = installed | {str(canonicalize_name(d.name)) for d in result.get("main", [])}
        if group in _optional():
            there = there | present.get(group, set())
        new = requirements.united(dependencies)
        result[_place(group, optional)] = sorted(
            (d for n, d in new.items() if n not in there), key=lambda d: d.name.lower()
        )
    return {group: dependencies for group, dependencies in result.items() if dependencies}


def _wanted(project: Existing, model: str | None, template: str) -> dict[str, list[Dependency]]:
    """List what the template needs, by group, in the versions that the project itself asks for."""
    wanted = requirements.by_group(pyproject.describe(render.template_dir(template)))
    wanted["dev"] = [d for d in wanted["dev"] if d.name not in SAMPLE_TOOLS]
    if model:
        wanted = {group: ds for group, ds in wanted.items() if group not in SAMPLE_GROUPS}
        wanted["main"] = [d for d in wanted["main"] if d.name not in SAMPLE_DEPENDENCIES]
    # What an optional group or an extra has is not installed by itself, and has one version in the lock.
    known = requirements.on_request(project.toml)
    wanted = {
        group: [known.get(canonicalize_name(d.name), d) for d in ds] for group, ds in wanted.items()
    }
    if project.toml.is_described and project.pythons.allows_any(
        parse_constraint(f"<{pyproject.LOWEST}")
    ):
        limit = f'python_version >= "{pyproject.LOWEST}"'
        wanted = {group: [d.limited(limit) for d in ds] for group, ds in wanted.items()}
    return wanted


def _optional() -> frozenset[str]:
    """Name the template's groups that are installed only when asked for."""
    return pyproject.describe(render.template_dir()).optional_groups


def _place(group: str, optional: frozenset[str]) -> str:
    """Choose the group to add to: not one of the project's that is not installed by itself."""
    return f"ml-{group}" if group in optional and group not in _optional() else group


def brought(project: Existing) -> list[Dependency]:
    """List what comes over from setup.py, setup.cfg and requirements.txt, without the project itself."""
    return [d.loosened() for d in _older(project)] if project.loose else _older(project)


def pins(project: Existing) -> list[Dependency]:
    """List what those files pin to one version."""
    return [dependency for dependency in _older(project) if dependency.pin]


def _older(project: Existing) -> list[Dependency]:
    if project.toml.is_described:
        return []
    # What setup.py asks for is meant for others, and looser than the pins of a requirements.txt.
    listed = requirements.parsed(project.setup.get("install_requires"))
    path = project.root / "requirements.txt"
    if path.is_file():
        listed = [*listed, *requirements.read_requirements(path)]
    united = requirements.united(listed)
    return [dependency for name, dependency in united.items() if name != project.name]


def _group(project: Existing, group: str, dependencies: list[Dependency]) -> dict[str, Any]:
    """Write the dependencies of a group as the project writes such."""
    if group == "main" and not project.toml.is_legacy:
        return {"project": {"dependencies": [d.pep508() for d in dependencies]}}
    by_name = {d.name: d.poetry() for d in dependencies}
    if group == "main":
        return {"tool": {"poetry": {"dependencies": by_name}}}
    in_poetry = pyproject.table(project.toml.poetry, "group", group)
    standard = pyproject.table(project.toml.data, "dependency-groups")
    new: dict[str, Any] = {"tool": {"poetry": {"group": {group: {"dependencies": by_name}}}}}
    if standard and not in_poetry:
        new = {"dependency-groups": {group: [d.pep508() for d in dependencies]}}
    if group in _optional() and not in_poetry and group not in standard:
        new = edit.merged({"tool": {"poetry": {"group": {group: {"optional": True}}}}}, new)
    return new
