"""What it takes to make a machine-learning project of a project that is there: files and lines to add."""

from __future__ import annotations

import difflib
import importlib.metadata
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.utils import canonicalize_name
from poetry.core.constraints.version import parse_constraint

from poetry_ml_plugin import additions, existing, git, names, project, requirements, scaffold
from poetry_ml_plugin.additions import table
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.existing import Existing
from poetry_ml_plugin.names import Names
from poetry_ml_plugin.requirements import Dependency
from poetry_ml_plugin.scaffold import PYPROJECT, File

LOWEST = "3.10"
BUILD_SYSTEM = {"requires": ["poetry-core (>=2.1,<3)"], "build-backend": "poetry.core.masonry.api"}
EMPTY_MANIFEST = b'{\n  "artifacts": {},\n  "run": {}\n}\n'
# What an existing model needs no example of.
SAMPLE_FILES = re.compile(
    r"(README\.md|configs/train\.yaml|data/.*|notebooks/.*|reports/.*|static/.*|tests/.*"
    r"|src/\w+/data\.py|src/\w+/models/(model|train)\.py)$"
)
SAMPLE_DEPENDENCIES = {"numpy", "onnxruntime"}


@dataclass(frozen=True)
class Plan:
    """What is to be added to a project, and what may be worth knowing about it."""

    root: Path
    names: Names
    files: Mapping[PurePosixPath, File]
    before: bytes
    after: bytes  # of pyproject.toml
    model: str | None  # the package whose model it is, unless the sample's
    kept: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.files and self.before == self.after


def plan(found: Existing, python: str, package: str | None = None) -> Plan:
    """What `poetry ml init` adds to a project. Raises MLError where the project cannot have it.

    `python` is the interpreter's minor version, like "3.12", for a project that does not name its own.
    """
    if ours := project.read(found.root) if found.content else None:
        return Plan(
            found.root, Names(found.name, ours.package), {}, found.content, found.content, None
        )
    _check(found)
    model = existing.model_of(found.root)
    own = Names(found.name, _package(found, package))
    files = dict(_files(found, own, python, model))
    after = additions.extend(found.content, _wish(found, own, python, model))
    added = scaffold.missing(files, found.root)
    kept = tuple(str(name) for name in files if name not in added)
    return Plan(
        found.root,
        own,
        added,
        found.content,
        after,
        model,
        kept,
        tuple(_notes(found, own, model, added)),
    )


def apply(todo: Plan) -> None:
    """Add what was planned: all of it or, on any failure, nothing.

    Raises MLError where the project has changed since.
    """
    if todo.is_empty:
        return
    path = todo.root / PYPROJECT
    if (path.read_bytes() if path.exists() else b"") != todo.before:
        raise MLError(f"{path} has changed meanwhile. Nothing was added; run it again.")
    scaffold.add({**todo.files, PYPROJECT: File(todo.after)}, todo.root)


def diff(todo: Plan) -> Iterator[str]:
    """The plan as `git apply` takes it, line by line."""
    for name, file in sorted(todo.files.items()):
        yield from _file_diff(name, None, file.content, file.executable)
    if todo.after != todo.before:
        yield from _file_diff(PYPROJECT, todo.before or None, todo.after)


def _check(found: Existing) -> None:
    backend = table(found.data, "build-system").get("build-backend", "poetry.core.masonry.api")
    if found.is_package and found.is_poetry and not str(backend).startswith("poetry"):
        raise MLError(
            f"{found.root / PYPROJECT} is built by {backend}, which Poetry's tables say nothing to. "
            'Let poetry-core build it, or set "package-mode = false" in [tool.poetry].'
        )
    if found.is_poetry and not found.pythons.allows_any(parse_constraint(f">={LOWEST}")):
        raise MLError(
            f"{found.root / PYPROJECT} wants an older Python than {LOWEST}, which the service needs. "
            "Widen that, then run this again."
        )


def _package(found: Existing, wish: str | None) -> str:
    """A package that is not there yet: the service has one to itself, whatever modules there are."""
    base = found.name.replace("-", "_")
    choices = [base, f"{base}_ml", f"{base}_service"] if wish is None else [names.fit_package(wish)]
    for package in choices:
        ends = [f"{place}{package}{end}" for place in ("", "src/") for end in ("", ".py")]
        if _fits(package) and not any(_has_files(found.root / end) for end in ends):
            return package
    raise MLError(f"There is a package {choices[0]} already. Name another with --package NAME.")


def _has_files(path: Path) -> bool:
    return path.is_file() or any(found.is_file() for found in path.rglob("*"))


def _fits(package: str) -> bool:
    try:
        names.fit_package(package)
    except MLError:
        return False
    return True


def _files(
    found: Existing, own: Names, python: str, model: str | None
) -> Iterator[tuple[PurePosixPath, File]]:
    """The template's files, less what would speak for the whole project or be noise in it."""
    has_readme = any(found.root.glob("[Rr][Ee][Aa][Dd][Mm][Ee]*"))
    for name, file in scaffold.plan(own, python).items():
        if name in (PYPROJECT, PurePosixPath(".python-version")):
            continue
        if (model and SAMPLE_FILES.match(str(name))) or (has_readme and str(name) == "README.md"):
            continue
        if name.name == ".gitkeep" and (found.root / name.parent).exists():
            continue
        yield name, file
    yield PurePosixPath("src", own.package, "artifacts", "manifest.json"), File(EMPTY_MANIFEST)
    if model:
        yield from scaffold.render(
            scaffold.template_dir("adopted"), own, {"existing_model": model}
        ).items()


def _wish(found: Existing, own: Names, python: str, model: str | None) -> dict[str, Any]:
    """What pyproject.toml is to say, where it does not."""
    wish: dict[str, Any] = {"tool": {"poetry": {}}}
    if not found.is_poetry:
        wish = additions.merged(_described(found, own, python), wish)
    if found.is_package:
        wish["tool"]["poetry"] |= {
            "packages": _packages(found, own),
            "include": [
                _artifacts(own.package),
                *([_artifacts(model)] if model and _has(found, model) else []),
            ],
        }
        wish = additions.merged(wish, _script(found, own))
    else:
        wish["tool"]["pytest"] = {"ini_options": {"pythonpath": ["src"]}}
    for group, dependencies in _dependencies(found, model).items():
        wish = additions.merged(wish, _group(found, group, dependencies))
    version = importlib.metadata.version("poetry-ml-plugin")
    wish["tool"][project.TOOL] = {"package": own.package, "template-version": version}
    if not found.is_poetry and "build-system" not in found.data:
        wish["build-system"] = BUILD_SYSTEM
    return wish


def _described(found: Existing, own: Names, python: str) -> dict[str, Any]:
    """[project] for one that has none: what setup.py says."""
    setup = found.setup
    described: dict[str, Any] = {
        "name": own.distribution,
        "version": str(setup.get("version", "0.1.0")),
        "description": " ".join(str(setup.get("description", "")).split()),
    }
    if (found.root / "README.md").exists():
        described["readme"] = "README.md"
    described["requires-python"] = f">={python}"
    points = table(setup, "entry_points").get("console_scripts", [])
    scripts = [str(point).partition("=") for point in points]
    if scripts:
        described["scripts"] = {name.strip(): place.strip() for name, _, place in scripts}
    return {"project": described}


def _packages(found: Existing, own: Names) -> list[dict[str, str]]:
    """Poetry looks for a package by itself only where none is listed."""
    ours = {"include": own.package, "from": "src"}
    if "packages" in table(found.data, "tool", "poetry"):
        return [ours]
    if not found.is_poetry:
        theirs = sorted(path.parent.name for path in found.root.glob("src/*/__init__.py"))
        return [*({"include": name, "from": "src"} for name in theirs), ours]
    module = found.name.replace("-", "_")
    for place, where in (("", {}), ("src", {"from": "src"})):
        for name in (module, f"{module}.py"):
            if (found.root / place / name).exists() and name != own.package:
                return [{"include": name, **where}, ours]
    return [ours]


def _artifacts(package: str) -> dict[str, Any]:
    return {"path": f"src/{package}/artifacts/**/*", "format": ["sdist", "wheel"]}


def _has(found: Existing, package: str) -> bool:
    return not found.is_poetry and (found.root / "src" / package / "artifacts").is_dir()


def _script(found: Existing, own: Names) -> dict[str, Any]:
    scripts = {"scripts": {own.package: f"{own.package}.cli:main"}}
    stated = table(found.data, "project")
    in_poetry = "scripts" in table(found.data, "tool", "poetry") or "scripts" in stated.get(
        "dynamic", []
    )
    if "scripts" not in stated and (in_poetry or (found.is_poetry and not stated)):
        return {"tool": {"poetry": scripts}}
    return {"project": scripts}


def _dependencies(found: Existing, model: str | None) -> dict[str, list[Dependency]]:
    """What to add, by group: what the template lists, and what files of older projects do."""
    stood = project.load(scaffold.template_dir() / "pyproject.toml").unwrap()
    wanted = {"main": requirements.parsed(stood["project"]["dependencies"])}
    if model:
        wanted["main"] = [d for d in wanted["main"] if d.name not in SAMPLE_DEPENDENCIES]
    else:
        for name, group in stood["tool"]["poetry"]["group"].items():
            wanted[name] = requirements.from_poetry(group["dependencies"])
    if found.is_poetry and found.pythons.allows_any(parse_constraint(f"<{LOWEST}")):
        wanted = {
            g: [d.limited(f'python_version >= "{LOWEST}"') for d in ds] for g, ds in wanted.items()
        }
    present = _present(found)
    older = [] if found.is_poetry else _older(found)
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


def _older(found: Existing) -> list[Dependency]:
    """What setup.py and requirements.txt list, without the project itself."""
    listed = requirements.parsed(found.setup.get("install_requires"))
    path = found.root / "requirements.txt"
    if path.is_file():
        listed = [*requirements.read_requirements(path), *listed]
    united = requirements.united(listed)
    return [dependency for name, dependency in united.items() if name != found.name]


def _present(found: Existing) -> dict[str, set[str]]:
    """The names that each group of a project has; optional groups count for themselves only."""
    poetry = table(found.data, "tool", "poetry")
    stated = table(found.data, "project").get("dependencies", [])
    groups = {
        "main": [*(d.name for d in requirements.parsed(stated)), *table(poetry, "dependencies")],
        "dev": list(table(poetry, "dev-dependencies")),
    }
    for name, texts in table(found.data, "dependency-groups").items():
        groups[name] = [*groups.get(name, []), *(d.name for d in requirements.parsed(texts))]
    for name in table(poetry, "group"):
        groups[name] = [*groups.get(name, []), *table(poetry, "group", name, "dependencies")]
    return {
        group: {str(canonicalize_name(name)) for name in found} for group, found in groups.items()
    }


def _group(found: Existing, group: str, dependencies: list[Dependency]) -> dict[str, Any]:
    """Dependencies of a group, as the project writes such."""
    if group == "main" and not found.is_legacy:
        return {"project": {"dependencies": [d.pep508() for d in dependencies]}}
    by_name = {d.name: d.poetry() for d in dependencies}
    if group == "main":
        return {"tool": {"poetry": {"dependencies": by_name}}}
    groups = table(found.data, "tool", "poetry", "group")
    new: dict[str, Any] = {"tool": {"poetry": {"group": {group: {"dependencies": by_name}}}}}
    standard = table(found.data, "dependency-groups")
    if standard and group not in groups:
        new = {"dependency-groups": {group: [d.pep508() for d in dependencies]}}
    if group == "notebook" and group not in groups and group not in standard:
        new = additions.merged({"tool": {"poetry": {"group": {group: {"optional": True}}}}}, new)
    return new


def _notes(
    found: Existing, own: Names, model: str | None, added: Iterable[PurePosixPath]
) -> Iterator[str]:
    if model:
        yield f"The model is the one of {model}, served as it is."
    if hidden := git.ignored(found.root, map(str, added)):
        yield f"git ignores {', '.join(hidden)}: add what you want in it with git add --force."
    if not found.is_package:
        yield f"package-mode is off, so by hand: PYTHONPATH=src python -m {own.package}"
    if not found.is_poetry and (found.root / "setup.py").exists():
        yield "setup.py is not read any more: pyproject.toml says what it said."


def _file_diff(
    name: PurePosixPath, before: bytes | None, after: bytes, executable: bool = False
) -> Iterator[str]:
    yield f"diff --git a/{name} b/{name}\n"
    if before is None:
        yield f"new file mode {'100755' if executable else '100644'}\n"
    old, new = (
        re.findall(r"[^\n]*\n|[^\n]+", text.decode(errors="replace"))
        for text in (before or b"", after)
    )
    source = "/dev/null" if before is None else f"a/{name}"
    for line in difflib.unified_diff(old, new, source, f"b/{name}"):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
