"""What the plugin costs every Poetry command, and what `poetry ml new` costs beside `poetry new`."""

from __future__ import annotations

import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

PAIRS = 40
NEW_PAIRS = 15
FULL_RUNS = 5


def main() -> None:
    """Print every figure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bare = bare_poetry(folder)
        ours = [sys.executable, "-m", "poetry"]
        print(
            f"Poetry {version('poetry')}, Python {sys.version.split()[0]}, {os.cpu_count()} cores\n"
        )
        pairs = [(cpu([*bare, "--version"]), cpu([*ours, "--version"])) for _ in range(PAIRS)]
        show("poetry --version, CPU s", "without", "with the plugin", pairs)
        pairs = [
            (
                cpu([*ours, "new", str(folder / f"a{n}")]),
                cpu([*ours, "ml", "new", str(folder / f"b{n}"), "--no-install"]),
            )
            for n in range(NEW_PAIRS)
        ]
        show("a new project, CPU s", "poetry new", "poetry ml new --no-install", pairs)
        full(ours, folder)


def bare_poetry(folder: Path) -> list[str]:
    """A Poetry of the same version, beside the same plugins but ours."""
    subprocess.run([sys.executable, "-m", "venv", str(folder / "bare")], check=True)
    python = str(folder / "bare" / ("Scripts" if os.name == "nt" else "bin") / "python")
    wanted = [f"{name}=={version(name)}" for name in ("poetry", "poetry-plugin-pypi-mirror")]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    subprocess.run([python, "-m", "poetry", "--version"], check=True, stdout=subprocess.DEVNULL)
    return [python, "-m", "poetry"]


def cpu(command: list[str]) -> float:
    """The CPU seconds of a command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def show(title: str, one: str, other: str, pairs: list[tuple[float, float]]) -> None:
    """Medians, and the median of the ratios of the pairs."""
    ratio = statistics.median(b / a for a, b in pairs)
    first, second = (statistics.median(values) for values in zip(*pairs, strict=True))
    print(f"{title} ({len(pairs)} pairs): {one} {first:.3f}, {other} {second:.3f}, x {ratio:.3f}")


def full(ours: list[str], folder: Path) -> None:
    """`poetry ml new` with a warm cache, whole and by step, and the commands in what it made."""
    new = [*ours, "ml", "new"]
    subprocess.run([*new, str(folder / "warm")], check=True, stdout=subprocess.DEVNULL)
    for options in ([], ["--no-uv"]):
        print(f"\n{' '.join(['poetry ml new', *options])}, wall s ({FULL_RUNS} runs)")
        spent = []
        for n in range(FULL_RUNS):
            command = [*new, str(folder / f"c{n}{''.join(options)}"), *options]
            seconds, said = timed(command, folder)
            spent.append(seconds)
            steps = re.findall(r"✓ (.+?)\s{2,}([\d.]+) s", said)
            print(f"  {seconds:.1f}: " + ", ".join(f"{title} {took}" for title, took in steps))
        print(f"  median {statistics.median(spent):.1f}")
    print(f"\nThe commands in a project, wall s (median of {FULL_RUNS})")
    for words in (["ml", "predict", "--example"], ["ml", "train"], ["ml", "check"], ["build"]):
        runs = [timed([*ours, *words], folder / "warm")[0] for _ in range(FULL_RUNS)]
        print(f"  poetry {' '.join(words)}: {statistics.median(runs):.2f}")


def timed(command: list[str], folder: Path) -> tuple[float, str]:
    """The seconds that a command takes, and what it prints."""
    start = time.monotonic()
    said = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    return time.monotonic() - start, said


if __name__ == "__main__":
    main()
