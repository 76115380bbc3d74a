"""The package that the machinery serves: its names, and where its things are."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from .errors import ProjectError


@dataclass(frozen=True)
class Package:
    """A project's package: its import name, its distribution's name, and its folder."""

    name: str
    distribution: str
    folder: Path

    @property
    def project_dir(self) -> Path | None:
        """The checkout's folder, or None where the package is installed from a wheel."""
        root = self.folder.parents[1]
        return root if (root / "pyproject.toml").is_file() else None

    @property
    def root(self) -> Path:
        """The checkout's folder. Raises ProjectError where the package is installed from a wheel."""
        if self.project_dir is None:
            raise ProjectError(
                f"{self.name} is installed from a wheel. Run this in a checkout of it."
            )
        return self.project_dir

    @property
    def data_dir(self) -> Path | None:
        """The project's data, or None where the package is installed from a wheel."""
        return self.project_dir / "data" if self.project_dir else None

    @property
    def artifacts_dir(self) -> Path:
        """The trained files."""
        return self.folder / "artifacts"

    @property
    def digest(self) -> str:
        """A hash of what predicts: the code, and the manifest, which has the hashes of the artifacts."""
        total = hashlib.sha256()
        for path in [*sorted(self.folder.rglob("*.py")), self.artifacts_dir / "manifest.json"]:
            content = path.read_bytes() if path.exists() else b""
            total.update(f"{path.relative_to(self.folder).as_posix()} {len(content)}\n".encode())
            total.update(content)
        return total.hexdigest()

    def data(self, name: str) -> Path:
        """Return the path of a file below data/. Raises ProjectError where it is not here."""
        if self.data_dir is None:
            raise ProjectError(
                "data/ is not part of the installed package. Run this in a checkout of the project."
            )
        path = self.data_dir / name
        places = [p for p in (path, *path.parents) if p.is_relative_to(self.data_dir)]
        if not path.exists() and any(p.with_name(f"{p.name}.dvc").is_file() for p in places):
            raise ProjectError(f"{path} is kept by DVC, and not here. Run: poetry ml data pull")
        return path

    def written(self, path: Path) -> Path:
        """Return a path that is to be put in its place, whatever is there: the link that it may be goes.

        Raises ProjectError where a folder above it is a link out of the checkout.
        """
        found = path.parent.resolve()
        home = (self.project_dir or self.folder).resolve()
        if not found.is_relative_to(home):
            raise ProjectError(
                f"{path.parent} is a link, or below one, that leads to {found}, outside {home}. "
                "Nothing was written there. Replace the link with a folder."
            )
        return path

    @property
    def command(self) -> str:
        """How a verb of the project is run from a shell."""
        return f"{'poetry run ' if self.project_dir else ''}python -m {self.name}"
