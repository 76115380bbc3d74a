"""The aims, each held against what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from load import Load
from measure import Figures, Key, Results
from servers import KIN, LIMIT, OURS, Server

MANY = 64  # clients
ONE = 1


@dataclass(frozen=True)
class Aim:
    """A figure that is wanted, and a way to compute it for one of our servers.

    Ratios are such that more is better; other figures are to stay below.
    """

    text: str
    family: str
    bound: float
    measure: Callable[[Results, Server, str], float | None]
    below: bool = False
    unit: str = ""
    either: bool = False  # one number of our processes that meets it is enough

    def met(self, values: Iterable[float]) -> bool:
        """Whether the values will do."""
        good = [v <= self.bound if self.below else v >= self.bound for v in values]
        return any(good) if self.either else all(good)


def rows(results: Results, models: Iterable[str]) -> list[str]:
    """The aims as lines of a table, a column for each number of our processes."""
    lines = [
        "| Aim | Model | 1 process | 2 processes | |",
        "|---|---|--:|--:|---|",
    ]
    for aim in AIMS:
        for model in models:
            values = [aim.measure(results, Server(aim.family, n), model) for n in (1, 2)]
            shown = " | ".join("-" if v is None else f"{v:.3g}{aim.unit}" for v in values)
            had = [value for value in values if value is not None]
            verdict = ("met" if aim.met(had) else "**missed**") if had else "not measured"
            lines.append(f"| {aim.text} | {model} | {shown} | {verdict} |")
    return lines


def _best_rate(results: Results, server: Server, model: str) -> float | None:
    """Our rate over the best one of the peers, with any number of processes."""
    return _over(results, server, model, [load.rate for load in _peers(results, model, MANY)])


def _flask(results: Results, server: Server, model: str) -> float | None:
    load = _load(results, (Server("flask", 1), model), MANY)
    return _over(results, server, model, [load.rate] if load else [])


def _limit(results: Results, server: Server, model: str) -> float | None:
    load = _load(results, (Server(LIMIT, server.workers), model), MANY)
    return _over(results, server, model, [load.rate] if load else [])


def _over(results: Results, server: Server, model: str, rates: list[float]) -> float | None:
    ours = _load(results, (server, model), MANY)
    return ours.rate / max(rates) if ours and rates else None


def _p50(results: Results, server: Server, model: str) -> float | None:
    """The shortest p50 of the peers over ours."""
    ours = _load(results, (server, model), ONE)
    others = [load.p50 for load in _peers(results, model, ONE)]
    return min(others) / ours.p50 if ours and others else None


def _p99(results: Results, server: Server, model: str) -> float | None:
    """The shortest p99 of the peers over ours."""
    ours = _load(results, (server, model), ONE)
    others = [load.p99 for load in _peers(results, model, ONE)]
    return min(others) / ours.p99 if ours and others else None


def _cold_start(results: Results, server: Server, model: str) -> float | None:
    return _of(results, (server, model), lambda figures: figures.cold_start)


def _largest(results: Results, server: Server, model: str) -> float | None:
    return _of(results, (server, model), lambda figures: figures.memory.largest)


def _share(results: Results, server: Server, model: str) -> float | None:
    return _of(results, (server, model), lambda figures: figures.memory.pss / server.workers)


def _errors(results: Results, server: Server, model: str) -> float | None:
    return _of(results, (server, model), lambda f: sum(load.errors for load in f.loads.values()))


def _of(results: Results, key: Key, get: Callable[[Figures], float]) -> float | None:
    figures = results.figures.get(key)
    return get(figures) if figures else None


def _load(results: Results, key: Key, clients: int) -> Load | None:
    figures = results.figures.get(key)
    return figures.loads.get(clients) if figures else None


def _peers(results: Results, model: str, clients: int) -> list[Load]:
    keys = [key for key in results.figures if key[0].family not in KIN]
    found = [_load(results, key, clients) for key in keys if key[1] == model]
    return [load for load in found if load]


ONNX, SKLEARN = OURS
AIMS = (
    Aim("ONNX, 64 clients: 7 x the requests/s of the best peer", ONNX, 7, _best_rate, either=True),
    Aim(
        "ONNX, 64 clients: 25 x Flask + gunicorn sync with 1 worker", ONNX, 25, _flask, either=True
    ),
    Aim("ONNX, 64 clients: 0.6 x bare waitress with as many processes", ONNX, 0.6, _limit),
    Aim("scikit-learn, 64 clients: 2.5 x the best peer", SKLEARN, 2.5, _best_rate, either=True),
    Aim("ONNX, 1 client: p50 behind no peer (best peer / ours >= 1)", ONNX, 1, _p50),
    Aim("ONNX, 1 client: p99 behind no peer (best peer / ours >= 1)", ONNX, 1, _p99),
    Aim("scikit-learn, 1 client: p50 behind no peer", SKLEARN, 1, _p50),
    Aim("scikit-learn, 1 client: p99 behind no peer", SKLEARN, 1, _p99),
    Aim("ONNX: no errors", ONNX, 0, _errors, below=True),
    Aim("scikit-learn: no errors", SKLEARN, 0, _errors, below=True),
    Aim("ONNX: cold start below 1 s", ONNX, 1, _cold_start, below=True, unit=" s"),
    Aim("ONNX: RSS of the largest process, 100 MB", ONNX, 100, _largest, below=True, unit=" MB"),
    Aim("ONNX: PSS of all processes a worker, 100 MB", ONNX, 100, _share, below=True, unit=" MB"),
)
