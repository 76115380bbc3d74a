"""The same rows in every form that the service takes, over REST and over gRPC.

    python3 dev.py bench wire [--rounds N] [--seconds N] [--python PYTHON --project FOLDER]

PYTHON is the interpreter of a project's environment that has what `poetry ml add grpc` and `add parquet`
install, and FOLDER the project, trained; without them one is made. It needs Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from serving import Service, service

LOAD = Path(__file__).resolve().parent / "wire_load.py"
MANY = ("predict-json", "v2-json", "v2-binary", "grpc", "arrow", "parquet")
SINGLE = ("predict-json", "v2-json", "v2-binary", "grpc")
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print a table for many rows a request, and one for single rows and several clients."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--python", type=Path)
    parser.add_argument("--project", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project, python = options.project, options.python
        if project is None or python is None:
            project, python = made(Path(folder))
        toml = tomllib.loads((project / "pyproject.toml").read_text())
        package, name = toml["tool"]["poetry-ml-plugin"]["package"], toml["project"]["name"]
        command = [python, "-m", package, "serve", "--port", "0", "--grpc-port", "0"]
        limits = ("--workers", "1", "--set", "log=off", "--set", "max_body_bytes=10000000")
        env = {"PYTHONPATH": str(project / "src")}
        alone = subprocess.check_output(
            [python, LOAD, "model", package, "1000"],
            cwd=project,
            env={**os.environ, **env},
            text=True,
        )
        with service([*command, *limits], project, env) as running:
            print("1,000 rows a request, 1 client, 1 process; CPU of the service\n")
            print(
                "| Form | requests/s | rows/s | CPU ms a request | rows a CPU second | of /v2 in JSON |"
            )
            print("|---|--:|--:|--:|--:|--:|")
            found = rounds(running, python, name, MANY, 1, 1000, options)
            base = found["v2-json"]["cpu"]
            for form, cell in found.items():
                cpu = cell["cpu"]
                print(
                    f"| {form} | {cell['rate']:,.0f} | {cell['rate'] * 1000:,.0f} | {cpu:.2f} "
                    f"| {1e6 / cpu:,.0f} | {base / cpu:.2f} |"
                )
            print(
                f"| the model alone, on columns | | | {float(alone):.2f} | {1e6 / float(alone):,.0f} | |"
            )
            print("\n1 row a request, 1 process\n")
            print("| Form | Clients | requests/s | p50 ms | p99 ms | CPU ms a request |")
            print("|---|--:|--:|--:|--:|--:|")
            for clients in (1, 8, 64):
                for form, cell in rounds(
                    running, python, name, SINGLE, clients, 1, options
                ).items():
                    print(
                        f"| {form} | {clients} | {cell['rate']:,.0f} | {cell['p50']:.2f} "
                        f"| {cell['p99']:.2f} | {cell['cpu']:.3f} |"
                    )


def made(folder: Path) -> tuple[Path, Path]:
    """A new project with gRPC and Arrow, and its interpreter."""
    poetry = [sys.executable, "-m", "poetry"]
    root = folder / "churn"
    subprocess.run([*poetry, "ml", "new", str(root)], check=True, stdout=subprocess.DEVNULL)
    for use in ("grpc", "parquet"):
        subprocess.run([*poetry, "ml", "add", use], cwd=root, check=True, stdout=subprocess.DEVNULL)
    ask = [*poetry, "env", "info", "--executable"]
    return root, Path(subprocess.check_output(ask, cwd=root, text=True).strip())


def rounds(
    running: Service,
    python: Path,
    name: str,
    forms: tuple[str, ...],
    clients: int,
    rows: int,
    options: argparse.Namespace,
) -> dict[str, dict[str, float]]:
    """The medians of each form, measured one after the other in each round."""
    cells: dict[str, list[dict[str, float]]] = {form: [] for form in forms}
    for _ in range(options.rounds):
        for form in forms:
            cells[form].append(cell(running, python, name, form, clients, rows, options.seconds))
    return {
        form: {key: statistics.median(each[key] for each in made) for key in made[0]}
        for form, made in cells.items()
    }


def cell(
    running: Service, python: Path, name: str, form: str, clients: int, rows: int, seconds: float
) -> dict[str, float]:
    """What one load saw, and the CPU that its requests cost the service, in milliseconds each."""
    command = [python, LOAD, form, running.url, running.grpc, name, clients, rows, seconds]
    before = cpu(running)
    said = subprocess.check_output([str(word) for word in command], text=True)
    found: dict[str, float] = json.loads(said)
    return {**found, "cpu": (cpu(running) - before) * 1000 / found.pop("all")}


def cpu(running: Service) -> float:
    """Seconds of the processes that serve."""
    used = 0
    for pid in running.workers():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used += int(fields[11]) + int(fields[12])
    return used / TICKS


if __name__ == "__main__":
    main()
