"""Build a standalone environment: the locked runtime dependencies and this project's wheel.

    python build/environment.py [FOLDER]

FOLDER is build/env unless given. It needs Poetry to build, and nothing of this checkout to run:
FOLDER/bin/example_model serve (FOLDER\\Scripts\\example_model.exe on Windows).
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


def build(folder: Path) -> Path:
    """Make the environment anew, and return the folder that holds its commands."""
    venv.create(folder, clear=True, with_pip=True)
    commands = folder / ("Scripts" if os.name == "nt" else "bin")
    # Poetry installs into the environment that is active.
    active = {**os.environ, "VIRTUAL_ENV": str(folder)}
    poetry = ["poetry", "--no-interaction", "--directory", str(PROJECT)]
    subprocess.run([*poetry, "sync", "--only", "main", "--no-root"], env=active, check=True)
    with tempfile.TemporaryDirectory() as dist:
        subprocess.run([*poetry, "build", "--format", "wheel", "--output", dist], check=True)
        (wheel,) = Path(dist).glob("*.whl")
        pip = [str(commands / "python"), "-m", "pip", "install", "--no-deps", "--quiet"]
        subprocess.run([*pip, str(wheel)], check=True)
    return commands


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "build" / "env"
    print(f"Run {build(target.resolve()) / 'example_model'} --help")
