"""What it costs to build a package with a model of 500 MB: Poetry with the plugin, Poetry, hatchling, uv_build."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

SIZE = int(os.environ.get("BENCH_BUILD_BYTES", 500_000_000))
BLOCK = 1 << 20
RESULTS = Path(__file__).with_name("RESULTS.md")
MARKED = re.compile(r"(<!-- build -->\n).*(<!-- /build -->\n)", re.DOTALL)
HOOK = "import sys, uv_build; getattr(uv_build, 'build_' + sys.argv[1])('dist')"

PROJECT = """\
[project]
name = "large"
version = "1.0"
requires-python = ">=3.10"

[tool.poetry]
packages = [{{ include = "large", from = "src" }}]

[tool.poetry-ml-plugin]
package = "large"

[build-system]
requires = ["{requirement}"]
build-backend = "{backend}"
"""
BACKENDS = {
    "poetry": ("poetry-core", "poetry.core.masonry.api"),
    "hatchling": ("hatchling", "hatchling.build"),
    "uv_build": ("uv_build", "uv_build"),
}


def main() -> None:
    """Measure each builder on each content, side by side, and note the table in RESULTS.md."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bare = bare_python(folder)
        builders = commands(bare)
        cells: dict[str, list[str]] = {title: [] for title in builders}
        for write in (noise, text):
            model = folder / write.__name__
            with model.open("wb") as file:
                file.writelines(write(SIZE))
            for kind in ("wheel", "sdist"):
                for title, (backend, command) in builders.items():
                    root = project(folder / "large", backend, model)
                    seconds, peak = measured(command(kind), root)
                    (built,) = (root / "dist").iterdir()
                    cell = f"{seconds:.1f} / {peak:.0f} / {built.stat().st_size / 1e6:.0f}"
                    print(f"{title}, {write.__name__}, {kind}: {cell}", flush=True)
                    cells[title].append(cell)
        note(table(cells, bare))


def bare_python(folder: Path) -> Path:
    """An environment with the same Poetry but no plugin, and the other builders."""
    subprocess.run([sys.executable, "-m", "venv", str(folder / "bare")], check=True)
    python = folder / "bare" / ("Scripts" if os.name == "nt" else "bin") / "python"
    wanted = [f"poetry=={version('poetry')}", "hatchling", "uv_build"]
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *wanted], check=True)
    return python


def commands(bare: Path) -> dict[str, tuple[str, Callable[[str], list[str]]]]:
    """What is run for a wheel or an sdist, and the backend that the project names."""
    ours = [sys.executable, "-m", "poetry", "build", "--format"]
    stock = [str(bare), "-m", "poetry", "build", "--format"]
    return {
        "poetry with the plugin": ("poetry", lambda kind: [*ours, kind]),
        "poetry": ("poetry", lambda kind: [*stock, kind]),
        "hatchling": (
            "hatchling",
            lambda kind: [str(bare), "-m", "hatchling", "build", "-t", kind],
        ),
        "uv_build": ("uv_build", lambda kind: [str(bare), "-c", HOOK, kind]),
    }


def noise(size: int) -> Iterator[bytes]:
    """Bytes that do not compress."""
    source = random.Random(1)
    for start in range(0, size, BLOCK):
        yield source.randbytes(min(BLOCK, size - start))


def text(size: int) -> Iterator[bytes]:
    """Lines of numbers and words, which repeat far beyond the window of a compressor only."""
    source = random.Random(2)
    lines = (
        f"{source.random():.6f} {source.randrange(1000)} word{n % 97}\n" for n in range(60_000)
    )
    block = "".join(lines).encode()[:BLOCK]
    for start in range(0, size, len(block)):
        yield block[: size - start]


def project(root: Path, backend: str, model: Path) -> Path:
    """A project around a model, trained as far as its manifest can say."""
    artifacts = root / "src/large/artifacts"
    artifacts.mkdir(parents=True, exist_ok=True)
    requirement, module = BACKENDS[backend]
    (root / "pyproject.toml").write_text(
        PROJECT.format(requirement=requirement, backend=module), encoding="utf-8"
    )
    (root / "src/large/__init__.py").write_text("", encoding="utf-8")
    target = artifacts / "model.bin"
    target.unlink(missing_ok=True)
    os.link(model, target)
    with model.open("rb") as file:
        sha256 = hashlib.sha256()
        while piece := file.read(1 << 20):
            sha256.update(piece)
    entry = {"sha256": sha256.hexdigest(), "size": model.stat().st_size}
    manifest = json.dumps({"artifacts": {"model.bin": entry}})
    (artifacts / "manifest.json").write_text(manifest, encoding="utf-8")
    (root / "dist").mkdir(exist_ok=True)
    for built in (root / "dist").iterdir():
        built.unlink()
    return root


def measured(command: list[str], cwd: Path) -> tuple[float, float]:
    """The CPU seconds, and the peak in MB, of a command and its children."""
    path = os.pathsep.join([str(Path(command[0]).parent), os.environ["PATH"]])  # uv_build's program
    env = {**os.environ, "POETRY_VIRTUALENVS_CREATE": "false", "PATH": path}
    process = subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1000


def table(cells: dict[str, list[str]], bare: Path) -> str:
    """The section of RESULTS.md."""
    ask = "from importlib.metadata import version as v; print(v('hatchling'), v('uv_build'))"
    done = subprocess.run([str(bare), "-c", ask], check=True, capture_output=True, text=True)
    hatchling, uv_build = done.stdout.split()
    lines = [
        "## Building",
        "",
        f"Poetry {version('poetry')}, hatchling {hatchling}, uv_build {uv_build}, "
        f"Python {platform.python_version()}. `python3 dev.py bench build`: a model of "
        f"{SIZE / 1e6:.0f} MB, one run. CPU seconds / peak MB of memory / MB of the archive.",
        "",
        "| | random bytes, wheel | random bytes, sdist | text, wheel | text, sdist |",
        "|---|---|---|---|---|",
        *(f"| {title} | {' | '.join(row)} |" for title, row in cells.items()),
        "",
        "With the plugin the figures hold what the guard does besides: it hashes the model before the "
        "build, and reads the archive to its end after it.",
    ]
    return "\n".join(lines) + "\n"


def note(section: str) -> None:
    """Put the section between its markers in RESULTS.md."""
    content = RESULTS.read_text(encoding="utf-8")
    if not MARKED.search(content):
        content += "\n<!-- build -->\n<!-- /build -->\n"
    content = MARKED.sub(lambda found: f"{found[1]}{section}{found[2]}", content)
    RESULTS.write_text(content, encoding="utf-8")
    print(section)


if __name__ == "__main__":
    main()
