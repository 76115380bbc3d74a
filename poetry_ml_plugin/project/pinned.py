"""What a lock file has for an environment, pinned with its hashes, by the index that it comes from."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from poetry.factory import Factory
from poetry.repositories.http_repository import HTTPRepository
from poetry.repositories.pypi_repository import PyPiRepository

if TYPE_CHECKING:
    from poetry.core.packages.package import Package
    from poetry.poetry import Poetry
    from poetry.utils.env import Env


def by_index(root: Path, env: Env) -> dict[str, list[str]]:
    """Pin what `poetry install` would install from an index, and leave all else to it.

    The keys are addresses of simple indexes, and may have a password in them.
    """
    poetry = Factory().create_poetry(root)
    if poetry.config.get("installer.no-binary") or poetry.config.get("installer.only-binary"):
        return {}  # somebody has said more about wheels than that they will do
    groups = poetry.package.dependency_group_names()
    there = {**env.marker_env, "extra": set[str]()}
    found = defaultdict(list)
    for package, info in poetry.locker.locked_packages().items():
        wanted = info.groups & groups and info.get_marker(groups).validate(there)
        if wanted and package.files and (index := _index(poetry, package)):
            found[index].append(_pin(package))
    return dict(found)


def _pin(package: Package) -> str:
    hashes = sorted({f"--hash={file['hash']}" for file in package.files})
    return " ".join([f"{package.name}=={package.version}", *hashes])


def _index(poetry: Poetry, package: Package) -> str:
    """The simple index that a package comes from; empty where it comes from no index."""
    if package.source_type not in (None, "legacy"):
        return ""
    name = package.source_reference or "PyPI"
    if not poetry.pool.has_repository(name):
        return ""
    source = poetry.pool.repository(name)
    if isinstance(source, PyPiRepository):
        return f"{source.url.rstrip('/')}/simple/"
    return source.authenticated_url if isinstance(source, HTTPRepository) else ""
