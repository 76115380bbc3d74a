#!/usr/bin/env python3
"""Develop the plugin: `dev.py demo` shows the main job on real data, `dev.py test` runs every
check, `dev.py bench NAME` measures.

It needs git, and a Python that pyproject.toml allows. It makes what else it needs below .dev/: a virtual
environment with Poetry and this plugin, and Poetry's folders, away from those of the user.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
BIN = "Scripts" if os.name == "nt" else "bin"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
PROCESSES = "3"  # of pytest, where there are two cores: tests often wait
ROWS = '[{"island": "Dream", "bill_length_mm": 49.5, "body_mass_g": 3800, "sex": null}]'


def main() -> int:
    """Run one command, and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("command", choices=["demo", "test", "bench"])
    parser.add_argument("--python", default=sys.executable, help="the interpreter to use")
    parser.add_argument("--poetry", default="", help="the version of Poetry to use (the newest)")
    parser.add_argument(
        "--with-browser",
        action="store_true",
        help="test: install chromium with apt-get where there is no browser, without asking",
    )
    options, rest = parser.parse_known_args()
    home = prepare(options.python, options.poetry)
    env = environment(home)
    if options.command == "demo":
        return demo(home, env)
    if options.command == "bench":
        return bench(home, env, rest)
    provide_browser(options.with_browser)
    return test(home, env, rest)


def prepare(python: str, poetry: str) -> Path:
    """A folder with a virtual environment that holds Poetry, the plugin and the tools of its tests."""
    version = output([python, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"])
    refuse_older(python, version)
    home = HERE / ".dev" / f"python-{version}-poetry-{poetry or 'newest'}"
    stamp = home / "stamp"
    wanted = hashlib.sha256((HERE / "pyproject.toml").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return home
    with timed(f"Prepare {home.relative_to(HERE)}"):
        shutil.rmtree(home / "venv", ignore_errors=True)  # not the caches beside it
        run([python, "-m", "venv", str(home / "venv")])
        pip = [str(home / "venv" / BIN / "python"), "-m", "pip", "install", "-qq"]
        run([*pip, "--upgrade", "pip>=25.1"], cwd=HERE)
        wish = f"poetry=={poetry}" if poetry else "poetry"
        run([*pip, "--upgrade", wish, "--editable", ".", "--group", "dev"], cwd=HERE)
    stamp.write_text(wanted)
    return home


def refuse_older(python: str, version: str) -> None:
    """Exit where an interpreter is older than pyproject.toml allows."""
    # Read without tomllib, which the interpreters to be refused do not have.
    text = (HERE / "pyproject.toml").read_text(encoding="utf-8")
    floor = re.search(r'^requires-python = ">=([\d.]+)', text, re.MULTILINE)
    assert floor is not None, "pyproject.toml has no requires-python"
    if numbers(version) < numbers(floor[1]):
        raise SystemExit(
            f"{python} is Python {version}, and this project requires {floor[1]} or newer: "
            "run dev.py with a newer one, or name one with --python."
        )


def numbers(version: str) -> list[int]:
    """Split a version like "3.11" at its dots, to be compared."""
    return [int(number) for number in version.split(".")]


def environment(home: Path) -> dict[str, str]:
    """Variables that keep Poetry to `home`, and that find packages where pip finds them."""
    foreign = ("POETRY_", "UV_", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")
    env = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    for name in ("CONFIG", "CACHE", "DATA"):
        env[f"POETRY_{name}_DIR"] = str(home / "poetry" / name.lower())
    env["UV_CACHE_DIR"] = str(home / "uv")  # where the virtualenvs are: it links files
    commands = home / "venv" / BIN
    env["PATH"] = os.pathsep.join([str(commands), env.get("PATH", os.defpath)])
    # Not every index has the JSON release pages that Poetry reads by itself; all have the simple one.
    ask = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
    index = os.environ.get("PIP_INDEX_URL") or output([str(commands / "python"), "-c", ask])
    env["POETRY_PYPI_MIRROR_URL"] = index
    return env


def test(home: Path, env: dict[str, str], rest: list[str]) -> int:
    """Run every check, the rest of the command line going to pytest."""
    checks = [
        ["ruff", "check", ".", "templates/project"],
        ["ruff", "format", "--check", ".", "templates/project"],
        ["mypy"],
        ["pytest", "--cov", "-n", PROCESSES, "--dist", "loadfile", "--no-loadscope-reorder", *rest],
    ]
    failed = []
    for name, *arguments in checks:
        command = [str(home / "venv" / BIN / "python"), "-m", name, *arguments]
        print(f"\n=== {name if name == 'pytest' else ' '.join([name, *arguments])}", flush=True)
        if subprocess.run(command, cwd=HERE, env=env, check=False).returncode != 0:
            failed.append(name)
    # pytest comes last, and no more numbers follow: its closing line has the counts that CI reads.
    print(f"Failed: {', '.join(failed)}" if failed else "All checks passed.", flush=True)
    return 1 if failed else 0


def provide_browser(told: bool) -> None:
    """Install a browser for the tests of the page if told to, or if somebody here says yes.

    Without one those tests are skipped, and say so.
    """
    if any(map(shutil.which, BROWSERS)):
        return
    hint = "Install chromium to run them."
    if shutil.which("apt-get") and os.geteuid() == 0:
        hint = "Add --with-browser to install chromium and run them."
        if told or agreed("There is no browser. Install chromium with apt-get?"):
            with timed("Install chromium"):
                for words in (["update", "-qq"], ["install", "-qq", "-y", "chromium"]):
                    subprocess.run(["apt-get", *words], stdout=subprocess.DEVNULL, check=False)
            hint = "apt-get could not install chromium."
    if not any(map(shutil.which, BROWSERS)):
        print(f"There is no browser: the tests of the page will be skipped. {hint}", flush=True)


def agreed(question: str) -> bool:
    """Ask on a terminal. Where there is none, nobody agrees."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def bench(home: Path, env: dict[str, str], rest: list[str]) -> int:
    """Run one of benchmarks/, named by the first word; the others are its own."""
    if not rest:
        raise SystemExit("Name a benchmark: see benchmarks/README.md")
    script = HERE / "benchmarks" / rest[0]  # a folder, or a file
    script = script if script.is_dir() else script.with_suffix(".py")
    command = [str(home / "venv" / BIN / "python"), str(script), *rest[1:]]
    return subprocess.run(command, env=env, check=False).returncode


def demo(home: Path, env: dict[str, str]) -> int:
    """The main job on real data, from nothing to a prediction over HTTP that equals Python's."""
    folder = Path(tempfile.mkdtemp(prefix="poetry-ml-demo-"))
    project = folder / "churn"
    poetry = [str(home / "venv" / BIN / "poetry")]
    steps = {
        "poetry ml new churn": [*poetry, "ml", "new", str(project)],
        "poetry ml train": [*poetry, "ml", "train"],
        "poetry ml evaluate": [*poetry, "ml", "evaluate"],
        f"poetry ml predict '{ROWS}'": [*poetry, "ml", "predict", ROWS],
        "poetry build": [*poetry, "build"],
    }
    for title, command in steps.items():
        with timed(title):
            run(command, cwd=project if project.exists() else folder, env=env)
    python = folder / "clean" / BIN / "python"
    with timed("Install the wheel in a clean virtual environment"):
        (wheel,) = (project / "dist").glob("*.whl")
        run([str(home / "venv" / BIN / "python"), "-m", "venv", str(folder / "clean")])
        run([str(python), "-m", "pip", "install", "--quiet", str(wheel)])
    with timed("Predict over HTTP what Python predicts"):
        compare(python, folder)
    print(f"\nThe project is in {project}")
    return 0


def compare(python: Path, folder: Path) -> None:
    """Serve the installed wheel, and hold its answer against the one of its Python."""
    ask = (
        "import msgspec; from churn.models.model import Model; from churn.models.schema import Row;"
        f"rows = msgspec.json.decode('{ROWS}', type=list[Row]);"
        "print(msgspec.json.encode(Model().predict(rows)).decode())"
    )
    expected = json.loads(output([str(python), "-c", ask], cwd=folder))
    serve = [str(python), "-m", "churn", "serve", "--port", "0"]
    with subprocess.Popen(serve, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        said = server.stdout.readline()
        found = re.search(r"http://\S+:\d+", said)
        if not found:
            raise SystemExit(f"The server did not start: {said}")
        try:
            request = urllib.request.Request(
                f"{found[0]}/predict",
                data=f'{{"data": {ROWS}}}'.encode(),
                headers={"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=10) as response:
                answer = json.load(response)["predictions"]
        finally:
            server.terminate()
    print(f"Python: {expected}\nHTTP:   {answer}")
    ended_well = server.returncode == 0 or os.name == "nt"  # where it is ended, not asked to end
    if answer != expected or not ended_well:
        raise SystemExit("They differ, or the server did not stop well.")


@contextmanager
def timed(title: str) -> Iterator[None]:
    """Print what is done, and how long it took."""
    print(f"\n=== {title}", flush=True)
    start = time.monotonic()
    yield
    print(f"--- {time.monotonic() - start:.1f} s", flush=True)


def run(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    """Run a command that must succeed."""
    done = subprocess.run(command, cwd=cwd, env=env, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}")


def output(command: list[str], cwd: Path | None = None) -> str:
    """What a command that must succeed prints."""
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}")
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
