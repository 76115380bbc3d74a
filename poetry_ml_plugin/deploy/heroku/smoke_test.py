"""Predictions of the model's own examples, by the local model and by a service."""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests
    from poetry.utils.env import Env

    from poetry_ml_plugin.project.pyproject import Project

SECONDS = 120

# Runs a package and then says how much memory it had at most. What the system tells a parent of its child
# would not do: there a child has at least what its parent had.
MEASURED = """\
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
finally:
    try:
        with open("/proc/self/status") as file:
            kilobytes = next(line.split()[1] for line in file if line.startswith("VmHWM"))
    except OSError:
        try:
            import resource
            kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        except ImportError:
            kilobytes = 0
    print("peak memory", kilobytes, file=sys.stderr)
"""
PEAK = re.compile(r"^peak memory (\d+)\n", re.MULTILINE)

Ask = Callable[..., "requests.Response | None"]


@dataclass(frozen=True)
class SmokeTest:
    """The model's examples, predicted; or why not."""

    prediction: Any = None
    memory: int = 0  # the peak, in MB; 0 where nobody can tell
    failure: str = ""
    skipped: str = ""


def here(project: Project, env: Env | None) -> SmokeTest:
    """Predict the model's examples as the project's command line does."""
    if env is None:
        return SmokeTest(skipped='the project is not installed here ("poetry install")')
    command = [str(env.python), "-c", MEASURED, project.package, "predict", "--example"]
    try:
        done = subprocess.run(
            command,
            cwd=project.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return SmokeTest(failure=f"it took more than {SECONDS} seconds")
    if done.returncode != 0:
        last = (PEAK.sub("", done.stderr).strip().splitlines() or [f"exit code {done.returncode}"])[
            -1
        ]
        if last.startswith("AttributeError") and "'examples'" in last:
            return SmokeTest(skipped="the model has no examples")
        return SmokeTest(failure=last)
    peak = PEAK.search(done.stderr)
    memory = round(int(peak[1]) * 1024 / 1e6) if peak else 0
    try:
        return SmokeTest(json.loads(done.stdout), memory)
    except ValueError:
        return SmokeTest(memory=memory, skipped="the model prints more than its prediction")


def there(ask: Ask, base: str, key: str = "") -> SmokeTest:
    """Ask a service to predict the examples in its own OpenAPI document.

    `key` is what the service asks its callers for, where it does.
    """
    answer = ask(f"{base}/openapi.json", None, key)
    example = _example(_json(answer)) if answer is not None and answer.ok else None
    if example is not None:
        answer = ask(f"{base}/predict", example, key)
    if answer is None:
        return SmokeTest(failure="it does not answer")
    if answer.status_code in (401, 403):
        return SmokeTest(skipped="it requires an API key")
    if example is None:
        return SmokeTest(skipped="its OpenAPI document has no examples")
    if not answer.ok:
        return SmokeTest(failure=f"it answers {answer.status_code}")
    said = _json(answer)
    if isinstance(said, list):  # of a model whose answers go out bare
        return SmokeTest(said)
    if not (isinstance(said, dict) and "predictions" in said):
        return SmokeTest(failure="its answer is not a prediction")
    return SmokeTest(said["predictions"])


def alike(one: Any, other: Any) -> bool:
    """Tell whether two predictions agree, up to the rounding of another processor."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-6)
    return bool(one == other)


def _json(answer: requests.Response) -> Any:
    """Parse an answer; return None if it is not JSON."""
    try:
        return answer.json()
    except ValueError:
        return None


def _example(document: Any) -> Any:
    """Find the example request in the service's OpenAPI document."""
    path = ("paths", "/predict", "post", "requestBody", "content", "application/json", "example")
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document
