"""uv, where it is installed, as what unpacks packages: it links files that it has unpacked before."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

# What is said of this machine. Other settings would have a say in what is installed from where.
KEPT = ("UV_CACHE_DIR", "UV_CONCURRENT", "UV_HTTP", "UV_LINK_MODE", "UV_NATIVE_TLS", "UV_SYSTEM")


def find() -> str | None:
    """Return the program's path; None where it is not installed."""
    return shutil.which("uv")


def unpack(uv: str, python: Path, index: str, pinned: Iterable[str], cache: bool = True) -> bool:
    """Unpack these, and nothing else, into a virtualenv from an index; tell whether that worked.

    Each is pinned with its hashes, as in "numpy==2.3.5 --hash=sha256:…".
    """
    command = [uv, "pip", "install", "--quiet", "--no-config", "--no-deps", "--only-binary=:all:"]
    command += ["--require-hashes", "--python", str(python), "--requirement", "-"]
    command += [] if cache else ["--no-cache"]
    done = subprocess.run(
        command,
        cwd=python.parent,
        env=environment(index),
        input="\n".join(pinned),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0


def environment(index: str) -> dict[str, str]:
    """The environment of uv. The index may have a password in it, which no argument may have."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("UV_") or k.startswith(KEPT)}
    return {**kept, "UV_DEFAULT_INDEX": index}
