"""What a project's pyproject.toml says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from poetry_ml_plugin.errors import MLError

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

TOOL = "poetry-ml-plugin"
KEYS = (
    "package",
    "stream",
    "sbom",
    "not-secret",
    "keep",
    "template-version",
    "template-source",
    "template",
    "deploy",
)


@dataclass(frozen=True)
class Project:
    """A machine-learning project: its folder, and the package that holds its verbs."""

    root: Path
    package: str
    stream: bool = True  # whether large artifacts are packed by the plugin's own builders
    sbom: bool = False  # whether the wheel says what is locked for it
    not_secret: tuple[str, ...] = ()  # files that look like credentials, and are none

    @property
    def artifacts_dir(self) -> Path:
        """Where the trained files are."""
        return self.root / "src" / self.package / "artifacts"

    def at(self, path: Path) -> str:
        """A path of the project as people write it."""
        return path.relative_to(self.root).as_posix()


def find(start: Path) -> Project:
    """The ML project that `start` lies in. Raises MLError where there is none."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").is_file():
            project = read(folder)
            if project is None:
                raise MLError(
                    f"{folder} is not an ML project: its pyproject.toml has no [tool.{TOOL}]. "
                    "Make it one with: poetry ml init"
                )
            return project
    raise MLError(
        f"There is no pyproject.toml in {start} or above. "
        "Go into your project's folder, or make a project with: poetry ml new NAME"
    )


def read(root: Path) -> Project | None:
    """The ML project in this very folder, or None where its pyproject.toml does not say it is one."""
    path = root / "pyproject.toml"
    tools = load(path).unwrap().get("tool")
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
    chosen: dict[str, Any] = {name: section[name] for name in ("stream", "sbom") if name in section}
    for name, value in chosen.items():
        if not isinstance(value, bool):
            raise MLError(f"{path}: [tool.{TOOL}] {name} is true or false.")
    globs = section.get("not-secret", [])
    if not isinstance(globs, list) or not all(isinstance(glob, str) for glob in globs):
        raise MLError(
            f'{path}: [tool.{TOOL}] not-secret is a list of paths, like ["src/a/ca.pem"].'
        )
    return {**chosen, "not_secret": tuple(globs)}


def load(path: Path) -> TOMLDocument:
    """A TOML document as it stands, comments and order included."""
    try:
        return tomlkit.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise MLError(f"{path} cannot be read: {error}") from error
