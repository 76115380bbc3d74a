"""Libraries that a project may use beyond those of a fresh one, each set under the name of its use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import inside, poetry, venv
from poetry_ml_plugin.project import pyproject


@dataclass(frozen=True)
class Libraries:
    """What one use needs. `group` is "main" for what a deployed service or an installed wheel uses too."""

    summary: str
    group: str
    requirements: tuple[str, ...]


LIBRARIES = {
    "grpc": Libraries(
        "gRPC beside HTTP: serve --grpc-port",
        "main",
        (
            "grpcio>=1.80,<2",
            "grpcio-health-checking>=1.80,<2",
            "grpcio-reflection>=1.80,<2",
            "open-inference-grpc>=2,<3",
        ),
    ),
    "report": Libraries(
        "the page of poetry ml evaluate, and the model card",
        "report",
        ("skore>=0.28,<0.29", "huggingface-hub>=1,<3"),
    ),
    "tracking": Libraries("runs in MLflow", "tracking", ("mlflow-skinny>=3.1,<4",)),
    "parquet": Libraries("Parquet and Arrow tables", "main", ("pyarrow>=20,<27",)),
    "ray": Libraries("Batch scoring on Ray", "ray", ("ray>=2.50,<3",)),
    "dask": Libraries("Batch scoring on Dask", "dask", ("dask[distributed]>=2025.1",)),
    "notebook": Libraries(
        "Notebooks run with papermill", "notebook", ("ipykernel>=6.29,<8", "papermill>=2.6,<3")
    ),
    "lab": Libraries("JupyterLab", "notebook", ("ipykernel>=6.29,<8", "jupyterlab>=4.3,<5")),
    "data": Libraries("Data versions with DVC", "data", ("dvc>=3.60,<4",)),
    "data-s3": Libraries("DVC's remotes on S3", "data", ("dvc>=3.60,<4", "dvc-s3>=3.2,<4")),
    "data-ssh": Libraries("DVC's remotes over SSH", "data", ("dvc>=3.60,<4", "dvc-ssh>=4.1,<5")),
}


def missing(root: Path, name: str) -> list[str]:
    """List the libraries of a use that are not installed in the project's environment."""
    env = venv.find(root)
    wanted = [Requirement(text).name for text in LIBRARIES[name].requirements]
    if env is None:
        return wanted
    return [each for each in wanted if not list(env.site_packages.distributions(name=each))]


def add(root: Path, name: str) -> None:
    """Write a use's libraries into pyproject.toml, lock, and install them.

    Poetry does it all, and restores both files where it fails. Raises MLError in that case.
    """
    chosen = LIBRARIES[name]
    inside.resolve(root / "pyproject.toml", root)
    inside.resolve(root / "poetry.lock", root)
    there = pyproject.describe(root).groups.get(chosen.group, set())
    new = [text for text in chosen.requirements if Requirement(text).name not in there]
    if new:
        poetry.add(root, chosen.group, new)
    if missing(root, name):  # a group that was declared and not installed
        poetry.install(root, None if chosen.group == "main" else chosen.group)
    if left := missing(root, name):
        raise MLError(f"{', '.join(left)} cannot be installed for {name}. Poetry says why above.")
