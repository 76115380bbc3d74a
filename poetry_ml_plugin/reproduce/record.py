"""What a manifest says of a training, and how two such records differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poetry_ml_plugin.audit import artifacts
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import closeness
from poetry_ml_plugin.project.pyproject import Project

TOLERANCE = 1e-5  # by which numbers may differ, relative to their size


@dataclass(frozen=True)
class Record:
    """The hashes of the trained files, and the record of the run that made them."""

    hashes: Mapping[str, str]
    libraries: Mapping[str, str]
    run: Mapping[str, Any]

    @property
    def data(self) -> Mapping[str, str]:
        """The hash of each data file, by its path in the project."""
        return dict(self.run.get("data", {}))


def read(project: Project) -> Record:
    """Read the record of a training. Raises MLError where there is none."""
    path = project.artifacts_dir / artifacts.MANIFEST
    where = project.at(path)
    try:
        content = path.read_bytes()
        entries = artifacts.parse(content)
        run = json.loads(content).get("run", {})
    except FileNotFoundError:
        raise MLError(f"{where} is missing, so nothing says what was trained there") from None
    except (OSError, ValueError) as error:
        raise MLError(f"{where} cannot be read: {error}") from error
    if not isinstance(run, dict) or not run:
        raise MLError(f"{where} records no training")
    libraries: dict[str, str] = {}
    for entry in entries.values():
        libraries |= entry.libraries
    libraries |= run.get("libraries", {})
    return Record({name: entry.sha256 for name, entry in entries.items()}, libraries, run)


def differing(before: Record, after: Record) -> list[str]:
    """Name the trained files that are not the same, byte by byte."""
    names = sorted({*before.hashes, *after.hashes})
    return [name for name in names if before.hashes.get(name) != after.hashes.get(name)]


def alike(one: Any, other: Any) -> bool:
    """Tell whether two plain values are equal, numbers within the tolerance."""
    return closeness.alike(one, other, relative=TOLERANCE, absolute=TOLERANCE * 1e-3)


def changed_metrics(before: Record, after: Record) -> list[str]:
    """Say which metrics differ by more than the tolerance: "accuracy 0.95, was 0.97"."""
    old, new = before.run.get("metrics", {}), after.run.get("metrics", {})
    return [
        f"{name} {_shown(new.get(name))}, was {_shown(old.get(name))}"
        for name in sorted({*old, *new})
        if not alike(old.get(name), new.get(name))
    ]


def causes(before: Record, after: Record) -> Iterator[str]:
    """Name what two trainings did not have in common: data, code, lock, Python, platform."""
    for name in _unlike(before.data, after.data):
        yield f"data: {name} is not the file that the training read"
    for name in _unlike(before.run.get("code", {}), after.run.get("code", {})):
        yield f"code: {name} is not as it was when the model was trained"
    for name in sorted(before.libraries.keys() & after.libraries.keys()):
        old, new = before.libraries[name], after.libraries[name]
        if old != new:
            yield f"lock: the training used {name} {old}, and poetry.lock has {new}"
    for key, title in (("python", "Python"), ("platform", "platform")):
        old, new = (str(record.run.get(key, "")) for record in (before, after))
        if old and new and old != new:
            yield f"{title}: the training ran on {old}, and this one on {new}"


def _unlike(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "missing" if value is None else str(value)


def find_data(name: str, digest: str, root: Path) -> Path | None:
    """Find a recorded data file in a project's folder, if its content is the recorded one."""
    path = root / name
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        return path if artifacts.digest(stream)[0] == digest else None
