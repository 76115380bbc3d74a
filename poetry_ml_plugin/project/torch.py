"""PyTorch as a dependency of the training: the build for one kind of machine, from PyTorch's own index."""

from __future__ import annotations

import re
from pathlib import Path

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import inside, platforms
from poetry_ml_plugin.project import edit, pyproject
from poetry_ml_plugin.project.edit import Inline

INDEX = "https://download.pytorch.org/whl"
VERSION = ">=2.6,<3"
GROUP = "train"


def build(cpu: bool, cuda: str | None) -> str:
    """Return PyTorch's name for a build: "cpu", or "cu126" for CUDA 12.6. Raises MLError for others."""
    if cpu == bool(cuda):
        raise MLError(
            "Say which build of PyTorch to add: --cpu, or --cuda with a version such as cu126."
        )
    name = "cpu" if cpu else f"cu{re.sub(r'[.]|^cu', '', str(cuda))}"
    if not re.fullmatch(r"cpu|cu\d{3}", name):
        raise MLError(f'"{cuda}" is not a version of CUDA. Write one like --cuda cu126.')
    return name


def add(root: Path, name: str) -> None:
    """Write a build of PyTorch into pyproject.toml: its index, asked for torch alone, and the dependency.

    macOS has one build only, which is on PyPI. Raises MLError where torch is there already.
    """
    toml = pyproject.describe(root)
    if group := next((group for group, names in toml.groups.items() if "torch" in names), None):
        option = "" if group == "main" else f" --group {group}"
        raise MLError(
            f"{root / 'pyproject.toml'} has torch already. "
            f"To have another build, first run: poetry remove torch{option}"
        )
    source = f"pytorch-{name}"
    known = [entry for entry in toml.poetry.get("source", []) if entry.get("name") == source]
    path = inside.resolve(root / "pyproject.toml", root)
    content = path.read_bytes()
    if not known:
        content = edit.append_table(
            content,
            ("tool", "poetry", "source"),
            {"name": source, "url": f"{INDEX}/{name}", "priority": "explicit"},
        )
    torch = [
        Inline(version=VERSION, source=source, markers="sys_platform != 'darwin'"),
        Inline(version=VERSION, markers="sys_platform == 'darwin'"),
    ]
    group_table = {"group": {GROUP: {"dependencies": {"torch": torch}}}}
    content = edit.extend(content, {"tool": {"poetry": group_table}})
    platforms.write_whole(path, content)
