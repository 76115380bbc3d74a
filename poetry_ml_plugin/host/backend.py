"""A project's own build back end, asked for what it would build. It runs the project's code."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import EntryPoints, PackageMetadata, PathDistribution
from pathlib import Path

from build import BuildBackendException, BuildException, ProjectBuilder
from build.env import DefaultIsolatedEnv

from poetry_ml_plugin.errors import MLError

TIMEOUT = 600.0  # seconds, for what it takes to build the metadata
_FAILURES = (BuildBackendException, BuildException, OSError, subprocess.SubprocessError)


def metadata(root: Path) -> tuple[PackageMetadata, EntryPoints]:
    """Prepare the metadata of a project's wheel, in an environment of its own that is gone afterwards.

    Raises MLError with the last of what the back end said.
    """
    temporary = tempfile.TemporaryDirectory(prefix="poetry-ml-", ignore_cleanup_errors=True)
    with temporary as folder, _left_clean(root):
        try:
            with DefaultIsolatedEnv() as env:
                builder = ProjectBuilder.from_isolated_env(env, root, runner=_run)
                env.install(builder.build_system_requires)
                env.install(builder.get_requires_for_build("wheel"))
                found = PathDistribution(Path(builder.metadata_path(folder)))
            return found.metadata, found.entry_points
        except _FAILURES as error:
            raise MLError(f"The build back end of {root} failed: {_reason(error)}") from error


@contextmanager
def _left_clean(root: Path) -> Iterator[None]:
    """Remove what setuptools leaves beside the code, if it was not there before."""
    before = {*root.glob("*.egg-info"), *root.glob("*/*.egg-info")}
    try:
        yield
    finally:
        for path in {*root.glob("*.egg-info"), *root.glob("*/*.egg-info")} - before:
            shutil.rmtree(path, ignore_errors=True)


def _run(
    cmd: Sequence[str], cwd: str | None = None, extra_environ: Mapping[str, str] | None = None
) -> None:
    env = {**os.environ, **(extra_environ or {})}
    subprocess.run(
        cmd,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT,
        check=True,
    )


def _reason(error: BaseException) -> str:
    """Find the last line that was printed, or else the error's own words."""
    cause = getattr(error, "exception", None) or error
    output = getattr(cause, "output", None) or b""
    lines = [line for line in output.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else str(cause)
