"""What remains of a template's sample in a project whose data is another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import pyproject, yaml_value
from poetry_ml_plugin.project.names import Names
from poetry_ml_plugin.project.pyproject import Project
from poetry_ml_plugin.template import find, render, update
from poetry_ml_plugin.template.render import PYPROJECT, File

TRAINING = PurePosixPath("configs/train.yaml")
README = PurePosixPath("README.md")
ABOUT_DATA = PurePosixPath("data/README.md")

Files = Mapping[PurePosixPath, File]


@dataclass(frozen=True)
class Leftover:
    """One thing that still speaks of the sample, and what to do about it."""

    message: str
    hint: str


def remains(project: Project) -> list[Leftover]:
    """List what still is as the project's template had it, once the model is trained on other data.

    Nothing is known of a project without its base, or of one that a foreign template made.
    """
    files = _template(project)
    sample = yaml_value.read(_text(files, TRAINING), "data")
    path = PurePosixPath("data", sample)
    if not sample or path not in files or not _has_other_data(project, files, path):
        return []
    return [*_descriptions(project, files), *_data(project, files)]


def _template(project: Project) -> Files:
    """Render the template that ships under the project's names; empty where that is not its own."""
    source = pyproject.describe(project.root).settings.get("template-source") or find.DEFAULT
    if source not in find.SHIPPED:
        return {}
    try:
        own = pyproject.parse(update.recall(project.root)[PYPROJECT].content)
        names = Names(own.name, own.settings["package"])
    except (MLError, KeyError, ValueError):
        return {}
    return render.rename(find.get(source, project.root, project.root), names)


def _has_other_data(project: Project, files: Files, sample: PurePosixPath) -> bool:
    """Tell whether the configuration, the file itself or the last training speaks of other data."""
    configured = yaml_value.read(_read(project, TRAINING).decode(errors="replace"), "data")
    if configured and PurePosixPath("data", configured) != sample:
        return True
    if not _is_same(project, files, sample):
        return True
    known = _recorded(project)
    return bool(known) and hashlib.sha256(_read(project, sample)).hexdigest() not in known.values()


def _recorded(project: Project) -> dict[str, str]:
    """The files that the last training read, with their hashes."""
    try:
        content = json.loads((project.artifacts_dir / "manifest.json").read_bytes())
        return {str(name): str(digest) for name, digest in content["run"]["data"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _descriptions(project: Project, files: Files) -> Iterator[Leftover]:
    stock = pyproject.parse(files[PYPROJECT].content).description
    if not stock:
        return
    if pyproject.describe(project.root).description == stock:
        yield Leftover(
            f'pyproject.toml still has the sample\'s description: "{stock}"',
            "Write there what your model predicts: the package, OpenAPI and the page say it.",
        )
    if stock in _read(project, README).decode(errors="replace").splitlines():
        yield Leftover(
            f'{README} still has the sample\'s description: "{stock}"',
            "Write there what your model predicts.",
        )


def _data(project: Project, files: Files) -> Iterator[Leftover]:
    if _is_same(project, files, ABOUT_DATA):
        yield Leftover(
            f"{ABOUT_DATA} still describes the sample's data",
            "Write there where your data comes from, and under which licence.",
        )
    for path in sorted(files):
        if (
            path.parts[:2] == ("data", "raw")
            and path.name[0] != "."
            and _is_same(project, files, path)
        ):
            yield Leftover(f"{path} is the sample's, and not read any more", f"Run: git rm {path}")


def _is_same(project: Project, files: Files, path: PurePosixPath) -> bool:
    """Tell whether a file is as the template has it, but for its line ends."""
    ours = _read(project, path)
    return path in files and _lines(ours) == _lines(files[path].content)


def _lines(content: bytes) -> bytes:
    return content.replace(b"\r\n", b"\n")


def _read(project: Project, path: PurePosixPath) -> bytes:
    try:
        return (project.root / path).read_bytes()
    except OSError:
        return b""


def _text(files: Files, path: PurePosixPath) -> str:
    return files[path].content.decode(errors="replace") if path in files else ""
