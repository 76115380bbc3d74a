"""Files that a project may have, and does not by default."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import git, inside
from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.project.names import Names
from poetry_ml_plugin.project.pyproject import Project, PyProject
from poetry_ml_plugin.template import render
from poetry_ml_plugin.template.render import File, Template

EXTRAS = {
    "ci": "a GitHub Actions workflow",
    "deploy-ci": "a workflow that tests and deploys to Heroku, one deploy at a time",
    "pre-commit": "hooks that check each commit",
    "devcontainer": "a container to develop in",
}
# Lines of a workflow, and hooks, that need a tool which an existing project may not have.
NEEDS = {"poetry run ruff": "ruff", "poetry run pytest": "pytest"}
FORMAT = "ruff format"
AT_THE_ROOT = (
    "ci",
    "deploy-ci",
    "pre-commit",
)  # of the repository, where alone they are looked for


def plan(project: Project, word: str) -> dict[Path, File]:
    """Plan the files of an extra, by their paths. Raises MLError if one exists."""
    top = git.outer_repository(project.root) if word in AT_THE_ROOT and git.available() else None
    place = top or project.root
    below = project.root.relative_to(place.resolve()).as_posix()
    if word == "pre-commit" and below != ".":
        raise MLError(
            f"pre-commit reads one configuration for the whole repository {place}. Copy into it: "
            f"{render.template_dir('add/pre-commit') / '.pre-commit-config.yaml'}"
        )
    version = project.root / ".python-version"
    python = version.read_text().strip() if version.is_file() else "3"
    files = {
        place / path: File(_set(file.content, below, python))
        for path, file in _rendered(project, word).items()
    }
    for path in files:
        inside.resolve(path, place)
    if there := [str(path) for path in files if os.path.lexists(path)]:
        raise MLError(f"{', '.join(there)} already exists. Nothing was changed.")
    return files


def write(files: dict[Path, File]) -> None:
    """Write new files, and never over another."""
    for path, file in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as out:
                out.write(file.content)
        except OSError as error:
            raise MLError(f"{path} cannot be written: {error.strerror}.") from error


def _rendered(project: Project, word: str) -> dict[PurePosixPath, File]:
    name = pyproject.describe(project.root).name or project.package
    template = Template(render.read(render.template_dir(f"add/{word}")), render.TEMPLATE)
    files = render.rename(template, Names(name, project.package))
    toml = pyproject.describe(project.root)
    return {
        path: File(_without(file.content.decode(), _absent(toml)).encode(), file.executable)
        for path, file in files.items()
    }


def _absent(toml: PyProject) -> list[str]:
    """List the commands that make no sense in a project: those of tools that it does not install.

    Code that was there before the template is not reformatted, unless the project formats it with ruff.
    """
    installed = toml.groups.keys() - toml.optional_groups
    there = {name for group in installed for name in toml.groups[group]}
    absent = [command for command, tool in NEEDS.items() if tool not in there]
    was_there = "keep" in toml.settings
    formats = "format" in pyproject.table(toml.data, "tool", "ruff")
    return [*absent, *([FORMAT] if was_there and not formats else [])]


def _without(text: str, commands: list[str]) -> str:
    """Leave out the items of YAML lists that run one of these commands."""
    items = re.split(r"(?m)^(?= *- )", text)
    return "".join(item for item in items if not any(command in item for command in commands))


def _set(content: bytes, below: str, python: str) -> bytes:
    """Adapt a file to the project's place in its repository and to its Python."""
    text = re.sub(r"(?<=/python:)3\.\d+", python, content.decode())
    return (text if below == "." else text.replace("./", f"{below}/")).encode()
