"""What the pyproject.toml of a project is to say, where it does not, for a model to train and serve in it."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from packaging.utils import canonicalize_name
from poetry.core.constraints.version import parse_constraint

from poetry_ml_plugin.adopt.inspect import Existing
from poetry_ml_plugin.project import edit, pyproject, requirements
from poetry_ml_plugin.project.edit import table
from poetry_ml_plugin.project.names import Names
from poetry_ml_plugin.project.requirements import Dependency
from poetry_ml_plugin.template import render

LOWEST = "3.11"
BUILD_SYSTEM = {"requires": ["poetry-core (>=2.1,<3)"], "build-backend": "poetry.core.masonry.api"}
# What an existing model has no need of.
SAMPLE_DEPENDENCIES = {"numpy", "onnxruntime"}


def wish(
    project: Existing,
    own: Names,
    python: str,
    model: str | None,
    template: str = render.DEFAULT,
) -> dict[str, Any]:
    """What pyproject.toml is to say, where it does not, for the files of a template."""
    said: dict[str, Any] = {"tool": {"poetry": {}}}
    if not project.is_poetry:
        said = edit.merged(_described(project, own, python), said)
    if project.is_package:
        said["tool"]["poetry"] |= {
            "packages": _packages(project, own),
            "include": [
                _artifacts(own.package),
                *([_artifacts(model)] if model and _has(project, model) else []),
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
    if not project.is_poetry and "build-system" not in project.data:
        said["build-system"] = BUILD_SYSTEM
    return said


def _described(project: Existing, own: Names, python: str) -> dict[str, Any]:
    """[project] for one that has none: what setup.py says."""
    setup = project.setup
    described: dict[str, Any] = {
        "name": own.distribution,
        "version": str(setup.get("version", "0.1.0")),
        "description": " ".join(str(setup.get("description", "")).split()),
    }
    if (project.root / "README.md").exists():
        described["readme"] = "README.md"
    described["requires-python"] = f">={python}"
    points = table(setup, "entry_points").get("console_scripts", [])
    scripts = [str(point).partition("=") for point in points if isinstance(points, list)]
    if scripts:
        described["scripts"] = {name.strip(): place.strip() for name, _, place in scripts}
    return {"project": described}


def _packages(project: Existing, own: Names) -> list[dict[str, str]]:
    """Poetry looks for a package by itself only where none is listed."""
    ours = {"include": own.package, "from": "src"}
    if "packages" in table(project.data, "tool", "poetry"):
        return [ours]
    if not project.is_poetry:
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


def _artifacts(package: str) -> dict[str, Any]:
    return {"path": f"src/{package}/artifacts/**/*", "format": ["sdist", "wheel"]}


def _has(project: Existing, package: str) -> bool:
    return not project.is_poetry and (project.root / "src" / package / "artifacts").is_dir()


def _script(project: Existing, own: Names) -> dict[str, Any]:
    scripts = {"scripts": {own.package: f"{own.package}.__main__:main"}}
    stated = table(project.data, "project")
    in_poetry = "scripts" in table(project.data, "tool", "poetry") or "scripts" in stated.get(
        "dynamic", []
    )
    if "scripts" not in stated and (in_poetry or (project.is_poetry and not stated)):
        return {"tool": {"poetry": scripts}}
    return {"project": scripts}


def _dependencies(
    project: Existing, model: str | None, template: str
) -> dict[str, list[Dependency]]:
    """What to add, by group: what the template lists, and what files of older projects do."""
    stood = pyproject.load(render.template_dir(template) / "pyproject.toml").unwrap()
    wanted = {"main": requirements.parsed(stood["project"]["dependencies"])}
    if model:
        wanted["main"] = [d for d in wanted["main"] if d.name not in SAMPLE_DEPENDENCIES]
    else:
        for name, group in stood["tool"]["poetry"]["group"].items():
            wanted[name] = requirements.from_poetry(group["dependencies"])
    if project.is_poetry and project.pythons.allows_any(parse_constraint(f"<{LOWEST}")):
        wanted = {
            g: [d.limited(f'python_version >= "{LOWEST}"') for d in ds] for g, ds in wanted.items()
        }
    present = _present(project)
    older = [] if project.is_poetry else _older(project)
    for dependency in older:
        group = "dev" if requirements.for_development(dependency) else "main"
        wanted[group] = [dependency, *wanted.get(group, [])]
    result: dict[str, list[Dependency]] = {}
    for group, dependencies in wanted.items():
        there = present.get("main", set()) | present.get(group, set())
        if group != "main":
            there = set().union(
                *present.values(), (canonicalize_name(d.name) for d in result.get("main", []))
            )
        new = requirements.united(dependencies)
        result[group] = sorted(
            (d for n, d in new.items() if n not in there), key=lambda d: d.name.lower()
        )
    return {group: dependencies for group, dependencies in result.items() if dependencies}


def _older(project: Existing) -> list[Dependency]:
    """What setup.py and requirements.txt list, without the project itself."""
    listed = requirements.parsed(project.setup.get("install_requires"))
    path = project.root / "requirements.txt"
    if path.is_file():
        listed = [*requirements.read_requirements(path), *listed]
    united = requirements.united(listed)
    return [dependency for name, dependency in united.items() if name != project.name]


def _present(project: Existing) -> dict[str, set[str]]:
    """The names that each group of a project has; optional groups count for themselves only."""
    poetry = table(project.data, "tool", "poetry")
    stated = table(project.data, "project").get("dependencies", [])
    groups = {
        "main": [*(d.name for d in requirements.parsed(stated)), *table(poetry, "dependencies")],
        "dev": list(table(poetry, "dev-dependencies")),
    }
    for name, texts in table(project.data, "dependency-groups").items():
        groups[name] = [*groups.get(name, []), *(d.name for d in requirements.parsed(texts))]
    for name in table(poetry, "group"):
        groups[name] = [*groups.get(name, []), *table(poetry, "group", name, "dependencies")]
    return {
        group: {str(canonicalize_name(name)) for name in names} for group, names in groups.items()
    }


def _group(project: Existing, group: str, dependencies: list[Dependency]) -> dict[str, Any]:
    """Dependencies of a group, as the project writes such."""
    if group == "main" and not project.is_legacy:
        return {"project": {"dependencies": [d.pep508() for d in dependencies]}}
    by_name = {d.name: d.poetry() for d in dependencies}
    if group == "main":
        return {"tool": {"poetry": {"dependencies": by_name}}}
    groups = table(project.data, "tool", "poetry", "group")
    new: dict[str, Any] = {"tool": {"poetry": {"group": {group: {"dependencies": by_name}}}}}
    standard = table(project.data, "dependency-groups")
    if standard and group not in groups:
        new = {"dependency-groups": {group: [d.pep508() for d in dependencies]}}
    if group == "notebook" and group not in groups and group not in standard:
        new = edit.merged({"tool": {"poetry": {"group": {group: {"optional": True}}}}}, new)
    return new
