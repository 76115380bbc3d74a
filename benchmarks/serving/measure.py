"""Tune every server, then measure them in interleaved rounds."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from load import Cell, Load, Plan, cell, settle, wrk
from material import Material
from process import Memory, ServerError, running
from servers import Server, Variant

TUNED_FOR = 64  # clients
TUNING_SECONDS = 2
TUNING_WARM_UP = 2

Key = tuple[Server, str]  # a server and a model


@dataclass(frozen=True)
class Visit:
    """One start of one server, and the cells that were measured on it."""

    cells: tuple[Cell, ...]
    memory: Memory
    cold_start: float


@dataclass(frozen=True)
class Figures:
    """The medians of all rounds."""

    loads: dict[int, Load]  # by number of clients
    memory: Memory
    cold_start: float
    noisy: int  # cells that were noisy even when repeated


@dataclass(frozen=True)
class Results:
    """Everything a report is made of."""

    figures: dict[Key, Figures]
    variants: dict[Key, Variant]
    failures: dict[Key, str]


def tune(keys: Iterable[Key], material: Material, results: Results, keep: bool) -> None:
    """Choose a variant of each server that has several, or keep what an earlier run chose."""
    path = material.folder / "tuned.json"
    chosen: dict[str, Variant] = json.loads(path.read_text()) if path.exists() else {}
    for server, model in keys:
        name = f"{server.name} {model}"
        if len(server.of.variants) > 1:
            if not (keep and chosen.get(name) in server.of.variants):
                chosen[name] = fastest(server, model, material)
                path.write_text(json.dumps(chosen, indent=1))
            results.variants[server, model] = chosen[name]


def fastest(server: Server, model: str, material: Material) -> Variant:
    """The variant with the most requests/s; the first one if none works without an error."""
    tried: dict[float, Variant] = {0: server.of.variants[0]}
    for variant in server.of.variants:
        said = f"  {server.name} {model} {' '.join(f'{k}={v}' for k, v in variant.items())}"
        try:
            with running(server, variant, model, material) as started:
                settle(started)
                wrk(started.request, TUNED_FOR, TUNING_WARM_UP)
                load = wrk(started.request, TUNED_FOR, TUNING_SECONDS)
        except ServerError as error:
            print(f"{said}: {error}", flush=True)
            continue
        print(f"{said}: {_brief(load)}", flush=True)
        if not load.errors:
            tried[load.rate] = variant
    return tried[max(tried)]


def rounds(
    keys: Sequence[Key],
    clients: Sequence[int],
    count: int,
    plan: Plan,
    material: Material,
    results: Results,
) -> None:
    """Visit every server in every round, so that a slow minute of the machine meets all of them."""
    visits: dict[Key, list[Visit]] = {key: [] for key in keys}
    for number in range(count):
        print(f"Round {number + 1} of {count}", flush=True)
        for key in keys:
            if key not in results.failures:
                try:
                    visits[key].append(again(key, clients, plan, material, results))
                except ServerError as error:
                    results.failures[key] = str(error)
    for key, made in visits.items():
        if made and key not in results.failures:
            results.figures[key] = medians(made)


def again(
    key: Key, clients: Sequence[int], plan: Plan, material: Material, results: Results
) -> Visit:
    """A visit, tried twice. Raises ServerError."""
    try:
        return visit(key, clients, plan, material, results)
    except ServerError as error:
        print(f"  {key[0].name} {key[1]}: {error}; once more", flush=True)
        return visit(key, clients, plan, material, results)


def visit(
    key: Key, clients: Sequence[int], plan: Plan, material: Material, results: Results
) -> Visit:
    """Start a server, measure it, stop it. Raises ServerError."""
    server, model = key
    with running(server, results.variants[key], model, material) as started:
        settle(started)
        print(f"  {server.name} {model}: started in {started.cold_start:.2f} s", flush=True)
        cells = []
        for number in clients:
            cells.append(cell(started, number, plan))
            print(f"    {number} clients: {_brief(cells[-1].load)}", flush=True)
        return Visit(tuple(cells), started.memory(), started.cold_start)


def medians(visits: Sequence[Visit]) -> Figures:
    """One set of figures from several visits; errors are added up."""
    by_clients: dict[int, list[Load]] = {}
    for made in visits:
        for one in made.cells:
            by_clients.setdefault(one.clients, []).append(one.load)
    loads = {
        clients: Load(
            statistics.median(load.rate for load in loads),
            statistics.median(load.p50 for load in loads),
            statistics.median(load.p99 for load in loads),
            sum(load.errors for load in loads),
        )
        for clients, loads in by_clients.items()
    }
    memory = Memory(
        statistics.median(made.memory.rss for made in visits),
        statistics.median(made.memory.pss for made in visits),
        statistics.median(made.memory.largest for made in visits),
    )
    noisy = sum(one.noisy for made in visits for one in made.cells)
    return Figures(loads, memory, statistics.median(v.cold_start for v in visits), noisy)


def _brief(load: Load) -> str:
    errors = f", {load.errors} ERRORS" if load.errors else ""
    return f"{load.rate:,.0f}/s, p50 {load.p50:.2f}, p99 {load.p99:.2f} ms{errors}"
