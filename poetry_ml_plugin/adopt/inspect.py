"""A project that is there: what it says of itself, and whether it has a model."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from poetry.core.constraints.version import VersionConstraint, parse_constraint

from poetry_ml_plugin.adopt import metadata, other_tools
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import staging
from poetry_ml_plugin.project import names, pyproject, setup_cfg
from poetry_ml_plugin.project.pyproject import PyProject
from poetry_ml_plugin.template.render import PYPROJECT


@dataclass(frozen=True)
class Existing:
    """A project as it was found."""

    root: Path
    content: bytes = b""  # of pyproject.toml
    toml: PyProject = field(default_factory=PyProject)  # the same, read
    setup: Mapping[str, Any] = field(default_factory=dict)  # what setup.py and setup.cfg say
    computed: tuple[str, ...] = ()  # what it says too, and only running it would tell
    loose: bool = False  # whether what is pinned in it is to be brought over as a lower bound

    @property
    def name(self) -> str:
        """The distribution's name."""
        said = self.toml.name or str(self.setup.get("name") or self.root.name)
        name = canonicalize_name(said)
        plain = re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
        return str(name) if plain else names.suggest(name).replace("_", "-")

    @property
    def pythons(self) -> VersionConstraint:
        """The versions of Python that the project says it runs on."""
        try:
            return self.toml.pythons
        except ValueError as error:
            raise MLError(
                f"{self.root / PYPROJECT}: requires-python is not valid: {error}"
            ) from error

    @property
    def pythons_of_setup(self) -> VersionConstraint:
        """The versions of Python that setup.py allows; all, where it does not say."""
        said = self.setup.get("python_requires")
        try:
            return parse_constraint(said if isinstance(said, str) else "*")
        except ValueError as error:
            raise MLError(
                f"{metadata.sources(self.root)} of {self.root}: python_requires is not valid: {error}"
            ) from error


def find(start: Path) -> Existing:
    """Find the project that a folder belongs to. Raises MLError if there is none."""
    for root in (start, *start.parents):
        staging.clean(root)
        path = root / PYPROJECT
        content = path.read_bytes() if path.is_file() else b""
        project = Existing(root, content, pyproject.describe(root) if content else PyProject())
        if not project.toml.is_described and root == start and _is_older(root):
            setup = metadata.read(root)
            return replace(project, setup=setup, computed=tuple(metadata.computed(root)))
        if project.toml.is_described or other_tools.is_refused(project.toml):
            return project
    raise MLError(
        f"No project found in {start}: no pyproject.toml with [project] or [tool.poetry], no setup.py "
        f"or setup.cfg, and no requirements.txt. {_instead(start)}"
    )


def loosened(project: Existing) -> Existing:
    """Have pins brought over as lower bounds. Raises MLError where none are brought over."""
    if project.toml.is_described:
        raise MLError(
            f"{project.root / PYPROJECT} keeps its dependencies as they are. --loosen is for those that "
            "come over from setup.py, setup.cfg or requirements.txt."
        )
    return replace(project, loose=True)


def asked(project: Existing) -> Existing:
    """Have the build back end say what setup.py computes. Raises MLError where it cannot."""
    return replace(project, setup=metadata.ask(project.root), computed=())


def model_of(root: Path) -> str | None:
    """Find the package with a class Model and a method predict in models/model.py, as whisk makes."""
    for path in sorted([*root.glob("src/*/models/model.py"), *root.glob("*/models/model.py")]):
        try:
            body = ast.parse(path.read_bytes()).body
        except (SyntaxError, ValueError):
            continue
        package = path.parents[1].name
        models = [node for node in body if isinstance(node, ast.ClassDef) and node.name == "Model"]
        if package.isidentifier() and any(
            isinstance(node, ast.FunctionDef) and node.name == "predict"
            for model in models
            for node in model.body
        ):
            return package
    return None


def is_whisk(root: Path) -> bool:
    """Tell whether whisk made the project in a folder, and so its service, too."""
    imports = re.compile(rb"^\s*(?:import|from) whisk\b", re.MULTILINE)
    app = root / "app" / "main.py"
    return (root / ".whisk").exists() or (app.is_file() and bool(imports.search(app.read_bytes())))


def _is_older(root: Path) -> bool:
    names = ("setup.py", "requirements.txt", ".whisk")
    return any((root / name).exists() for name in names) or setup_cfg.describes(root / "setup.cfg")


def _instead(start: Path) -> str:
    """Say what leads to a project that can be added to."""
    if (start / "Pipfile").is_file():
        return "Run, then run this again: pipenv requirements > requirements.txt"
    if (start / "environment.yml").is_file():
        return (
            "Write what environment.yml needs from PyPI into requirements.txt, then run this again."
        )
    return "Create one with: poetry ml new NAME"
