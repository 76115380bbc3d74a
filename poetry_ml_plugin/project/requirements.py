"""Dependencies, as pip's and setuptools' files and both kinds of pyproject.toml write them."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.project.edit import Inline
from poetry_ml_plugin.project.pyproject import PyProject

VERSIONS = re.compile(r"^[\w.-]+\s*(?:\[[^]]*\])?\s*\(?([^;@)]*)\)?")


@dataclass(frozen=True)
class Dependency:
    """One dependency: what is needed, in which versions, where."""

    name: str
    versions: str = ""
    extras: tuple[str, ...] = ()
    marker: str = ""
    url: str = ""

    @classmethod
    def parse(cls, text: str) -> Dependency:
        """Parse a PEP 508 dependency. Raises InvalidRequirement."""
        found = Requirement(text)
        versions = VERSIONS.match(text.strip())
        return cls(
            found.name,
            versions[1].strip() if versions and not found.url else "",
            tuple(sorted(found.extras)),
            str(found.marker or ""),
            found.url or "",
        )

    def limited(self, marker: str) -> Dependency:
        """Limit the dependency to where `marker` holds."""
        return replace(self, marker=f"({self.marker}) and {marker}" if self.marker else marker)

    @property
    def pin(self) -> str:
        """The one version that is asked for; empty where there are several."""
        found = re.fullmatch(r"={2,3}\s*([^\s,*]+)", self.versions)
        return found[1] if found else ""

    def loosened(self) -> Dependency:
        """Ask for the version of a pin or any later one."""
        return replace(self, versions=f">={self.pin}") if self.pin else self

    def pep508(self) -> str:
        """As [project] and [dependency-groups] have it."""
        text = self.name + (f"[{','.join(self.extras)}]" if self.extras else "")
        text += f" @ {self.url}" if self.url else f" ({self.versions})" if self.versions else ""
        return f"{text} ; {self.marker}" if self.marker else text

    def poetry(self) -> Any:
        """As [tool.poetry.dependencies] has it, after the name."""
        more: dict[str, Any] = {"extras": list(self.extras)} if self.extras else {}
        more |= {"markers": self.marker} if self.marker else {}
        if self.url:
            place, _, revision = self.url.removeprefix("git+").partition("#")[0].rpartition("@")
            git = self.url.startswith("git+")
            if git and "/" not in revision:
                return Inline(git=place, rev=revision, **more)
            return Inline({"git" if git else "url": self.url.removeprefix("git+"), **more})
        versions = self.versions or "*"
        return Inline(version=versions, **more) if more else versions


def for_development(dependency: Dependency) -> bool:
    """Tell whether a dependency is for development, not for running."""
    text = (
        resources.files("poetry_ml_plugin.project").joinpath("development.txt").read_text("utf-8")
    )
    known = {line for line in text.splitlines() if line and not line.startswith("#")}
    name = canonicalize_name(dependency.name)
    return name in known or name.startswith(("pytest-", "sphinx-", "flake8-", "jupyter", "types-"))


def read_requirements(path: Path, above: tuple[Path, ...] = ()) -> Iterator[Dependency]:
    """Read a requirements.txt and the files it refers to, without pip's own options."""
    above = (*above, path.resolve())
    text = re.sub(r"\\\r?\n", " ", path.read_text("utf-8-sig", errors="replace"))
    for raw in text.splitlines():
        line = re.sub(r"(^|\s)(#.*|--hash=\S+)", "", raw).strip()
        if other := re.match(r"(?:-r|--requirement)[ =]*(\S+)", line):
            more = path.parent / other[1]
            if more.is_file() and more.resolve() not in above:
                yield from read_requirements(more, above)
        elif line and not line.startswith("-"):
            yield from _parsed(_named(line))


def read_setup(path: Path) -> dict[str, Any]:
    """Read the arguments of setup() in a setup.py, without running it: literals, and names of such."""
    found: dict[str, Any] = {}
    for argument, names in _arguments(path):
        try:
            value = ast.literal_eval(_Named(names).visit(argument.value))
        except (ValueError, TypeError, RecursionError):
            continue
        if argument.arg is not None:
            found[argument.arg] = value
        elif isinstance(value, dict):
            found |= value
    return found


def arguments(path: Path) -> set[str]:
    """Name the arguments of setup() in a setup.py; "**" stands for those in a mapping."""
    return {
        name
        for argument, names in _arguments(path)
        for name in ([argument.arg] if argument.arg else _keys(argument.value, names))
    }


def _keys(value: ast.expr, names: Mapping[str, ast.expr]) -> list[str]:
    try:
        return list(ast.literal_eval(_Named(names).visit(value)))
    except (ValueError, TypeError, RecursionError):
        return ["**"]


def _arguments(path: Path) -> list[tuple[ast.keyword, dict[str, ast.expr]]]:
    """List the arguments of setup(), with the names that stand for one literal throughout."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):  # none, or written for an older Python
        return []
    names = _constants(tree)
    return [
        (argument, names)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "setup"
        for argument in node.keywords
    ]


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    """Find the names that a module assigns once, at its top, and does not change in any other way."""
    values: dict[str, ast.expr] = {}
    for node in tree.body:
        target = (
            node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
        )
        target = node.target if isinstance(node, ast.AnnAssign) else target
        if (
            isinstance(target, ast.Name)
            and isinstance(node, ast.Assign | ast.AnnAssign)
            and node.value
        ):
            values[target.id] = node.value
    stored = [
        n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)
    ]
    changed = {
        node.value.id  # NAME.append(...), NAME["key"] = ...
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.value, ast.Name)
    }
    return {n: v for n, v in values.items() if stored.count(n) == 1 and n not in changed}


class _Named(ast.NodeTransformer):
    """Puts the literal of a name into its place."""

    def __init__(self, names: Mapping[str, ast.expr], depth: int = 20) -> None:
        self.names, self.depth = names, depth

    def visit_Name(self, node: ast.Name) -> ast.AST:
        known = self.names.get(node.id)
        if known is None or not self.depth:
            return node
        value: ast.AST = _Named(self.names, self.depth - 1).visit(copy.deepcopy(known))
        return value


def parsed(texts: object) -> list[Dependency]:
    """Parse a list of PEP 508 texts."""
    lines = texts if isinstance(texts, list) else []
    return [found for line in lines if isinstance(line, str) for found in _parsed(line)]


def united(dependencies: Iterable[Dependency]) -> dict[str, Dependency]:
    """Keep one dependency of each name: the first that says more than its name."""
    result: dict[str, Dependency] = {}
    for dependency in dependencies:
        name = canonicalize_name(dependency.name)
        known = result.get(name)
        if known is None or known == Dependency(known.name):
            result[name] = dependency
    return result


def by_group(toml: PyProject) -> dict[str, list[Dependency]]:
    """List the dependencies of a project whose tables name versions, extras and markers only."""
    found = {"main": parsed(toml.standard.get("dependencies"))}
    for group in pyproject.table(toml.poetry, "group"):
        listed = pyproject.table(toml.poetry, "group", group, "dependencies")
        found[group] = [_from_poetry(name, said) for name, said in listed.items()]
    for group, texts in pyproject.table(toml.data, "dependency-groups").items():
        found[group] = [*found.get(group, []), *parsed(texts)]
    return found


def main(toml: PyProject) -> dict[str, Dependency]:
    """List by name what a project needs to run, in either table."""
    legacy = pyproject.table(toml.poetry, "dependencies")
    listed = [_from_poetry(name, said) for name, said in legacy.items() if name != "python"]
    return united([*parsed(toml.standard.get("dependencies")), *listed])


def on_request(toml: PyProject) -> dict[str, Dependency]:
    """List by name what a project installs only when asked to: extras, and optional groups."""
    extras = pyproject.table(toml.standard, "optional-dependencies").values()
    groups = by_group(toml)
    listed = [
        *(dependency for texts in extras for dependency in parsed(texts)),
        *(
            dependency
            for name in sorted(toml.optional_groups)
            for dependency in groups.get(name, [])
        ),
    ]
    return united(listed)


def _from_poetry(name: str, said: Any) -> Dependency:
    if not isinstance(said, Mapping):
        return Dependency(name, str(said))
    extras = tuple(sorted(said.get("extras", ())))
    return Dependency(name, str(said.get("version", "*")), extras, str(said.get("markers", "")))


def _named(line: str) -> str:
    """Move the name out of a bare address's fragment, where pip reads it."""
    address = re.match(r"(\S+://\S+)#(?:\S*&)?egg=([\w.-]+)", line)
    return f"{address[2]} @ {address[1]}" if address else line


def _parsed(text: str) -> Iterator[Dependency]:
    try:
        yield Dependency.parse(text)
    except InvalidRequirement:  # a path, an option: nothing that a name stands for
        return
