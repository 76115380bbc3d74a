"""Predictions of the model's own examples, by the local model and by a service."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests

from poetry_ml_plugin.project import closeness

if TYPE_CHECKING:
    from poetry.utils.env import Env

    from poetry_ml_plugin.project.pyproject import Project

SECONDS = 120
PAIRS, STEPS = 4, 4  # of examples, and from one to the next

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

Ask = Callable[..., requests.Response | None]


@dataclass(frozen=True)
class SmokeTest:
    """The model's examples, predicted; or why not."""

    prediction: Any = None
    memory: int = 0  # the peak, in MB; 0 where nobody can tell
    failure: str = ""
    skipped: str = ""
    rows: list[Any] = field(default_factory=list)  # that were predicted, if not the examples alone


def here(project: Project, env: Env | None) -> SmokeTest:
    """Predict the model's examples, and rows between them, as the project's command line does."""
    if env is None:
        return SmokeTest(skipped='the project is not installed here ("poetry install")')
    try:
        rows = _examples(project, env)
        rows += between(rows)
        done = _predict(project, env, rows) if rows else None
        if done is None or done.returncode != 0:  # a row in between may not be allowed
            rows, done = [], _run(project, env, "predict", "--example")
    except subprocess.TimeoutExpired:
        return SmokeTest(failure=f"it took more than {SECONDS} seconds")
    if done.returncode != 0:
        last = (PEAK.sub("", done.stderr).strip().splitlines() or [f"exit code {done.returncode}"])[
            -1
        ]
        if "no examples" in last or (last.startswith("AttributeError") and "'examples'" in last):
            return SmokeTest(skipped="the model has no examples")
        return SmokeTest(failure=last)
    peak = PEAK.search(done.stderr)
    memory = round(int(peak[1]) * 1024 / 1e6) if peak else 0
    try:
        return SmokeTest(json.loads(done.stdout), memory, rows=rows)
    except ValueError:
        return SmokeTest(memory=memory, skipped="the model prints more than its prediction")


def between(rows: list[Any]) -> list[Any]:
    """Make rows between each two that follow each other.

    Typical rows lie far from where a classifier's answer turns, and two models that were trained on other
    data give them the same one. In between they differ.
    """
    pairs = list(itertools.pairwise(rows))[:PAIRS]
    if not all(isinstance(row, dict) for row in rows):
        return []
    return [
        {
            name: _mixed(one[name], other.get(name, one[name]), step / STEPS, place)
            for place, name in enumerate(one)
        }
        for one, other in pairs
        for step in range(1, STEPS)
    ]


def there(ask: Ask, base: str, key: str = "", rows: list[Any] | None = None) -> SmokeTest:
    """Ask a service to predict these rows, or else the examples in its own OpenAPI document.

    `key` is what the service asks its callers for, where it does.
    """
    answer = ask(f"{base}/openapi.json", None, key)
    example = _example(_json(answer)) if answer is not None and answer.ok else None
    if example is not None:
        fits = rows and isinstance(example, dict) and "data" in example
        answer = ask(f"{base}/predict", {**example, "data": rows} if fits else example, key)
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


def visit(url: str, body: Any = None, key: str = "") -> requests.Response | None:
    """Ask a service on this machine, by POST if there is a body; None if it does not answer."""
    with requests.Session() as session:
        session.trust_env = False  # no proxy is between
        try:
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            method = "GET" if body is None else "POST"
            return session.request(method, url, json=body, headers=headers, timeout=(10, 60))
        except requests.RequestException:
            return None


def alike(one: Any, other: Any) -> bool:
    """Tell whether two predictions agree, up to the rounding of another processor."""
    return closeness.alike(one, other, relative=1e-4, absolute=1e-6)


def _examples(project: Project, env: Env) -> list[Any]:
    """Ask the project for its example rows; none where it has no such command, or none."""
    done = _run(project, env, "example")
    try:
        found = json.loads(done.stdout)["data"]
    except (ValueError, KeyError, TypeError):
        return []
    return found if done.returncode == 0 and isinstance(found, list) else []


def _predict(project: Project, env: Env, rows: list[Any]) -> subprocess.CompletedProcess[str]:
    return _run(project, env, "predict", "-", given=json.dumps(rows))


def _run(
    project: Project, env: Env, *words: str, given: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(env.python), "-c", MEASURED, project.package, *words],
        cwd=project.root,
        input=given,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def _mixed(one: Any, other: Any, part: float, place: int) -> Any:
    """Mix two values of a field: numbers by weight, all else by turns."""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [_mixed(a, b, part, place) for a, b in zip(one, other, strict=True)]
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (one, other))
    if not numbers:
        return one if (round(part * STEPS) + place) % 2 else other
    mixed = one + (other - one) * part
    return round(mixed) if isinstance(one, int) and isinstance(other, int) else round(mixed, 6)


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
