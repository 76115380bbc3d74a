"""The results as a section of a Markdown file."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aims
from load import Plan
from measure import Figures, Results
from servers import Server

OPEN, CLOSE = "<!-- serving -->", "<!-- /serving -->"
TITLES = {
    "forest": "RandomForestClassifier(n_estimators=100)",
    "logistic": "LogisticRegression",
}


@dataclass(frozen=True)
class Run:
    """What was measured, and on what."""

    servers: Sequence[Server]
    models: Sequence[str]
    clients: Sequence[int]
    rounds: int
    plan: Plan
    versions: Mapping[str, Mapping[str, str]]
    notes: Mapping[str, str]


def section(run: Run, results: Results) -> str:
    """All of it, between its markers."""
    parts = [OPEN, "## Serving", _method(run)]
    for model in run.models:
        parts += [f"### {TITLES[model]}", "\n".join(_table(run, results, model))]
    failures = [
        f"- {server.of.title}, {server.workers} ({model}): {reason}"
        for (server, model), reason in results.failures.items()
    ]
    if failures:
        parts += ["Not measured:", "\n".join(failures)]
    parts += ["### Aims", _AIMS, "\n".join(aims.rows(results, run.models))]
    parts += ["### Settings", "\n".join(_settings(run, results))]
    parts += ["### Versions", "\n".join(_versions(run)), CLOSE]
    return "\n\n".join(parts) + "\n"


def write(path: Path, text: str) -> None:
    """Put the section in its place, and leave the rest of the file as it is."""
    content = path.read_text() if path.exists() else "# Results\n"
    found = re.compile(re.escape(OPEN) + ".*?" + re.escape(CLOSE) + "\n?", re.DOTALL)
    if found.search(content):
        content = found.sub(lambda _: text, content, count=1)
    else:
        content = content.rstrip("\n") + "\n\n" + text
    path.write_text(content)


_AIMS = (
    "A ratio compares with the best peer, whatever its number of processes. Of requests/s against peers the "
    "better of our two numbers of processes counts; every other aim is met only where both meet it."
)


def _method(run: Run) -> str:
    cores = os.cpu_count()
    return (
        "One row of 30 numbers in, its label and probabilities out, over HTTP with kept-alive "
        f"connections, each of which waits for its answer. Medians of {run.rounds} interleaved rounds of "
        f"{run.plan.seconds} s cells, each after a warm-up of 1 s at the same number of clients; errors "
        "are summed. Every server's answer was held against scikit-learn's first.\n\n"
        f"Machine: {cores} cores ({_processor()}), {platform.system()}, "
        f"Python {platform.python_version()}. The server and wrk (1 thread) share the cores. Before each "
        "cell the cores were otherwise idle; a cell in which they were not was repeated once, and counts "
        "as noisy if that did not help. One thread for linear algebra in each process. wrk corrects "
        "latencies for coordinated omission: a stall counts for all requests that it would have delayed.\n\n"
        "RSS is the sum over the process tree, in which shared pages count in each process; in PSS they "
        "count once. Cold start is from the start of the process to the first prediction. gunicorn's sync "
        "workers close each connection after its answer, so its clients connect anew."
    )


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _table(run: Run, results: Results, model: str) -> list[str]:
    columns = ["Server", "Processes"]
    for clients in run.clients:
        who = f"{clients} client{'s' if clients > 1 else ''}"
        columns += [f"{who}: requests/s", "p50 ms", "p99 ms"]
    columns += ["Errors", "RSS MB", "PSS MB", "Cold start s"]
    lines = [_line(columns), "|---|" + "--:|" * (len(columns) - 1)]
    for server in run.servers:
        figures = results.figures.get((server, model))
        cells = _cells(run, figures) if figures else ["-"] * (len(columns) - 2)
        lines.append(_line([server.of.title, str(server.workers), *cells]))
    noisy = sum(figures.noisy for key, figures in results.figures.items() if key[1] == model)
    return [*lines, "", f"Noisy cells: {noisy}."]


def _cells(run: Run, figures: Figures) -> list[str]:
    cells = []
    for clients in run.clients:
        load = figures.loads[clients]
        cells += [f"{load.rate:,.0f}", f"{load.p50:.2f}", f"{load.p99:.2f}"]
    errors = sum(load.errors for load in figures.loads.values())
    memory = figures.memory
    return [
        *cells,
        str(errors),
        f"{memory.rss:.0f}",
        f"{memory.pss:.0f}",
        f"{figures.cold_start:.2f}",
    ]


def _settings(run: Run, results: Results) -> list[str]:
    lines = [
        "Where a server has several settings, a pre-run at 64 clients chose the one with the most "
        "requests/s without an error, for each model and number of processes:",
        "",
        _line(["Server", "Processes", "Model", "Settings"]),
        "|---|--:|---|---|",
    ]
    for server in run.servers:
        by_settings: dict[str, list[str]] = {}
        for model in run.models:
            said = server.of.settings.format(**results.variants[server, model])
            by_settings.setdefault(said, []).append(model)
        for said, models in by_settings.items():
            lines.append(_line([server.of.title, str(server.workers), ", ".join(models), said]))
    return lines


def _versions(run: Run) -> list[str]:
    return [
        f"- {name}: "
        + ", ".join(f"{library} {number}" for library, number in versions.items())
        + (f" ({run.notes[name]})" if name in run.notes else "")
        for name, versions in run.versions.items()
    ]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
