"""Where parts are scored: in this process, in several of this machine, or on a cluster.

Every engine calls the same function for each part, with the same rows at a time, so none of them can
answer otherwise than the others.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing import connection
from pathlib import Path
from typing import Any

from ..errors import ProjectError
from . import score
from .parts import Part
from .score import Job, Outcome, Report

MOST_WORKERS = 4  # unless more are asked for: each has the model in its memory

Engine = Callable[[Job, Sequence[Part], Report], Iterator[Outcome]]
"""Yields the outcome of each part when there is one. Closing it ends what is not done."""


def choose(name: str, address: str | None, workers: int | None, folder: Path) -> Engine:
    """The engine of this name. `folder` is that of the package, which travels to the nodes of a cluster."""
    number = workers or min(os.cpu_count() or 1, MOST_WORKERS)
    if name == "local":
        if address:
            raise ProjectError("--address goes with --engine ray or dask.")
        return _here if number == 1 else partial(_processes, number)
    from . import clusters

    return partial(clusters.CLUSTERS[name], clusters.Cluster(address, number, folder))


def _here(job: Job, parts: Sequence[Part], report: Report) -> Iterator[Outcome]:
    for part in parts:
        yield score.run(job, part, partial(_weighed, report, part.weight))


def _weighed(report: Report, weight: float, rows: int, share: float) -> None:
    report(rows, share * weight)


def _processes(workers: int, job: Job, parts: Sequence[Part], report: Report) -> Iterator[Outcome]:
    context = multiprocessing.get_context("spawn")  # onnxruntime does not survive a fork
    left = list(reversed(parts))
    busy: dict[Any, tuple[Any, Part]] = {}  # by the end of its pipe: a process and its part
    try:
        for _ in range(min(workers, len(parts))):
            here, there = context.Pipe()
            process = context.Process(target=_work, args=(there, job), daemon=True)
            process.start()
            there.close()
            part = left.pop()
            here.send(part)
            busy[here] = process, part
        while busy:
            pipe: Any
            for pipe in connection.wait(list(busy)):
                process, part = busy[pipe]
                try:
                    said = pipe.recv()
                except (EOFError, ConnectionError):
                    process.join()
                    raise ProjectError(_lost(part, process.exitcode)) from None
                if not isinstance(said, Outcome):
                    report(said[0], said[1] * part.weight)
                    continue
                if left:
                    busy[pipe] = process, left.pop()
                    pipe.send(busy[pipe][1])
                else:
                    del busy[pipe]
                    pipe.close()
                yield said
    finally:
        for process, _ in busy.values():
            process.terminate()
        for process, _ in busy.values():
            process.join()


def _work(pipe: Any, job: Job) -> None:
    """Score the parts that come through a pipe, until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal; the parent ends this process
    with suppress(EOFError, ConnectionError):
        while True:
            part = pipe.recv()
            pipe.send(score.run(job, part, lambda rows, share: pipe.send((rows, share))))


def _lost(part: Part, code: int | None) -> str:
    said = f"signal {-code}, as for want of memory" if code and code < 0 else f"exit code {code}"
    return f"The process that scored {part.source} ended with {said}."
