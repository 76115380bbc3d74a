"""Lock files of the last day, kept in Poetry's cache folder: what was resolved there is known here."""

from __future__ import annotations

import hashlib
import json
import time
import tomllib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poetry.__version__ import __version__
from poetry.factory import Factory
from poetry.packages.locker import Locker

from poetry_ml_plugin.host import platforms
from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.project.pyproject import table

LIFE = 24 * 60 * 60  # seconds
LIFE_OF_IMPORTS = 30 * LIFE
FOLDER = "poetry-ml/resolved"
STANDARD = ("requires-python", "dependencies", "optional-dependencies")
POETRY = ("dependencies", "group", "extras", "source", "dev-dependencies")


@dataclass(frozen=True)
class Resolved:
    """The place of the lock file that projects have which ask for the same, of the same index."""

    lock: Path
    now: Callable[[], float] = time.time

    def give(self, root: Path) -> float | None:
        """Give a project the lock file, and return its age in seconds; None if there is none that is young."""
        try:
            age = self.now() - self.lock.stat().st_mtime
            if not 0 <= age < LIFE or not self.locker(root).is_fresh():
                return None
            platforms.write_whole(root / "poetry.lock", self.lock.read_bytes())
        except (OSError, ValueError):
            return None
        return age

    def keep(self, root: Path) -> None:
        """Keep the lock file of a project, unless it has what lies elsewhere than in an index."""
        content = (root / "poetry.lock").read_bytes()
        packages = tomllib.loads(content.decode()).get("package", [])
        if any(
            package.get("source", {"type": "legacy"})["type"] != "legacy" for package in packages
        ):
            return
        with suppress(OSError):  # a cache that cannot be written is none
            self.lock.parent.mkdir(parents=True, exist_ok=True)
            self._forget_the_old()
            platforms.write_whole(self.lock, content)

    def imported(self) -> list[str]:
        """List the files of packages that a training imported last, in their order; none if none is known."""
        try:
            return self._imports.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            return []

    def remember(self, imported: list[str]) -> None:
        """Keep that list."""
        with suppress(OSError):
            self._imports.parent.mkdir(parents=True, exist_ok=True)
            platforms.write_whole(self._imports, "\n".join(imported).encode())

    @property
    def _imports(self) -> Path:
        return self.lock.with_suffix(".txt")

    def locker(self, root: Path) -> Locker:
        """Poetry's reader of the lock file, as that of a project."""
        return Locker(self.lock, dict(pyproject.describe(root).data))

    def _forget_the_old(self) -> None:
        for path in self.lock.parent.iterdir():
            life = LIFE if path.suffix == ".lock" else LIFE_OF_IMPORTS
            if not 0 <= self.now() - path.stat().st_mtime < life:
                path.unlink(missing_ok=True)


def place(root: Path) -> Resolved:
    """Find where the lock file of a project is kept. Raises whatever Poetry does about the project."""
    poetry = Factory().create_poetry(root)
    sources = [
        (source.name, getattr(source, "url", ""), poetry.pool.get_priority(source.name).name)
        for source in poetry.pool.all_repositories
    ]
    # Asked for one by one, so that the environment has its say.
    solver = {key: poetry.config.get(f"solver.{key}") for key in poetry.config.get("solver", {})}
    asked = [__version__, solver, sources, _wishes(root)]
    key = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()
    cache = Path(poetry.config.get("cache-dir")).expanduser()
    return Resolved(cache / FOLDER / f"{key[:32]}.lock")


def _wishes(root: Path) -> list[Any]:
    """What of pyproject.toml Poetry resolves: not its name, nor its description."""
    found = pyproject.describe(root)
    return [
        [found.standard.get(key) for key in STANDARD],
        [found.poetry.get(key) for key in POETRY],
        table(found.data, "dependency-groups"),
    ]
