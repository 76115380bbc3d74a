"""Notebooks of a project: run into reports/, and kept in git without their outputs."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import git, inside, platforms

STRIP = "nbstripout"
CLEAN = f"filter.{STRIP}.clean"
# A kernel of the same name in the user's home would be another environment's.
OWN_KERNEL = {"JUPYTER_PREFER_ENV_PATH": "1"}
ADDED = {"injected-parameters", "papermill-error-cell-tag"}  # tags of papermill's own cells


def is_wanted(root: Path) -> bool:
    """Tell whether a project's .gitattributes has the outputs of notebooks stripped."""
    try:
        return f"filter={STRIP}" in (root / ".gitattributes").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def is_set(root: Path) -> bool:
    """Tell whether this clone has the filter, and its program is there."""
    if git.code(root, "config", "--get", CLEAN) != 0:
        return False
    words = shlex.split(git.ask(root, "config", "--get", CLEAN))
    return bool(words) and shutil.which(words[0]) is not None


def strip_outputs(root: Path) -> None:
    """Set the filter in this clone. Raises MLError where the program for it is not installed."""
    from poetry_ml_plugin.host import (
        venv,
    )  # late: it takes half a second, and most checks need none

    env = venv.find(root)
    if env is None or not list(env.site_packages.distributions(name=STRIP)):
        raise MLError(
            f"{STRIP} is not installed. Run: poetry install; or where pyproject.toml does not list it: "
            f"poetry add --group dev {STRIP}"
        )
    program = Path(env.python).as_posix()
    settings = {CLEAN: f'"{program}" -m {STRIP}', f"filter.{STRIP}.smudge": "cat"}
    for key, value in settings.items():
        git.ask(root, "config", "--local", key, value)


def run(python: Path, root: Path, path: Path, parameters: Sequence[tuple[str, str]]) -> Path:
    """Run a notebook from top to bottom, and write it with its outputs into reports/.

    Raises MLError that names the cell where it raises; reports/ then stays as it was.
    """
    if not path.is_file() or path.suffix != ".ipynb":
        raise MLError(f"{path} is not a notebook. List them with: ls {root / 'notebooks'}")
    target = inside.resolve(root / "reports" / path.name, root)
    with tempfile.TemporaryDirectory() as folder:
        done = Path(folder, path.name)
        given = [word for pair in parameters for word in ("-p", *pair)]
        words = [*("-k", "python3", "-l", "python", "--cwd", str(path.parent)), *given]
        ended = subprocess.run(
            [str(python), "-m", "papermill", str(path), str(done), *words],
            env={**os.environ, **OWN_KERNEL},
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode != 0:
            raise MLError(_fault(path, done, ended.stderr))
        target.parent.mkdir(parents=True, exist_ok=True)
        platforms.write_whole(target, done.read_bytes())
    return target


def _fault(path: Path, done: Path, said: str) -> str:
    """Say which cell of a notebook raised what, as papermill left it."""
    again = "Open it with: poetry ml notebook"
    try:
        cells = json.loads(done.read_bytes())["cells"]
    except (OSError, ValueError, KeyError):
        cells = []
    own = [cell for cell in cells if not ADDED & set(_tags(cell))]
    for number, cell in enumerate(own, 1):
        for output in cell.get("outputs", ()):
            if output.get("output_type") == "error":
                what = " ".join(f"{output['ename']}: {output['evalue']}".split())
                return f"{path.name} raised in cell {number}: {what[:300].rstrip('.')}. {again}"
    last = (said.strip().splitlines() or ["papermill failed"])[-1]
    return f"{path.name} could not be run: {last.rstrip('.')}. {again}"


def _tags(cell: Mapping[str, Any]) -> list[str]:
    tags = cell.get("metadata", {}).get("tags", [])
    return tags if isinstance(tags, list) else []
