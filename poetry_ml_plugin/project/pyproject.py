"""The one reader of pyproject.toml: of [project], [tool.poetry] and the plugin's own table."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import tomlkit
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from poetry.core.constraints.version import VersionConstraint, parse_constraint
from tomlkit.exceptions import TOMLKitError

from poetry_ml_plugin.errors import MLError

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

TOOL = "poetry-ml-plugin"
KEYS = (
    "package",
    "stream",
    "sbom",
    "strict",
    "not-secret",
    "keep",
    "uv",
    "template-version",
    "template-source",
    "template",
    "deploy",
)
BACKEND = "poetry.core.masonry.api"

LOWEST = "3.11"  # the oldest Python that a project runs on
NEWEST = "3.14"  # the newest that all its libraries have wheels for
# What a library needs of a minor version: skore wants 3.11.4.
PATCHES = {"3.11": "3.11.4"}


@dataclass(frozen=True)
class PyProject:
    """A pyproject.toml, whichever of [project] and [tool.poetry] says a thing.

    Poetry's own rule holds throughout: what [project] says wins, and what it leaves out, or calls
    dynamic, [tool.poetry] may say. Values of a wrong type count as left out; Poetry reports them.
    """

    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def standard(self) -> dict[str, Any]:
        """[project]."""
        return table(self.data, "project")

    @property
    def poetry(self) -> dict[str, Any]:
        """[tool.poetry]."""
        return table(self.data, "tool", "poetry")

    @property
    def settings(self) -> dict[str, Any]:
        """[tool.poetry-ml-plugin]."""
        return table(self.data, "tool", TOOL)

    @property
    def is_described(self) -> bool:
        """Whether either table describes a project."""
        return bool(self.standard or self.poetry)

    @property
    def is_package(self) -> bool:
        """Whether Poetry builds and installs the project itself."""
        return self.poetry.get("package-mode", True) is not False

    @property
    def is_legacy(self) -> bool:
        """Whether the dependencies are in [tool.poetry]."""
        if not self.is_described:
            return False
        if "dependencies" in self.standard or self.standard.get("optional-dependencies"):
            return False
        own = table(self.poetry, "dependencies").keys() - {"python"}
        return not self.standard or bool(own) or "dependencies" in self.dynamic

    @property
    def dynamic(self) -> frozenset[str]:
        """The keys that [project] leaves to others."""
        return frozenset(_texts(self.standard.get("dynamic")))

    @property
    def table_of_metadata(self) -> tuple[str, ...]:
        """The path of the table that the project's name is in."""
        return ("project",) if self.standard else ("tool", "poetry")

    @property
    def name(self) -> str:
        """The distribution's name as it is written; empty where there is none."""
        return self._either("name")

    @property
    def version(self) -> str:
        """The version; empty where there is none, or where a build computes it."""
        return self._either("version")

    @property
    def description(self) -> str:
        """One line about the project; may be empty."""
        return self._either("description")

    @property
    def requires_python(self) -> str:
        """The versions of Python that the project runs on, as it says so; empty where it does not."""
        legacy = table(self.poetry, "dependencies").get("python")
        legacy = legacy.get("version") if isinstance(legacy, Mapping) else legacy
        return _text(self.standard.get("requires-python")) or _text(legacy)

    @property
    def pythons(self) -> VersionConstraint:
        """The same as a constraint. Raises ValueError where it is none."""
        return parse_constraint(self.requires_python or "*")

    @property
    def scripts(self) -> dict[str, str]:
        """The console scripts, by the command's name: "package.module:function"."""
        listed = table(self.standard, "scripts") or table(self.poetry, "scripts")
        return {
            name: place
            for name, said in listed.items()
            if (place := _text(said.get("reference") if isinstance(said, Mapping) else said))
        }

    @property
    def keeps_scripts_in_poetry(self) -> bool:
        """Whether [tool.poetry.scripts] is the table that counts, or would be if there were one."""
        if "scripts" in self.standard:
            return False
        in_poetry = "scripts" in self.poetry or "scripts" in self.dynamic
        return in_poetry or (self.is_described and not self.standard)

    @property
    def groups(self) -> dict[str, set[str]]:
        """The normalized names of the dependencies, by group: "main" are those of the runtime."""
        found: dict[str, list[str]] = {
            "main": [
                *_names(self.standard.get("dependencies")),
                *table(self.poetry, "dependencies"),
            ],
            "dev": list(table(self.poetry, "dev-dependencies")),
        }
        for group, listed in table(self.data, "dependency-groups").items():
            found[group] = [*found.get(group, []), *_names(listed)]
        for group in table(self.poetry, "group"):
            own = table(self.poetry, "group", group, "dependencies")
            found[group] = [*found.get(group, []), *own]
        return {
            group: {str(canonicalize_name(name)) for name in names}
            for group, names in found.items()
        }

    @property
    def optional_groups(self) -> frozenset[str]:
        """The groups that are installed only when asked for."""
        groups = table(self.poetry, "group").items()
        return frozenset(
            name
            for name, said in groups
            if isinstance(said, Mapping) and said.get("optional") is True
        )

    @property
    def packages(self) -> list[dict[str, Any]]:
        """The entries of [tool.poetry] packages; none where Poetry looks for the package itself."""
        return [dict(entry) for entry in self.poetry.get("packages", []) if "include" in entry]

    @property
    def includes(self) -> list[Any]:
        """The entries of [tool.poetry] include: each a pattern, or a table with a path."""
        return list(self.poetry.get("include", []))

    @property
    def build_script(self) -> str:
        """The script that a build runs; empty where there is none."""
        build = self.poetry.get("build")
        return _text(build.get("script") if isinstance(build, Mapping) else build)

    @property
    def backend(self) -> str:
        """The build backend; poetry-core's where none is named."""
        return _text(table(self.data, "build-system").get("build-backend")) or BACKEND

    @property
    def documents(self) -> list[str]:
        """The files that the metadata is read from: readmes and licenses, or patterns of them."""
        found: list[Any] = []
        for said in (self.standard, self.poetry):
            readme, licence = said.get("readme"), said.get("license")
            found += readme if isinstance(readme, list) else [readme]
            found += [licence] if isinstance(licence, Mapping) else []
            found += said.get("license-files", [])
        files = (each.get("file") if isinstance(each, Mapping) else each for each in found)
        return [name for each in files if (name := _text(each))]

    def _either(self, key: str) -> str:
        return _text(self.standard.get(key)) or _text(self.poetry.get(key))


@dataclass(frozen=True)
class Project:
    """A machine-learning project: its folder, and the package that holds its verbs."""

    root: Path
    package: str
    stream: bool = True  # whether large artifacts are packed by the plugin's own builders
    sbom: bool = False  # whether the wheel says what is locked for it
    strict: bool = False  # whether code that changed since the training is refused
    not_secret: tuple[str, ...] = ()  # files that look like credentials, and are none

    @property
    def artifacts_dir(self) -> Path:
        """Where the trained files are."""
        return self.root / "src" / self.package / "artifacts"

    def at(self, path: Path) -> str:
        """Return a path relative to the project, with slashes."""
        return path.relative_to(self.root).as_posix()


def parse(content: str | bytes) -> PyProject:
    """Read a pyproject.toml's content. Raises ValueError where it is not TOML."""
    text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
    return PyProject(tomllib.loads(text))


def describe(root: Path) -> PyProject:
    """Read the pyproject.toml of a folder. Raises MLError where it cannot be read."""
    path = root / "pyproject.toml"
    try:
        return parse(path.read_bytes())
    except (OSError, ValueError) as error:
        raise MLError(f"{path} cannot be read: {error}") from error


def find(start: Path) -> Project:
    """Find the ML project that `start` is in. Raises MLError if there is none."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").is_file():
            project = read(folder)
            if project is None:
                raise MLError(
                    f"{folder} is not an ML project: its pyproject.toml has no [tool.{TOOL}]. "
                    "Add what is missing with: poetry ml init"
                )
            return project
    raise MLError(
        f"No pyproject.toml found in {start} or its parents. "
        "Change to your project's folder, or create a project with: poetry ml new NAME"
    )


def read(root: Path) -> Project | None:
    """Read the ML project in this very folder; None if its pyproject.toml does not declare one."""
    path = root / "pyproject.toml"
    tools = describe(root).data.get("tool")
    section = tools.get(TOOL) if isinstance(tools, dict) else None
    if section is None:
        return None
    package = section.get("package") if isinstance(section, dict) else None
    if not isinstance(package, str) or not package.isidentifier():
        raise MLError(
            f'{path}: [tool.{TOOL}] needs a line like package = "churn", the package\'s name.'
        )
    return Project(root, package, **_choices(path, section))


def _choices(path: Path, section: dict[str, Any]) -> dict[str, Any]:
    known = ("stream", "sbom", "strict")
    chosen: dict[str, Any] = {name: section[name] for name in known if name in section}
    for name, value in chosen.items():
        if not isinstance(value, bool):
            raise MLError(f"{path}: [tool.{TOOL}] {name} must be true or false.")
    globs = section.get("not-secret", [])
    if not isinstance(globs, list) or not all(isinstance(glob, str) for glob in globs):
        raise MLError(
            f'{path}: [tool.{TOOL}] not-secret must be a list of paths, like ["src/a/ca.pem"].'
        )
    if not all(PurePosixPath(glob).parts for glob in globs):
        raise MLError(f"{path}: [tool.{TOOL}] not-secret has an entry that names no file.")
    return {**chosen, "not_secret": tuple(globs)}


def load(path: Path) -> TOMLDocument:
    """Load a TOML document for editing, comments and order included."""
    try:
        return tomlkit.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise MLError(f"{path} cannot be read: {error}") from error


def table(data: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """Look up a table at a path of keys; it is empty where there is none."""
    found: Any = data
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def requires_python(python: str) -> str:
    """Bound the Pythons of a new project: from a minor version, like "3.12", to the newest.

    Without an upper bound Poetry looks for packages that fit all Pythons to come, and finds none.
    """
    above = int(NEWEST.partition(".")[2]) + 1
    return f">={PATCHES.get(python, python)},<3.{above}"


def pinned_python(text: str) -> str:
    """Read the first entry of a .python-version file; it is empty where there is none."""
    entries = re.sub(r"#.*", "", text).split()
    return entries[0].removeprefix("cpython-") if entries else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _names(requirements: Any) -> list[str]:
    """List the names in PEP 508 texts, without invalid ones."""
    found = []
    for text in _texts(requirements):
        try:
            found.append(Requirement(text).name)
        except InvalidRequirement:
            continue
    return found
