"""What must be true of a project's artifacts before they are built into a package."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_ml_plugin import project
from poetry_ml_plugin.errors import MLError

if TYPE_CHECKING:
    from poetry_ml_plugin.project import Project


def guard(root: Path) -> None:
    """Raises MLError that names every artifact a build of the project in `root` would lose or break.

    A project that is not an ML project is none of our business.
    """
    found = project.read(root)
    if found and (violations := verify(found)):
        raise MLError(
            "The package was not built, for its artifacts are not as they were trained:\n"
            + "\n".join(f"  - {violation}" for violation in violations)
            + '\nMend them with "poetry ml train", or bring back the files that were trained.'
        )


def verify(found: Project) -> list[str]:
    """What differs between a project's artifacts and their manifest; nothing is a good answer."""
    folder = found.artifacts_dir
    try:
        listed = json.loads((folder / "manifest.json").read_bytes())["artifacts"]
        hashes = {name: entry["sha256"] for name, entry in listed.items()}
    except FileNotFoundError:
        return [f"{folder / 'manifest.json'} is missing: there is no trained model"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return [f"{folder / 'manifest.json'} is no manifest"]
    violations = []
    for name, sha256 in sorted(hashes.items()):
        path = folder / name
        if not path.is_file():
            violations.append(f"{name} is missing")
        elif _sha256(path) != sha256:
            violations.append(f"{name} differs from its manifest")
    return violations


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):  # a model can be larger than what is left of the memory
            digest.update(part)
    return digest.hexdigest()
