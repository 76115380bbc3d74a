"""The package indexes that Poetry is configured with, asked whether a version has wheels."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from poetry.core.constraints.version import Version, parse_constraint
from poetry.core.packages.package import Package
from poetry.factory import Factory

if TYPE_CHECKING:
    from packaging.tags import Tag
    from poetry.core.packages.utils.link import Link
    from poetry.repositories import RepositoryPool

TIMEOUT = 10.0  # seconds, for all questions together


def without_wheels(
    root: Path, pyproject: bytes, pins: Sequence[tuple[str, str]], minors: Sequence[int]
) -> list[tuple[str, str]]:
    """List the pins, each a name and a version, with no wheel for any of these minor versions of Python 3.

    `pyproject` is what the project's own file is to become. What cannot be asked is left out.
    """
    found: list[tuple[str, str]] = []

    def ask() -> None:
        try:
            pool = _pool(root, pyproject)
            for name, version in pins:
                links = _links(pool, name, version)  # none, where an index has no such answers
                if links and not any(_has_wheel(link, minors) for link in links):
                    found.append((name, version))
        except Exception:  # noqa: BLE001  # no network, no access: locking says it better
            pass

    # A daemon: nobody waits for an index that does not answer, at the end of the process either.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    return list(found)


def _pool(root: Path, pyproject: bytes) -> RepositoryPool:
    """Set up the indexes as Poetry does for a project: its own settings and the plugins' included."""
    with tempfile.TemporaryDirectory(prefix="poetry-ml-") as folder:
        Path(folder, "pyproject.toml").write_bytes(pyproject)
        if (root / "poetry.toml").is_file():
            shutil.copy(root / "poetry.toml", folder)
        return Factory().create_poetry(Path(folder)).pool


def _links(pool: RepositoryPool, name: str, version: str) -> list[Link]:
    package = Package(name, Version.parse(version))
    return [link for index in pool.repositories for link in index.find_links_for_package(package)]


def _has_wheel(link: Link, minors: Sequence[int]) -> bool:
    try:
        tags = parse_wheel_filename(link.filename)[3]
    except InvalidWheelFilename:
        return False
    pythons = parse_constraint(link.requires_python or "*")
    return any(
        pythons.allows_any(parse_constraint(f"~3.{minor}")) and any(_fits(t, minor) for t in tags)
        for minor in minors
    )


def _fits(tag: Tag, minor: int) -> bool:
    """Tell whether a wheel's tag allows a Python, on whichever system."""
    name, number = tag.interpreter[:2], tag.interpreter[2:]
    if name == "py":
        return number == "3" or (number[:1] == "3" and int(number[1:]) <= minor)
    if name != "cp" or not number[1:].isdigit():
        return False
    oldest = int(number[1:])
    return oldest == minor or (tag.abi == "abi3" and oldest <= minor)
