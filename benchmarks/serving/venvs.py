"""One virtual environment a stack, from PyPI with plain pip."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SCIKIT_LEARN = "scikit-learn"
SECONDS = 900  # a stack that takes longer to install counts as one that does not install

# What uvicorn advises for speed. It takes them where it finds them, whoever starts it.
FAST_UVICORN = ("uvloop", "httptools")

# What each stack asks for: the newest of it that installs on this Python.
REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "flask": ("flask", "gunicorn", "gunicorn_h1c"),
    "fastapi": ("fastapi", "uvicorn[standard]"),
    "bentoml": ("bentoml", *FAST_UVICORN),
    "litserve": ("litserve", *FAST_UVICORN),
    # With a newer uvloop the processes of its parallel_workers end as they start.
    "mlserver": ("mlserver", "uvloop<0.22", "httptools"),
    "mlflow": ("mlflow", *FAST_UVICORN),
    "waitress": ("waitress",),
}

# What serves no model needs no library of models.
WITHOUT_MODEL = frozenset(["waitress"])

# What the generated project is measured with, beside its own dependencies.
OURS = (SCIKIT_LEARN, "skl2onnx", "joblib")

# What a reader wants to know the version of.
SHOWN: dict[str, tuple[str, ...]] = {
    "ours": ("falcon", "waitress", "msgspec", "numpy", "onnxruntime", "skl2onnx", SCIKIT_LEARN),
    "flask": ("flask", "gunicorn", "gunicorn_h1c"),
    "fastapi": ("fastapi", "pydantic", "uvicorn", "uvloop", "httptools"),
    "bentoml": ("bentoml", "uvicorn"),
    "litserve": ("litserve", "fastapi", "uvicorn", "pyzmq"),
    "mlserver": ("mlserver", "fastapi", "uvicorn", "uvloop"),
    "mlflow": ("mlflow", "fastapi", "uvicorn"),
    "waitress": ("waitress",),
}


class InstallError(Exception):
    """Says why a stack cannot be installed."""


@dataclass(frozen=True)
class Venv:
    """A virtual environment, made or to be made."""

    name: str
    folder: Path

    @property
    def commands(self) -> Path:
        """The folder of its commands."""
        return self.folder / "bin"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.commands / "python"

    def versions(self) -> dict[str, str]:
        """The installed versions that a reader wants to know."""
        ask = (
            "import importlib.metadata as m, json, sys;"
            "have = {d.name.lower(): d.version for d in m.distributions()};"
            "print(json.dumps({n: have[n] for n in sys.argv[1:] if n in have}))"
        )
        names = dict.fromkeys([*SHOWN[self.name], SCIKIT_LEARN])
        command = [str(self.python), "-c", ask, *names]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        versions: dict[str, str] = json.loads(said)
        return versions


def make(venv: Venv, requirements: Sequence[str]) -> None:
    """Make it, unless it was made for the same requirements. Raises InstallError."""
    stamp = venv.folder / "stamp.json"
    wanted = json.dumps([sys.version, *requirements])
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"Install {venv.name}: {' '.join(requirements)}", flush=True)
    shutil.rmtree(venv.folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(venv.folder)], check=True)
    pip = [str(venv.python), "-m", "pip", "install", "--quiet"]
    _run([*pip, "--upgrade", "pip"])
    _run([*pip, *requirements])
    stamp.write_text(wanted)


def make_peer(venv: Venv, scikit_learn: str) -> str:
    """Make a peer's, with this version of scikit-learn if it allows that, and say if it does not."""
    requirements = REQUIREMENTS[venv.name]
    if venv.name in WITHOUT_MODEL:
        make(venv, requirements)
        return ""
    try:
        make(venv, [*requirements, f"{SCIKIT_LEARN}=={scikit_learn}", "joblib"])
    except InstallError:
        make(venv, [*requirements, SCIKIT_LEARN, "joblib"])
        return f"does not install beside scikit-learn {scikit_learn}"
    return ""


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise InstallError(f"pip took more than {SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if line.startswith("ERROR")]
        raise InstallError((lines or ["pip failed"])[0].removeprefix("ERROR: ")[:200]) from error
