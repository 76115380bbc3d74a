"""Dependencies, as pip's and setuptools' files and both kinds of pyproject.toml write them."""

from __future__ import annotations

import ast
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
    """Read the literal arguments of setup() in a setup.py, without running it."""
    found: dict[str, Any] = {}
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # written for an older Python
        return {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "setup":
            for argument in node.keywords:
                try:
                    found[argument.arg or ""] = ast.literal_eval(argument.value)
                except ValueError:
                    continue
    return found


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
