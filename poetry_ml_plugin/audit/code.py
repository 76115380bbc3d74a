"""The project's own modules: which ones the package imports, and which changed since the training."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from poetry_ml_plugin.audit import artifacts
from poetry_ml_plugin.audit.facts import ProjectFacts
from poetry_ml_plugin.audit.problems import Problem
from poetry_ml_plugin.host import git
from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.project.pyproject import Project

Node = ast.Import | ast.ImportFrom
BROKEN = (OSError, SyntaxError, ValueError, RecursionError, MemoryError)  # of a source, when parsed

ENTRIES = ("__init__.py", "__main__.py", "models/model.py")  # from which all others are imported


@dataclass(frozen=True)
class Imports:
    """The import statements of a module: all of them, and those that run as it is imported itself."""

    everywhere: tuple[Node, ...]
    at_once: tuple[Node, ...]


def imported(project: Project) -> list[PurePosixPath]:
    """Return the modules of the package that it imports itself, by their paths in its folder.

    Imports within functions count too. A module that cannot be parsed imports nothing.
    """
    package = project.artifacts_dir.parent
    found: set[PurePosixPath] = set()
    followed: set[tuple[str, ...]] = set()
    waiting = [PurePosixPath(name) for name in ENTRIES if (package / name).is_file()]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        names = set(_imported_by(package, path)) - followed
        followed |= names
        waiting += [file for each in names for file in _files(package, each)]
    return sorted(found)


def left_behind(project: Project, shipped: Iterable[PurePosixPath]) -> list[str]:
    """Name the modules of the package that are imported, and not among the paths that are shipped.

    `shipped` are paths in the package's folder. Returns paths in the project.
    """
    package = project.artifacts_dir.parent
    missing = set(imported(project)) - set(shipped)
    return [project.at(package / path) for path in sorted(missing)]


def behind(project: Project, missing: Mapping[str, str]) -> list[Problem]:
    """Say which modules stay behind, and why. `missing` tells of each where it is not: "in the wheel"."""
    rules = git.ignoring(project.root, missing)
    groups: dict[tuple[str, str], list[str]] = {}
    for name, where in missing.items():
        groups.setdefault((where, rules.get(name, "")), []).append(name)
    return [_stays(names, where, rule) for (where, rule), names in groups.items()]


def _stays(names: list[str], where: str, rule: str) -> Problem:
    listed = ", ".join(names)
    message = f"{listed}, which the package imports, would not be {where}"
    if not rule:
        return Problem(
            message, 'See packages, include and exclude of [tool.poetry], and "git status".'
        )
    return Problem(
        f"{message}: {rule}, has git ignore {'it' if len(names) == 1 else 'them'}",
        f"Run: git add --force {' '.join(names)}. Or remove that rule.",
    )


def faults(project: Project) -> list[Problem]:
    """Find the modules that cannot be parsed, and imports of modules that the package does not have."""
    return list(_faults(project))


def _faults(project: Project) -> Iterator[Problem]:
    package = project.artifacts_dir.parent
    for path in imported(project):
        where = project.at(package / path)
        try:
            imports = _imports(package / path)
        except OSError as error:
            yield Problem(f"{where} cannot be read: {error.strerror}", "Fix that first.")
        except BROKEN as error:
            yield _unparsable(project, where, error)
        else:
            for line, name in _absent(package, path, imports.at_once):
                yield Problem(
                    f"{where}, line {line}, imports {name}, which does not exist",
                    "Add that module, or remove the import.",
                )


def stale(facts: ProjectFacts) -> Iterator[Problem]:
    """Yield a warning for each module that the training imported, and that has changed since."""
    try:
        content = (facts.project.artifacts_dir / artifacts.MANIFEST).read_bytes()
        recorded = json.loads(content)["run"].get("code", {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return  # of which the artifacts' own check speaks
    package = facts.project.artifacts_dir.parent
    for name, digest in sorted(_plain_names(recorded).items()):
        is_told = name in ENTRIES and not (package / name).exists()  # by the check of the layout
        if not is_told and _digest(package / name) != digest:
            yield Problem(
                f"{facts.project.at(package / name)} {_change(package / name)} since the model was "
                "trained",
                'Run "poetry ml train".',
                severity="warning",
            )


def _change(path: Path) -> str:
    return "changed" if path.is_file() else "was removed"


def _unparsable(project: Project, where: str, error: Exception) -> Problem:
    """The problem of a module's syntax; a warning where the project's Python is newer than this one."""
    line = f", line {error.lineno}," if isinstance(error, SyntaxError) and error.lineno else ""
    said = error.msg if isinstance(error, SyntaxError) else str(error) or type(error).__name__
    try:
        pinned = pyproject.pinned_python((project.root / ".python-version").read_text())
        newer = tuple(map(int, pinned.split(".")[:2])) > sys.version_info[:2]
    except (OSError, ValueError):
        newer = False
    return Problem(
        f"{where}{line} is not valid Python: {said}",
        "Fix that first.",
        severity="warning" if newer else "error",
    )


def _absent(package: Path, path: PurePosixPath, nodes: Iterable[Node]) -> Iterator[tuple[int, str]]:
    """Yield what these statements of a module import of its package, and is not there."""
    for node in nodes:
        asked: list[list[str]] = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            asked = [rest for head, *rest in names if head == package.name]
        else:
            base = _base(package, path, node)
            asked = [] if base is None else [base]
        for rest in asked:
            if not _exists(package, rest) and f"{'/'.join(rest)}.py" not in ENTRIES:
                yield node.lineno, ".".join([package.name, *rest])


def _exists(package: Path, names: list[str]) -> bool:
    place = package.joinpath(*names)
    if place.is_dir() or place.with_name(f"{place.name}.py").is_file():
        return True
    return any(place.parent.glob(f"{place.name}.*"))  # a module in another language


def _plain_names(recorded: Any) -> Mapping[str, str]:
    """The entries of a manifest that name files inside the package."""
    if not isinstance(recorded, dict):
        return {}
    return {
        name: digest
        for name, digest in recorded.items()
        if not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts
    }


def _digest(path: Path) -> str:
    """Hash a module's syntax tree as the project's `_runtime/sources.py` does: docs/reference/manifest.md."""
    try:
        return hashlib.sha256(repr(_plain(ast.parse(path.read_bytes()))).encode()).hexdigest()
    except BROKEN:
        return ""


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, ast.AST):
        return node
    fields = {
        name: _plain(value)
        for name, value in sorted(ast.iter_fields(node))
        if value not in (None, []) and name not in ("kind", "type_comment", "type_ignores")
    }
    if isinstance(getattr(node, "body", None), list) and _has_docstring(node):
        fields["body"] = fields["body"][1:]
    return [type(node).__name__, *sorted(fields.items())]


def _has_docstring(node: Any) -> bool:
    return (
        isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(node, clean=False) is not None
    )


def _imports(path: Path) -> Imports:
    """Read a module's import statements. Raises one of BROKEN where it cannot be parsed."""
    stat = path.stat()
    return _parsed(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4096)
def _parsed(path: Path, mtime: int, size: int) -> Imports:
    # Many checks ask for the same, and to parse all of a package takes a second.
    tree = ast.parse(path.read_bytes())
    return Imports(
        tuple(node for node in ast.walk(tree) if isinstance(node, Node)),
        tuple(node for node in tree.body if isinstance(node, Node)),
    )


def _imported_by(package: Path, path: PurePosixPath) -> Iterator[tuple[str, ...]]:
    """Yield what a module of the package imports of it: names that may be a module's, each in its parts."""
    try:
        nodes = _imports(package / path).everywhere
    except BROKEN:
        return
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                head, _, rest = alias.name.partition(".")
                if head == package.name:
                    yield tuple(rest.split(".") if rest else ())
        else:
            base = _base(package, path, node)
            if base is not None:
                yield tuple(base)
                for alias in node.names:
                    yield (*base, alias.name)


def _base(package: Path, path: PurePosixPath, node: ast.ImportFrom) -> list[str] | None:
    """Return the names below the package of what an import is from, or None where it is from elsewhere."""
    named = node.module.split(".") if node.module else []
    if node.level == 0:
        return named[1:] if named[:1] == [package.name] else None
    folders = list(path.parent.parts)
    above = node.level - 1
    return None if above > len(folders) else [*folders[: len(folders) - above], *named]


def _files(package: Path, names: Sequence[str]) -> Iterator[PurePosixPath]:
    """Yield the files that Python runs to import a name: each package on the way, and the module."""
    for n in range(len(names) + 1):
        init = PurePosixPath(*names[:n], "__init__.py")
        if (package / init).is_file():
            yield init
    if names:
        module = PurePosixPath(*names[:-1], f"{names[-1]}.py")
        if (package / module).is_file():
            yield module
