"""A whole round with a project that was there before: its tests, `init`, train, serve, build, its tests again."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving import service
from shapes import WHOLE

POETRY = (sys.executable, "-m", "poetry", "--no-interaction")
OWN = "tests/test_own.py"


@dataclass(frozen=True)
class Round:
    """What a round came to."""

    shape: str
    before: str  # the last line of pytest, with the project's own tests
    after: str
    all: str  # with the tests that came with the model
    answer: str  # of the service, to the example in its own description
    built: tuple[str, ...]
    cpu: float  # seconds


def play(shape: str, folder: Path) -> Round:
    """Lay a project out in an empty folder, and take it through a round. Raises AssertionError."""
    start = _cpu()
    root = lay_out(folder / "apps/work", WHOLE[shape])
    shared = {
        "pyproject.toml": '[project]\nname = "company-shared"\nversion = "1"\n',
        "company_shared.py": "",
    }
    lay_out(folder / "apps/shared", shared)
    for words in (["init", "--quiet"], ["add", "--all"]):
        _run("git", *words, cwd=root)
    env = {"POETRY_VIRTUALENVS_IN_PROJECT": "true"}
    python = root / ".venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    _install(root, python, env)
    before = _pytest(python, root, OWN)
    _run(*POETRY, "ml", "init", "--yes", cwd=root, env=env)
    after = _pytest(python, root, OWN)
    everything = _pytest(python, root)
    command = [*POETRY, "ml", "serve", "--port", "0", "--workers", "1"]
    with service(command, root, env) as running:
        described = running.get("/openapi.json")["paths"]["/predict"]["post"]["requestBody"]
        example = described["content"]["application/json"]["example"]
        status, answer = running.post("/predict", json.dumps(example).encode())
        assert status == 200, answer
        assert len(answer["predictions"]) == len(example["data"])
    built: tuple[str, ...] = ()
    if shape != "no package":
        _run(*POETRY, "build", cwd=root, env=env)
        built = tuple(sorted(path.name for path in (root / "dist").iterdir()))
    answered = json.dumps(answer["predictions"][0])
    return Round(shape, before, after, everything, answered, built, _cpu() - start)


def lay_out(root: Path, files: Mapping[str, str]) -> Path:
    """Write a project's files."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content.encode())
    return root


def _install(root: Path, python: Path, env: Mapping[str, str]) -> None:
    """Install a project as those who work on it did, and a pytest where it has none."""
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile")
    toml = root / "pyproject.toml"
    wanted = ["pytest"]
    if toml.exists() and "[tool.uv]" not in toml.read_text():
        _run(*POETRY, "install", "--quiet", cwd=root, env=env)
    else:
        _run(sys.executable, "-m", "venv", "--without-pip", root / ".venv", cwd=root)
        if (root / "requirements.txt").exists():
            wanted = ["-r", "requirements.txt"]
        else:
            wanted += ["attrs>=23"] if toml.exists() else ["--editable", "."]
    _run(*pip, *wanted, cwd=root)


def _pytest(python: Path, root: Path, *words: str) -> str:
    done = _run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words, cwd=root)
    return done.splitlines()[-1].partition(" in ")[0]


def _run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Play the rounds of all shapes, or of those that are named, and print a line for each."""
    failed = []
    for shape in sys.argv[1:] or WHOLE:
        with tempfile.TemporaryDirectory(prefix="poetry-ml-round-") as folder:
            try:
                found = play(shape, Path(folder).resolve())
            except AssertionError as error:
                failed.append(shape)
                print(f"{shape}: FAILED\n{error}", flush=True)
                continue
        print(
            f"{shape}: own tests {found.before}, then {found.after}; all tests {found.all}; "
            f"{found.answer}; {len(found.built)} archives; {found.cpu:.0f} CPU s",
            flush=True,
        )
    print(f"{len(sys.argv[1:] or WHOLE) - len(failed)} went through, {len(failed)} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
