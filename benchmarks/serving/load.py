"""Load on one server, and whether the cores were free for it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from process import Request, Running, ServerError

SCRIPT = Path(__file__).resolve().parent / "post.lua"
WARM_UP = 1  # seconds
SAMPLE = 0.5  # seconds in which the cores are looked at
SETTLE = 5.0  # seconds for a server that has answered to become quiet
FREE = 0.05  # the share of the cores that others may use before a cell
QUIET = 0.10  # and during it, which is measured less exactly


@dataclass(frozen=True)
class Load:
    """What wrk saw."""

    rate: float  # requests/s
    p50: float  # ms
    p99: float
    errors: int


@dataclass(frozen=True)
class Cell:
    """One measurement."""

    clients: int
    load: Load
    noisy: bool


@dataclass(frozen=True)
class Plan:
    """How a cell is measured."""

    seconds: int
    patience: float  # seconds to wait for free cores


def cell(server: Running, clients: int, plan: Plan) -> Cell:
    """One cell, and once more if the cores were not free."""
    first = _cell(server, clients, plan)
    if not first.noisy:
        return first
    print("    repeat", flush=True)
    again = _cell(server, clients, plan)
    return again if not again.noisy else first


def settle(server: Running) -> None:
    """Wait until a server that has answered has also started its other processes."""
    deadline = time.monotonic() + SETTLE
    while time.monotonic() < deadline:
        before = server.cpu()
        time.sleep(SAMPLE)
        if server.cpu() - before < 0.1 * SAMPLE:
            return


def _cell(server: Running, clients: int, plan: Plan) -> Cell:
    free = _wait_until_free(server, plan.patience)
    wrk(server.request, clients, WARM_UP)
    before, start = _others(server), time.monotonic()
    load = wrk(server.request, clients, plan.seconds)
    used = _share(_others(server) - before, start)
    if used > QUIET:
        print(f"    cores were not free: others used {used:.0%} during the cell", flush=True)
    return Cell(clients, load, noisy=not free or used > QUIET)


def _wait_until_free(server: Running, patience: float) -> bool:
    """Whether nobody but the server uses the cores, at once or after some time."""
    deadline = time.monotonic() + patience
    waiting = False
    while True:
        before, start = _others(server), time.monotonic()
        time.sleep(SAMPLE)
        used = _share(_others(server) - before, start)
        if used <= FREE:
            return True
        if time.monotonic() > deadline:
            print(f"    cores are not free: others use {used:.0%}", flush=True)
            return False
        if not waiting:
            print(f"    cores are not free: others use {used:.0%}; waiting", flush=True)
            waiting = True


def _share(seconds: float, start: float) -> float:
    """Of all cores since `start`."""
    return min(seconds / (time.monotonic() - start) / (os.cpu_count() or 1), 1)


def _others(server: Running) -> float:
    """The CPU seconds of everybody but the server and wrk, a steal by the host included."""
    line = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _idle, _wait, _irq, _softirq, steal = (int(word) for word in line[:8])
    used = (user + nice + system + steal) / os.sysconf("SC_CLK_TCK")
    own = resource.getrusage(resource.RUSAGE_SELF)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)  # wrk, and servers that were stopped
    mine = own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
    return used - mine - server.cpu()


def wrk_version() -> str:
    """What wrk says of itself; it then complains that there is nothing to do."""
    said = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False).stdout
    return said.split()[1].removeprefix("debian/")


def wrk(request: Request, clients: int, seconds: int) -> Load:
    """Post the same body on so many kept-alive connections, each waiting for its answer.

    Raises ServerError where wrk says nothing, as when nobody listens any more.
    """
    command = [
        *("wrk", "--threads", "1", "--connections", str(clients), "--duration", f"{seconds}s"),
        *("--timeout", "10s", "--script", str(SCRIPT)),
        f"http://127.0.0.1:{request.port}{request.path}",
    ]
    env = {**os.environ, "BENCH_BODY": str(request.body)}
    try:
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, check=True, timeout=seconds + 30
        )
    except subprocess.SubprocessError as error:
        raise ServerError(f"wrk did not measure it: {error}") from error
    (said,) = (json.loads(line[7:]) for line in done.stdout.splitlines() if line[:7] == "RESULT ")
    rate = said["requests"] / said["microseconds"] * 1e6
    return Load(rate, said["p50"] / 1000, said["p99"] / 1000, said["status"] + said["socket"])
