"""From a file to a service, over public tables: python3 dev.py bench from_data --python PYTHON.

`--python` is an interpreter with all that a generated project needs. Projects are rendered without Poetry,
so that each takes seconds; `--poetry` makes them with `poetry ml new --data` instead.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tables
from tables import TABLES, Table

REPOSITORY = Path(__file__).resolve().parents[2]
TEMPLATES = REPOSITORY / "templates"
INDEPENDENT = Path(__file__).with_name("independent.py")
PACKAGE = "example_model"
LARGE = 1_000  # rows from which scores are compared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--poetry", action="store_true")
    parser.add_argument("--work", type=Path, default=Path("/tmp/from_data"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    packages = tables.fetch(options.work, options.python)
    found = []
    for table in TABLES:
        if not options.names or table.name in options.names:
            found.append(measure(table, packages, options))
            print(json.dumps(found[-1]), flush=True)
    print("\n".join(report(found)))


def measure(table: Table, packages: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Take one table from its file to a service, and measure that."""
    path = tables.write(table, packages, options.work / "files", options.python)
    root = options.work / "projects" / table.name
    shutil.rmtree(root, ignore_errors=True)
    start = time.monotonic()
    make = with_poetry if options.poetry else without_poetry
    done, python, package = make(table, path, root, options.python)
    result = {
        "table": table.name,
        "kind": table.kind,
        "seconds": round(time.monotonic() - start, 1),
    }
    if done.returncode:
        return result | {"failed": (done.stdout + done.stderr).strip().splitlines()[-1:]}
    # The scores of small tables are chance.
    seeds = options.seeds if path.read_bytes().count(b"\n") > LARGE else 0
    words = [str(INDEPENDENT), package, str(root / "data/raw" / path.name), str(seeds)]
    checked = run([python, "-W", "ignore", *words], root)
    if checked.returncode:
        return result | {"failed": checked.stderr.strip().splitlines()[-1:]}
    return result | json.loads(checked.stdout.strip().splitlines()[-1])


def without_poetry(table: Table, path: Path, root: Path, python: str) -> tuple[Any, str, str]:
    """Render the templates into a folder, and run the project's own verb there."""
    ignored = shutil.ignore_patterns(
        "__pycache__", "artifacts", "reports", "penguins.csv", ".*_cache"
    )
    shutil.copytree(TEMPLATES / "project", root, ignore=ignored)
    for name in ("data.py", "models/schema.py"):
        (root / "src" / PACKAGE / name).unlink()
    shutil.copytree(TEMPLATES / "data", root, ignore=ignored, dirs_exist_ok=True)
    shutil.copy(path, root / "data/raw" / path.name)
    verb = [
        "-m",
        PACKAGE,
        "schema",
        f"data/raw/{path.name}",
        "--target",
        table.target,
        *table.words,
    ]
    return run([python, "-W", "ignore", *verb, "--train"], root), python, PACKAGE


def with_poetry(table: Table, path: Path, root: Path, python: str) -> tuple[Any, str, str]:
    """Make a project as a user does."""
    root.parent.mkdir(parents=True, exist_ok=True)
    words = ["ml", "new", root.name, "--data", str(path), "--target", table.target, *table.words]
    done = run([sys.executable, "-m", "poetry", *words], root.parent)
    if done.returncode:
        return done, python, PACKAGE
    own = run([sys.executable, "-m", "poetry", "env", "info", "--executable"], root)
    return done, own.stdout.strip(), next(p.name for p in (root / "src").iterdir())


def run(command: list[str], cwd: Path) -> Any:
    env = {
        **os.environ,
        "PYTHONPATH": "src",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def report(found: list[dict[str, Any]]) -> Iterator[str]:
    """The results as Markdown."""
    yield "| Table | Kind | Rows | Goes through | Answers equal | Estimator | Score | Reference | Seconds |"
    yield "|---|---|--:|---|---|---|--:|--:|--:|"
    for one in found:
        if "failed" in one:
            yield f"| {one['table']} | {one['kind']} | | no: {' '.join(one['failed'])[:80]} | | | | | |"
            continue
        scores = (
            (f"{one['ours']:.4f}", f"{one['reference']:.4f}") if one["rows"] >= LARGE else ("", "")
        )
        equal = f"yes ({one['worst']:.0e})" if one["equal"] else f"no ({one['worst']:.0e})"
        yield (
            f"| {one['table']} | {one['kind']} | {one['rows']:,} | yes | {equal} | {one['estimator']} "
            f"| {scores[0]} | {scores[1]} | {one['seconds']} |"
        )
    whole = [one for one in found if one.get("equal")]
    behind = [one["reference"] - one["ours"] for one in whole if one["rows"] >= LARGE]
    yield f"\n{len(whole)} of {len(found)} tables go from the file to equal answers without an edit."
    if behind:
        yield (
            f"On the {len(behind)} tables of {LARGE:,} rows and more, the median is "
            f"{statistics.median(behind):+.4f} behind the reference, the worst {max(behind):+.4f}."
        )


if __name__ == "__main__":
    main()
