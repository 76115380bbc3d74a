"""The files of a Docker Space on Hugging Face: those of the image, with a README.md that describes the Space."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_ml_plugin.deploy.container import docker
from poetry_ml_plugin.deploy.container.values import Values
from poetry_ml_plugin.host import inside
from poetry_ml_plugin.project import pyproject

if TYPE_CHECKING:
    from poetry_ml_plugin.project.pyproject import Project

FOLDER = "dist/huggingface"
README = "README.md"
NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
LONGEST = 60  # of a short description
MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def assemble(project: Project, values: Values) -> list[str]:
    """Put a Space's files into a folder that replaces the former one, and list them."""
    target = project.root / FOLDER
    inside.resolve(target, project.root)
    names = [*docker.context(project), "Dockerfile", ".dockerignore"]
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as made:
        stage = Path(made) / "space"
        for name in names:
            path = stage / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(project.root / name, path)
        (stage / README).write_text(readme(project, values), encoding="utf-8")
        if target.exists():
            target.rename(Path(made) / "former")
        stage.rename(target)
    return sorted({*names, README})


def readme(project: Project, values: Values) -> str:
    """Write the README.md: what Hugging Face reads at its top, and the project's own text."""
    said = {
        "title": values.name,
        "emoji": "🔮",
        "colorFrom": "blue",
        "colorTo": "green",
        "sdk": "docker",
        "app_port": 8080,
        "pinned": False,
    }
    about = str(pyproject.describe(project.root).data.get("project", {}).get("description", ""))
    if 0 < len(about) <= LONGEST:
        said["short_description"] = about
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in said.items()]
    path = project.root / README
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return "\n".join(["---", *lines, "---", "", MATTER.sub("", text) or f"# {values.name}\n"])
