"""The package that the machinery serves: its names, and where its things are."""

from dataclasses import dataclass
from pathlib import Path


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
    def data_dir(self) -> Path | None:
        """The project's data, or None where the package is installed from a wheel."""
        return self.project_dir / "data" if self.project_dir else None

    @property
    def artifacts_dir(self) -> Path:
        """The trained files."""
        return self.folder / "artifacts"

    @property
    def command(self) -> str:
        """How a verb of the project is run from a shell."""
        return f"{'poetry run ' if self.project_dir else ''}python -m {self.name}"
