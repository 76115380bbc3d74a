"""Comparison of a project's trained files with their manifest. No file is interpreted here."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from packaging.utils import canonicalize_name

from poetry_ml_plugin.audit.problems import Problem
from poetry_ml_plugin.project.lock import Lock
from poetry_ml_plugin.project.pyproject import Project

MANIFEST = "manifest.json"
TRAIN = 'Run "poetry ml train", or restore the trained files.'

# What git-LFS and DVC leave in the place of a file that they keep elsewhere.
POINTERS = {
    b"version https://git-lfs.github.com/spec/": ("a git-LFS pointer", "git lfs pull"),
    b"outs:\n": ("a DVC pointer", "poetry ml data pull"),
}

# Formats that mean something else, or nothing, to another version of the library that wrote them.
VERSIONED = {".joblib": "joblib", ".pickle": "pickle", ".pkl": "pickle", ".skops": "skops"}

UNLISTED = "Save it with manifest.save, or remove it from artifacts/."
_HIDDEN = re.compile(r"(^|/)(\.|__pycache__/)")


@dataclass(frozen=True)
class Entry:
    """One file as the manifest describes it."""

    sha256: str
    size: int  # bytes
    format: str
    libraries: Mapping[str, str]  # their versions
    strict: bool  # whether those must be the very ones
    needs: tuple[str, ...]  # the distributions that loading it takes


def parse(content: bytes) -> dict[str, Entry]:
    """Parse a manifest's entries. Raises ValueError if it is not a manifest."""
    try:
        listed = json.loads(content)["artifacts"]
        return {name: _entry(name, entry) for name, entry in sorted(listed.items())}
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def is_inside(name: str) -> bool:
    """Tell whether a name in a manifest is the path of a file below artifacts/, on any system."""
    paths = PurePosixPath(name), PureWindowsPath(name)
    anchored = any(path.anchor or ".." in path.parts for path in paths)
    return bool(paths[0].parts) and not anchored


def digest(stream: IO[bytes], head: bytes = b"") -> tuple[str, int]:
    """Return the sha256 and the size of `head` and the rest of a stream."""
    sha256, size = hashlib.sha256(head), len(head)
    while piece := stream.read(1 << 20):
        sha256.update(piece)
        size += len(piece)
    return sha256.hexdigest(), size


def listed(project: Project) -> dict[str, Entry]:
    """Read the entries of a project's manifest that lie in artifacts/; none without a manifest."""
    try:
        entries = parse((project.artifacts_dir / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return {}
    return {name: entry for name, entry in entries.items() if is_inside(name)}


def files(project: Project) -> list[str]:
    """List the manifest and the files in it, by their paths in the project."""
    return [project.at(project.artifacts_dir / name) for name in (MANIFEST, *listed(project))]


def verify(project: Project) -> list[Problem]:
    """Find how a project's artifacts differ from their manifest."""
    if pending := _pending(project):
        return [pending]
    path = project.artifacts_dir / MANIFEST
    try:
        content = path.read_bytes()
        entries = parse(content)
    except IsADirectoryError:
        return [_folder(project.at(path))]
    except OSError:
        message = f"{project.at(path)} is missing: there is no trained model"
        return [Problem(message, _fetch(path), severity="warning")]
    except ValueError:
        return [_pointer(project.at(path), content) or _no_manifest(project.at(path))]
    return [*_listed(project, entries), *_unlisted(project, entries)]


def dependent(project: Project) -> Iterator[Problem]:
    """Tell where the training found that a prediction depends on the other rows of the call."""
    try:
        content = (project.artifacts_dir / MANIFEST).read_bytes()
        recorded = json.loads(content)["run"]["independent"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return
    if recorded is False:
        yield Problem(
            "A row's prediction depends on the other rows of a request, and so the service predicts "
            "each request by itself",
            "Predict each row from its own values, unless the order of rows is meant to matter.",
            severity="warning",
        )


def compare(where: str, entry: Entry, sha256: str, size: int, head: bytes) -> Problem | None:
    """Compare one file with its entry."""
    if sha256 == entry.sha256:
        return None
    if size == 0:
        return Problem(f"{where} is empty", TRAIN)
    if pointer := _pointer(where, head):
        return pointer
    if size < entry.size:
        return Problem(f"{where} is truncated: {size:,} of {entry.size:,} bytes", TRAIN)
    return Problem(f"{where} differs from its manifest", TRAIN)


def versions(project: Project, lock: Lock) -> list[Problem]:
    """Find artifacts that another version of a library wrote than the locked one."""
    return [
        Problem(
            f"{name} was written by {library} {version}, and poetry.lock has "
            f"{' and '.join(sorted(locked)) or 'none'}",
            f'Train again with what is locked: "poetry install", then "poetry ml train". '
            f'Or lock what trained it: "poetry add {library}=={version}".',
        )
        for name, entry in listed(project).items()
        if entry.strict
        for library, version in sorted(entry.libraries.items())
        if version not in (locked := lock.versions(canonicalize_name(library)))
    ]


def is_file(path: Path) -> bool:
    """Tell whether a path is a file; a path that cannot exist is not."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Tell whether a path is a folder; a path that cannot exist is not."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def unlisted(names: Iterable[str], entries: Iterable[str]) -> list[str]:
    """List files without an entry; placeholders and files of tools need none."""
    known = {MANIFEST, *entries, *(f"{name}.dvc" for name in entries)}
    return [name for name in names if name not in known and not _HIDDEN.search(name)]


def _entry(name: str, entry: Mapping[str, object]) -> Entry:
    sha256, size, libraries = entry["sha256"], entry["size"], entry.get("libraries", {})
    suffix = PurePosixPath(name).suffix
    kind = entry.get("format", VERSIONED.get(suffix, suffix.removeprefix(".")))
    if not (isinstance(sha256, str) and isinstance(size, int) and isinstance(libraries, dict)):
        raise ValueError(f"{name!r} is not described")
    name.encode()  # raises ValueError for half a surrogate pair, which no file has in its name
    strict = kind in VERSIONED.values() or bool(entry.get("trusted"))
    needs = entry.get("needs")
    if not isinstance(needs, list):  # of a project that an earlier version made
        needs = sorted(libraries) if strict else {"onnx": ["onnxruntime"]}.get(str(kind), [])
    return Entry(sha256, size, str(kind), libraries, strict, tuple(map(str, needs)))


def _listed(project: Project, entries: Mapping[str, Entry]) -> Iterator[Problem]:
    folder = project.at(project.artifacts_dir)
    for name, entry in entries.items():
        path, where = project.artifacts_dir / name, f"{folder}/{name}"
        if not is_inside(name):
            yield Problem(f"{name or repr(name)} in {MANIFEST} is outside artifacts/", TRAIN)
        elif is_folder(path):
            yield _folder(where)
        elif not is_file(path):
            yield Problem(f"{where} is missing", _fetch(path))
        else:
            try:
                with path.open("rb") as file:
                    head = file.read(1024)
                    found = compare(where, entry, *digest(file, head), head)
            except OSError as error:
                found = Problem(f"{where} cannot be read: {error.strerror}", TRAIN)
            if found:
                yield found


def _unlisted(project: Project, entries: Iterable[str]) -> Iterator[Problem]:
    folder = project.artifacts_dir
    paths = sorted(path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    for name in unlisted((path.relative_to(folder).as_posix() for path in paths), entries):
        yield Problem(f"{project.at(folder / name)} is not in the manifest", UNLISTED)


def _pending(project: Project) -> Problem | None:
    """Find the set of a training that was killed before the last of its files was in place."""
    committed = project.artifacts_dir.with_name(f".{project.artifacts_dir.name}-committed")
    if not committed.is_dir():
        return None
    return Problem(
        f"the last training was interrupted while it replaced the artifacts: {project.at(committed)} "
        "holds the new ones",
        f"Run: poetry run python -m {project.package} verify",
    )


def _folder(where: str) -> Problem:
    return Problem(f"{where} is a folder, not a file", f"Remove it. {TRAIN}")


def _fetch(path: Path) -> str:
    beside = path.with_name(f"{path.name}.dvc"), path.parent.with_name("artifacts.dvc")
    return 'Run "poetry ml data pull".' if any(is_file(file) for file in beside) else TRAIN


def _pointer(where: str, head: bytes) -> Problem | None:
    for start, (kind, command) in POINTERS.items():
        if head.startswith(start):
            return Problem(f"{where} is {kind}, not the file itself", f'Run "{command}".')
    return None


def _no_manifest(where: str) -> Problem:
    return Problem(f"{where} is not a valid manifest", TRAIN)
