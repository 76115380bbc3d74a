"""HTTP serving beside other ways to serve the same scikit-learn models, in one run.

    python3 dev.py bench serving [OPTIONS]

It needs wrk (Debian and Ubuntu: apt-get install wrk), Linux, and PyPI for the environments of the
peers. A run of everything writes its section of RESULTS.md; a part of it is printed only.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import load
import material
import measure
import report
import servers
from load import Plan
from measure import Key, Results

CLIENTS = (1, 8, 64)
RESULTS = Path(__file__).resolve().parents[1] / "RESULTS.md"


def main() -> None:
    """Prepare, tune, measure, report."""
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped, too
    if not sys.platform.startswith("linux"):
        raise SystemExit("This benchmark reads /proc: run it on Linux.")
    chosen = servers.choose(options.servers)
    made = material.prepare(options.folder, chosen)
    if options.prepare_only:
        return
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    plan = Plan(options.seconds, options.patience)
    keys = [(server, model) for model in options.models for server in chosen]
    results = start(keys, made)
    able = [key for key in keys if key not in results.failures]
    if not options.no_tuning:
        print("Tune", flush=True)
        measure.tune(able, made, results, options.keep_tuning)
    measure.rounds(able, options.clients, options.rounds, plan, made, results)
    run = report.Run(
        chosen,
        options.models,
        options.clients,
        options.rounds,
        plan,
        {**material.versions(made, chosen), "load": {"wrk": load.wrk_version()}},
        made.notes,
    )
    text = report.section(run, results)
    print(f"\n{text}", flush=True)
    if not options.no_tuning and whole(options, chosen):
        report.write(options.results, text)
        print(f"Written to {options.results}")


def start(keys: Sequence[Key], made: material.Material) -> Results:
    """Nothing measured yet: the first variant of each server, and those that cannot start."""
    return Results(
        figures={},
        variants={key: key[0].of.variants[0] for key in keys},
        failures={
            key: made.missing[key[0].of.venv] for key in keys if key[0].of.venv in made.missing
        },
    )


def whole(options: argparse.Namespace, chosen: Sequence[servers.Server]) -> bool:
    """Whether everything is measured: a part of it must not replace the table of all."""
    return (
        list(chosen) == servers.choose([])
        and tuple(options.models) == material.MODELS
        and set(CLIENTS) <= {*options.clients}
        and options.rounds >= 3
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    add = parser.add_argument
    add("--rounds", type=int, default=3, help="interleaved rounds (3)")
    add("--seconds", type=int, default=2, help="length of a cell (2)")
    add("--servers", type=words, default=[], help="families or servers, like flask,mlflow-2 (all)")
    add("--clients", type=numbers, default=CLIENTS, help="numbers of connections (1,8,64)")
    add("--models", type=words, default=material.MODELS, help="forest,logistic (both)")
    add("--prepare-only", action="store_true", help="make the environments and the models")
    add("--no-tuning", action="store_true", help="take the first settings of each server")
    add("--keep-tuning", action="store_true", help="take what the last run chose, where it did")
    add("--patience", type=float, default=30.0, help="seconds to wait for free cores (30)")
    add("--folder", type=Path, default=Path(tempfile.gettempdir()) / "bench", help="scratch")
    add("--results", type=Path, default=RESULTS, help="the file with the section (RESULTS.md)")
    options = parser.parse_args()
    if unknown := {*options.models} - {*material.MODELS}:
        parser.error(f"unknown model {', '.join(sorted(unknown))}")
    if options.rounds < 1 or options.seconds < 1 or min(options.clients) < 1:
        parser.error("rounds, seconds and clients are at least 1")
    return options


def words(text: str) -> list[str]:
    """Words with commas between them."""
    return [word.strip() for word in text.split(",") if word.strip()]


def numbers(text: str) -> tuple[int, ...]:
    """Numbers with commas between them."""
    return tuple(int(word) for word in words(text))


if __name__ == "__main__":
    main()
