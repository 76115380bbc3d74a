"""Projects of other tools: which of them cannot be added to, and what Poetry does not read of the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.project.pyproject import PyProject

AGAIN = "then run this again"
OURS = f'requires = ["poetry-core (>=2.1,<3)"] and build-backend = "{pyproject.BACKEND}"'
# Tables that described projects before there was [project].
OLD_TABLES = {
    ("flit", "metadata"): "https://flit.pypa.io/en/stable/pyproject_toml.html",
    ("pdm", "dependencies"): "https://packaging.python.org/en/latest/specifications/pyproject-toml",
    ("pdm", "name"): "https://packaging.python.org/en/latest/specifications/pyproject-toml",
}


def refuse(root: Path, toml: PyProject) -> None:
    """Raise MLError, with what to do, where Poetry cannot build or install a project as it is."""
    path = root / "pyproject.toml"
    tools = pyproject.table(toml.data, "tool")
    for (tool, key), page in OLD_TABLES.items():
        if key in pyproject.table(tools, tool) and not toml.is_described:
            table = f"[tool.{tool}]" if key == "name" else f"[tool.{tool}.{key}]"
            raise MLError(
                f"{path} describes the project in {table}, which Poetry does not read. Write it as "
                f"[project], as {page} says, with {OURS} in [build-system], {AGAIN}."
            )
    if toml.backend.startswith("poetry") or not toml.is_package:
        return
    if not toml.is_described:
        raise MLError(
            f"{path} has the build backend {toml.backend} and no [project]. "
            f"Remove [build-system], so that poetry-core builds the project, {AGAIN}."
        )
    raise MLError(
        f"{path} uses the build backend {toml.backend}, which does not read [tool.poetry]. Put {OURS} "
        f'into [build-system]{_dynamic(toml)}, or set "package-mode = false" in [tool.poetry], {AGAIN}.'
    )


def _dynamic(toml: PyProject) -> str:
    """Say what the other back end computes, and poetry-core does not."""
    left = sorted(toml.dynamic - toml.poetry.keys())
    return f", write {', '.join(left)} into [project] instead of dynamic" if left else ""


def is_refused(toml: PyProject) -> bool:
    """Tell whether a pyproject.toml belongs to another tool alone."""
    tools = pyproject.table(toml.data, "tool")
    old = any(key in pyproject.table(tools, tool) for tool, key in OLD_TABLES)
    return not toml.is_described and (old or not toml.backend.startswith("poetry"))


def notes(root: Path, toml: PyProject) -> Iterator[str]:
    """Say what Poetry does not read of a project that it can take over."""
    tools = pyproject.table(toml.data, "tool")
    uv = pyproject.table(tools, "uv")
    if "uv" in tools or (root / "uv.lock").exists():
        yield "[tool.uv] and uv.lock are not used: Poetry writes a poetry.lock of its own."
    if (root / "pdm.lock").exists():
        yield "pdm.lock is not used: Poetry writes a poetry.lock of its own."
    # A name alone would be looked for on an index, where it may be somebody else's.
    if sources := sorted(pyproject.table(uv, "sources")):
        yield (
            f"Poetry does not read [tool.uv.sources]: say in [tool.poetry.dependencies] where "
            f"{', '.join(sources)} is to come from, before you lock."
        )
    for tool, table in (("uv", uv), ("pdm", pyproject.table(tools, "pdm"))):
        if "dev-dependencies" in table:
            yield f"Poetry does not read dev-dependencies of [tool.{tool}]: move them to [dependency-groups]."
