"""The trained files of an adopted model: recorded in the manifest, and compared with it."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.project.pyproject import Project

KEY = "adopted"
EMPTY: dict[str, Any] = {"artifacts": {}, "format": 1, "run": {}}
AGAIN = 'Run "poetry ml init" to record it as it is, or restore it.'
LFS = b"version https://git-lfs.github.com/spec/"
Entries = dict[str, dict[str, Any]]


def manifest(root: Path, model: str, before: bytes = b"") -> bytes:
    """Write a manifest that lists the artifacts of the package `model`, none if it has none.

    `before` is the manifest as it is: what else it says stays.
    """
    try:
        said = {**EMPTY, **json.loads(before)} if before else EMPTY
    except ValueError:
        said = EMPTY
    return (json.dumps({**said, KEY: find(root, model)}, indent=2, sort_keys=True) + "\n").encode()


def find(root: Path, model: str) -> Entries:
    """List a package's artifacts with hash and size, by their paths in the project.

    A file that DVC or Git LFS keeps elsewhere, and that is not here yet, has neither.
    """
    return {name: _entry(root / name) for name in sorted(_names(root, folder(root, model)))}


def folder(root: Path, model: str) -> Path:
    """Return where a package keeps its artifacts, as whisk does."""
    inside = root / "src" / model
    return (inside if inside.is_dir() else root / model) / "artifacts"


def adopted(project: Project) -> str | None:
    """Tell which package's model a project serves; None if it is one of its own."""
    path = project.root / "src" / project.package / "models" / "model.py"
    try:
        body = ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return None
    for node in body:
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            package, _, rest = node.module.partition(".")
            if rest == "models.model" and any(alias.name == "Model" for alias in node.names):
                return package
    return None


def problems(project: Project) -> Iterator[tuple[str, str]]:
    """Yield how an adopted model's artifacts differ from the manifest, each with a hint."""
    model = adopted(project)
    if model is None:
        return
    recorded = _recorded(project)
    if recorded is None:
        yield f"the artifacts of {model} are not in the manifest", 'Run "poetry ml init".'
        return
    there = find(project.root, model)
    for name in sorted({*recorded, *there}):
        if fault := _fault(project.root, name, recorded.get(name), there.get(name, {})):
            yield fault


def renewed(project: Project) -> bytes | None:
    """Write the manifest of a project with an adopted model anew; None if it is up to date."""
    model = adopted(project)
    if model is None or _recorded(project) == find(project.root, model):
        return None
    path = project.artifacts_dir / "manifest.json"
    return manifest(project.root, model, path.read_bytes() if path.is_file() else b"")


def _fault(
    root: Path, name: str, recorded: dict[str, Any] | None, now: dict[str, Any]
) -> tuple[str, str] | None:
    if recorded is None:
        return f"{name} is not in the manifest", 'Run "poetry ml init", or remove the file.'
    if now:
        if now == recorded:
            return None
        verb = "differs from the manifest" if recorded else "has no hash in the manifest yet"
        return f"{name} {verb}", AGAIN if recorded else 'Run "poetry ml init" to record it.'
    if (root / name).is_file():
        return f"{name} is a Git LFS pointer, not the file itself", 'Run "git lfs pull".'
    return f"{name} is missing", 'Run "poetry ml data pull".' if _in_dvc(root, name) else AGAIN


def _recorded(project: Project) -> Entries | None:
    try:
        found = json.loads((project.artifacts_dir / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return None
    listed = pyproject.table(found, KEY) if isinstance(found, dict) and KEY in found else None
    return None if listed is None else {k: v for k, v in listed.items() if isinstance(v, dict)}


def _names(root: Path, place: Path) -> set[str]:
    """List files below a folder, and what DVC keeps there, without the files of tools."""
    here = place.relative_to(root)
    names = {
        path.relative_to(root).as_posix()
        for path in place.rglob("*")
        if path.is_file() and path.suffix not in (".dvc", ".py", ".pyc") and path.name[0] != "."
    }
    for path in [*place.rglob("*.dvc"), place.with_name("artifacts.dvc"), root / "dvc.lock"]:
        for out in _outs(path):
            name = (path.parent / out).resolve()
            if place.resolve() in (name, *name.parents):
                names.add((here / name.relative_to(place.resolve())).as_posix())
    # A folder is as good as its files once they are here.
    return {n for n in names if not any(other.startswith(f"{n}/") for other in names)}


def _outs(path: Path) -> list[str]:
    """Read the paths of a DVC file's outputs."""
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        return []
    return [found.strip("\"'") for found in re.findall(r"^\s*(?:- )?path: *(.+?)\s*$", text, re.M)]


def _in_dvc(root: Path, name: str) -> bool:
    path = root / name
    beside = (root / f"{place}.dvc" for place in (name, *Path(name).parents))
    return any(file.is_file() for file in beside) or any(
        (root / out) == path or (root / out) in path.parents for out in _outs(root / "dvc.lock")
    )


def _entry(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        if file.read(len(LFS)) == LFS:
            return {}
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"sha256": digest, "size": path.stat().st_size}
