"""A built image, started here and asked to predict before it goes anywhere."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from poetry_ml_plugin.deploy import smoke_test
from poetry_ml_plugin.deploy.container.builder import for_platform
from poetry_ml_plugin.deploy.smoke_test import SmokeTest
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import platforms

RUNS = ("docker", "podman")  # buildah builds, and runs nothing that listens
PORT = "8080"
READY = 120  # seconds
PAUSE = 0.5
SHOWN = 20  # lines of the log


def compare(
    program: str,
    reference: str,
    local: SmokeTest,
    platform: str = "",
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Start an image, hold its predictions against the local model's, and say the result.

    Raises MLError where it does not start, does not predict, or predicts otherwise.
    """
    with platforms.signals_raise(), _container(program, reference, platform) as name:
        base = f"http://{_address(program, name)}"
        deadline = clock() + READY
        while not ((answer := smoke_test.visit(f"{base}/health/ready")) and answer.ok):
            if clock() > deadline or not _runs(program, name):
                raise _failure("The image does not start", program, name)
            sleep(PAUSE)
        there = smoke_test.there(smoke_test.visit, base, rows=local.rows)
        if there.failure:
            raise _failure(f"The image does not predict: {there.failure}", program, name)
    if there.skipped or local.skipped:
        return f"the service is ready; {there.skipped or local.skipped}"
    if not smoke_test.alike(there.prediction, local.prediction):
        raise MLError(
            f"Predictions differ from the local model: the image returns {there.prediction}, "
            f"the local model {local.prediction}."
        )
    return "same predictions as the local model"


@contextmanager
def _container(program: str, reference: str, platform: str) -> Iterator[str]:
    words = ["run", "--detach", "--publish", f"127.0.0.1::{PORT}", *for_platform(platform)]
    name = _ask(program, *words, reference)
    try:
        yield name
    finally:
        with platforms.uninterrupted():
            _call(program, "rm", "--force", name)


def _address(program: str, name: str) -> str:
    """Return the host and port that the container is published at."""
    return _ask(program, "port", name, PORT).splitlines()[0]


def _runs(program: str, name: str) -> bool:
    return _ask(program, "inspect", "--format", "{{.State.Running}}", name) == "true"


def _failure(what: str, program: str, name: str) -> MLError:
    done = _call(program, "logs", "--tail", str(SHOWN), name)
    said = (done.stdout + done.stderr).strip().splitlines()[-SHOWN:]
    return MLError("\n".join([f"{what}:" if said else f"{what}.", *(f"  {line}" for line in said)]))


def _ask(program: str, *words: str) -> str:
    done = _call(program, *words)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise MLError(
            f'"{program} {words[0]}" failed: {said[-1]}. To leave out the check of the image: --no-check'
        )
    return done.stdout.strip()


def _call(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
