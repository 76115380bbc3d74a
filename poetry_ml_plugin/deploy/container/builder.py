"""Image builds and pushes with docker, podman or buildah."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from poetry_ml_plugin.errors import MLError

# podman and buildah drop the HEALTHCHECK from an image in OCI's own format.
BUILD = {
    "docker": ["docker", "build"],
    "podman": ["podman", "build", "--format", "docker"],
    "buildah": ["buildah", "build", "--format", "docker", "--layers"],
}
ASK = {
    "docker": ["docker", "version"],  # fails where the daemon does not run
    "podman": ["podman", "version"],
    "buildah": ["buildah", "version"],
}


def find() -> str:
    """Find the first program that can build. Raises MLError if there is none."""
    silent = []
    for name, question in ASK.items():
        if shutil.which(name) is None:
            continue
        done = subprocess.run(question, capture_output=True, stdin=subprocess.DEVNULL, check=False)
        if done.returncode == 0:
            return name
        silent.append(name)
    reason = f"{' and '.join(silent)} does not answer. Start it" if silent else "None is installed"
    raise MLError(
        f"Building an image needs docker, podman or buildah. {reason}, or write the Dockerfile only: "
        "poetry ml deploy docker --files-only"
    )


def build(
    program: str,
    root: Path,
    reference: str,
    labels: Mapping[str, str],
    more: list[str],
    platform: str = "",
) -> None:
    """Build the Dockerfile in a folder. `more` is passed on. Raises MLError where that fails."""
    words = [*BUILD[program], *for_platform(platform), "--tag", reference]
    for name, value in labels.items():
        words += ["--label", f"{name}={value}"]
    _run([*words, *more, "."], root)


def for_platform(platform: str) -> list[str]:
    """Return the option for a platform like linux/amd64; nothing for this machine's own."""
    return ["--platform", platform] if platform else []


def push(program: str, reference: str) -> None:
    """Push an image to where its name says. Raises MLError where that fails."""
    _run([program, "push", reference], Path.cwd())


def _run(words: list[str], folder: Path) -> None:
    # With BuildKit's attestations an image is an index, which SageMaker and Lambda do not take.
    env = {**os.environ, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    done = subprocess.run(words, cwd=folder, env=env, stdin=subprocess.DEVNULL, check=False)
    code = done.returncode
    if code != 0:
        raise MLError(
            f'"{" ".join(words[:2])}" failed with exit code {code}. See its output above.'
        )
