"""Values that a project's container files contain, checked before they are written."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from poetry_ml_plugin.deploy import memory, pythons
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import pyproject, yaml_value

if TYPE_CHECKING:
    from poetry_ml_plugin.project.pyproject import Project

PAUSE = 5  # seconds before a stop, in which a cluster learns to send nothing more
SPARE = 20  # seconds beyond the pause and the server's own time to finish

# Whatever differs from these is refused, so nothing needs quoting in a Dockerfile, YAML or TOML, and
# no value can end its line and begin another.
FIT = {
    "name": r"(?!(true|false|null|yes|no|on|off|y|n)$)[a-z]([a-z0-9-]{0,61}[a-z0-9])?",
    "package": r"[A-Za-z_][A-Za-z0-9_]*",
    "version": r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,127}",
    "python": r"3\.\d+(\.\d+)?",
    "poetry": r"\d[A-Za-z0-9.+]*",
    "image": r"[a-z0-9][a-z0-9._-]*(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*",
    "cpu": r"\d+(\.\d+)?m?",
    "memory": r"\d+(Mi|Gi)",
}
MEANS = {
    "name": 'a name of letters, digits and dashes, not a YAML keyword (set by [project] "name")',
    "package": f"a package's name in ASCII (set by [tool.{pyproject.TOOL}])",
    "version": 'a version (set by [project] "version")',
    "python": 'a version like "3.12" (set by .python-version)',
    "poetry": "a version (read from the first line of poetry.lock)",
    "image": "a name like ghcr.io/acme/churn, without a tag",
    "cpu": 'like "500m" or "2"',
    "memory": 'like "512Mi" or "2Gi"',
}


@dataclass(frozen=True)
class Values:
    """One set of values, for all files of all container targets."""

    name: str
    package: str
    version: str
    python: str
    poetry: str
    image: str  # where it is pushed to, without a tag
    grace: int  # seconds from the word to stop to the end, pause included
    replicas: int = 2
    max_replicas: int = 10
    cpu: str = "500m"
    memory: str = "512Mi"

    @property
    def mebibytes(self) -> int:
        """The memory as a number."""
        return int(self.memory[:-2]) * (1024 if self.memory.endswith("Gi") else 1)


# What the templates themselves say, where they stand.
TEMPLATE = Values(
    name="example-model",
    package="example_model",
    version="0.1.0",
    python="3.13",
    poetry="2.5.1",
    image="example-model",
    grace=45,
)


def read(project: Project, image: str | None = None) -> Values:
    """Read a project's values, and the settings in [tool.poetry-ml-plugin.deploy].

    `image` wins over what is set. Raises MLError that names every value that is not fit.
    """
    toml = pyproject.describe(project.root)
    distribution = canonicalize_name(toml.name or project.package)
    settings = memory.recall(project, "kubernetes")
    unknown = sorted(settings.keys() - {"replicas", "max-replicas", "cpu", "memory"})
    drain = serve_setting(project.root, "drain_seconds") or "20"
    try:
        values = Values(
            name=distribution if distribution[0].isalpha() else f"model-{distribution}",
            package=project.package,
            version=toml.version or "0",
            python=pythons.choose(project.root, toml),
            poetry=_poetry(project.root),
            image=image or str(memory.recall(project, "docker").get("image", distribution)),
            grace=PAUSE + round(float(drain)) + SPARE,
            replicas=int(settings.get("replicas", 2)),
            max_replicas=int(
                settings.get("max-replicas", max(10, int(settings.get("replicas", 2))))
            ),
            cpu=str(settings.get("cpu", "500m")),
            memory=str(settings.get("memory", _memory(project.artifacts_dir))),
        )
    except (TypeError, ValueError) as error:
        raise MLError(
            f"{project.root}: {error}. Use numbers for drain_seconds in configs/serve.yaml, and for "
            f"replicas and max-replicas in [tool.{pyproject.TOOL}.deploy.kubernetes]."
        ) from error
    _check(values, unknown)
    return values


def serve_setting(root: Path, key: str) -> str:
    """Read a key's value in configs/serve.yaml, or nothing."""
    try:
        text = (root / "configs" / "serve.yaml").read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    return yaml_value.read(text, key)


def _check(values: Values, unknown: list[str]) -> None:
    problems = [
        f'{field.name} is "{value}", and must be {MEANS[field.name]}'
        for field in fields(values)
        if field.name in FIT
        and not re.fullmatch(FIT[field.name], value := str(getattr(values, field.name)), re.ASCII)
    ]
    problems += [f"unknown setting {key!r} for kubernetes" for key in unknown]
    if not 1 <= values.replicas <= values.max_replicas:
        problems.append(f"{values.replicas} to {values.max_replicas} replicas is not a valid range")
    if problems:
        lines = "\n".join(f"  - {problem!s}" for problem in problems)
        raise MLError(f"These values are not valid in container files:\n{lines}")


def _poetry(root: Path) -> str:
    """Read which Poetry wrote the lock file."""
    try:
        with (root / "poetry.lock").open(encoding="utf-8") as file:
            found = re.search(r"generated by Poetry (\S+)", file.readline())
    except OSError:
        found = None
    return found[1] if found else TEMPLATE.poetry


def _memory(artifacts: Path) -> str:
    """Estimate the memory of one process from the libraries and the artifacts."""
    size = sum(path.stat().st_size for path in artifacts.glob("*") if path.is_file())
    return f"{512 + 256 * round(4 * size / 2**28)}Mi"
