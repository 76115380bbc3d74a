"""Batch scoring beside doing it by hand: python3 dev.py bench scoring --project FOLDER --python PYTHON.

FOLDER is a trained project of the sample (`poetry ml new churn`), PYTHON an environment with its dependencies, its
training group, and pyarrow; with polars, mlflow, ray or dask the rows of these are measured, too.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
BY_HAND = ("sklearn-1000", "sklearn-100000", "polars-onnx")
ENGINES = ("local-1", "local-2", "ray-2", "dask-2")


class Cost(NamedTuple):
    """What one run took: seconds, CPU seconds of all its processes, and the peak of the largest in MB."""

    seconds: float
    cpu: float
    peak: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--formats", nargs="+", default=["parquet", "csv"])
    parser.add_argument("--ways", nargs="+", default=[*ENGINES, *BY_HAND])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("/tmp/bench-scoring"))
    options = parser.parse_args()
    print(
        "| Rows | Format | Way | rows/s | rows a CPU second | peak MB |\n|--:|---|---|--:|--:|--:|"
    )
    found: dict[tuple[str, str, int], Cost] = {}
    for rows in options.rows:
        for kind in options.formats:
            table = make(options, rows, kind)
            for way in options.ways:
                costs = [measure(options, way, table) for _ in range(options.rounds)]
                if None in costs:
                    print(f"| {rows:,} | {kind} | {way} | failed, see above | | |", flush=True)
                    continue
                cost = Cost(*map(statistics.median, zip(*filter(None, costs), strict=True)))
                found[way, kind, rows] = cost
                print(
                    f"| {rows:,} | {kind} | {way} | {rows / cost.seconds:,.0f} | "
                    f"{rows / cost.cpu:,.0f} | {cost.peak:,.0f} |",
                    flush=True,
                )
    growth(found, options)


def make(options: argparse.Namespace, rows: int, kind: str) -> Path:
    """Write so many rows of the sample, drawn with a seed."""
    options.work.mkdir(parents=True, exist_ok=True)
    path: Path = options.work / f"{rows}.{kind}"
    if not path.exists():
        sample = options.project / "data/raw/penguins.csv"
        words = [options.python, HERE / "by_hand.py", "make", sample, path, str(rows)]
        subprocess.run(words, check=True, env=environment(options))
    return path


def measure(options: argparse.Namespace, way: str, table: Path) -> Cost | None:
    """Run one way in a process of its own, and say what that took."""
    output = options.work / "out"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    engine, _, number = way.partition("-")
    if way in ENGINES:
        words = ["-m", package(options), "predict", table, "-o", output / "all"]
        words += ["--engine", engine, "--workers", number]
    else:
        words = [HERE / "by_hand.py", way, package(options), table, output / f"all{table.suffix}"]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = subprocess.Popen(
        [options.python, *words], env=environment(options), cwd=options.project, stdout=sys.stderr
    )
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return None if process.returncode else Cost(seconds, cpu, used.ru_maxrss / 1024)


def environment(options: argparse.Namespace) -> dict[str, str]:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
    return {**os.environ, **threads, "PYTHONPATH": str(options.project / "src")}


def package(options: argparse.Namespace) -> str:
    (path,) = options.project.glob("src/*/__main__.py")
    return str(path.parent.name)


def growth(found: dict[tuple[str, str, int], Cost], options: argparse.Namespace) -> None:
    """Print by which power of the rows the CPU seconds grow, between the fewest rows and the most."""
    few, many = min(options.rows), max(options.rows)
    for (way, kind, rows), cost in found.items():
        if rows == many > few and (way, kind, few) in found:
            power = math.log(cost.cpu / found[way, kind, few].cpu) / math.log(many / few)
            print(f"{way}, {kind}: CPU seconds grow by the power {power:.2f}")


if __name__ == "__main__":
    main()
