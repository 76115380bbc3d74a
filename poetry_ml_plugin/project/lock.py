"""Reader of poetry.lock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from poetry.packages.locker import Locker

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import pyproject

RELOCK = "Run: poetry lock"


@dataclass(frozen=True)
class Package:
    """One package as it is locked."""

    name: str  # normalized
    version: str
    runtime: bool  # whether it is installed without any group
    optional: bool  # whether it takes an extra
    requires: tuple[str, ...]  # names
    files: Mapping[str, str]  # their hashes, as "sha256:…"
    path: str  # of the folder or the file that it is taken from, on this machine; else ""


@dataclass(frozen=True)
class Lock:
    """The packages, and whether pyproject.toml still asks for them."""

    packages: tuple[Package, ...]
    fresh: bool
    by_poetry_1: bool = False  # which did not write down the groups that want a package

    def versions(self, name: str) -> set[str]:
        """Return the locked versions of a package: several if they depend on the platform."""
        return {package.version for package in self.packages if package.name == name}


def read(root: Path) -> Lock | None:
    """Read the lock file in a folder; None if there is none. Raises MLError if it is broken."""
    path = root / "poetry.lock"
    if not path.is_file():
        return None
    locker = Locker(path, dict(pyproject.describe(root).data))
    try:
        entries = locker.lock_data["package"]
        by_poetry_1 = any("groups" not in entry for entry in entries)
        return Lock(tuple(map(_package, entries)), locker.is_fresh(), by_poetry_1)
    except (RuntimeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise MLError(f"{path} cannot be read: {error}. {RELOCK}") from error


def _package(entry: Mapping[str, Any]) -> Package:
    source = entry.get("source", {})
    groups = entry.get("groups", [entry.get("category", "main")])
    return Package(
        name=canonicalize_name(entry["name"]),
        version=entry["version"],
        runtime="main" in groups,
        optional=entry["optional"] or "extra ==" in _marker(entry),
        requires=tuple(canonicalize_name(name) for name in entry.get("dependencies", ())),
        files={file["file"]: file["hash"] for file in entry.get("files", ())},
        path=source["url"] if source.get("type") in ("directory", "file") else "",
    )


def _marker(entry: Mapping[str, Any]) -> str:
    """Return the marker of a package among the runtime dependencies."""
    markers = entry.get("markers", "")
    return str(markers.get("main", "") if isinstance(markers, dict) else markers)
