"""Start a server, wait for its first right answer, weigh it, and stop all of it."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from material import APPS, Material
from servers import ENVIRONMENT, Server, Variant

PATIENCE = 90.0  # seconds for a server's first answer
ATTEMPT = 10.0  # seconds for one answer
PAUSE = 0.002  # seconds between two attempts
GRACE = 5.0  # seconds to end by itself
TOLERANCE = 1e-4  # of a probability: ONNX computes with 32 bits
FOREIGN = ("POETRY_", "VIRTUAL_ENV", "PYTHON", "PIP_", "COVERAGE_")


class ServerError(Exception):
    """Says why a server did not start, or did not answer what is right, or could not be measured."""


@dataclass(frozen=True)
class Memory:
    """Megabytes of a process tree."""

    rss: float  # the sum over processes: shared pages count in each
    pss: float  # shared pages count once
    largest: float  # RSS of the largest process


@dataclass(frozen=True)
class Request:
    """What is sent, and where."""

    port: int
    path: str
    body: Path


@dataclass(frozen=True)
class Running:
    """A server that has answered."""

    pid: int
    request: Request
    cold_start: float

    def memory(self) -> Memory:
        """What its processes hold now."""
        rss, pss = [], []
        for pid in tree(self.pid):
            with suppress(OSError, StopIteration):
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
                rss.append(_kilobytes(text, "Rss:"))
                pss.append(_kilobytes(text, "Pss:"))
        return Memory(sum(rss) / 1000, sum(pss) / 1000, max(rss, default=0) / 1000)

    def cpu(self) -> float:
        """The CPU seconds that its processes have used."""
        return sum(_cpu(pid) for pid in tree(self.pid))


@contextmanager
def running(server: Server, variant: Variant, model: str, material: Material) -> Iterator[Running]:
    """Start it, and stop it whatever happens. Raises ServerError."""
    family = server.of
    scratch = material.folder / "run" / server.name
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    words = _words(server, variant, model, material, scratch)
    body = scratch / "body.json"
    body.write_text(json.dumps(family.body(material.row(model))))
    request = Request(int(words["port"]), family.path.format(**words), body)
    log = scratch / "log.txt"
    with log.open("wb") as out:
        start = time.perf_counter()
        process = _popen(server, words, scratch, out)
    try:
        cold_start = _first_answer(process, request, log, server, material, model) - start
        yield Running(process.pid, request, cold_start)
    finally:
        stop(process)


def tree(root: int) -> list[int]:
    """The processes that descend from `root`, or that are of its session."""
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent, session = (int(word) for word in _stat(int(entry.name))[1:4:2])
                if root in (int(entry.name), parent, session) or parent in found:
                    found.add(int(entry.name))
    return sorted(found)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole tree: asked first, killed later."""
    born = {pid: _born(pid) for pid in tree(process.pid)}
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    deadline = time.monotonic() + 1
    while left := [pid for pid, when in born.items() if when and _born(pid) == when]:
        if time.monotonic() > deadline:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            break
        time.sleep(0.02)
    process.wait()


def _words(
    server: Server, variant: Variant, model: str, material: Material, scratch: Path
) -> dict[str, str]:
    venv = material.venv(server.of.venv)
    ports = _free_ports(3)
    return {
        "python": str(venv.python),
        "commands": str(venv.commands),
        "apps": str(APPS),
        "folder": str(material.folder),
        "model": model,
        "estimator": str(material.estimator(model)),
        "constant": str(material.constant(model)),
        "run": str(scratch),
        "port": ports[0],
        "port2": ports[1],
        "port3": ports[2],
        "workers": str(server.workers),
        **variant,
    }


def _popen(
    server: Server, words: dict[str, str], scratch: Path, out: IO[bytes]
) -> subprocess.Popen[bytes]:
    env = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
    env |= ENVIRONMENT | {key: value.format(**words) for key, value in server.of.env.items()}
    env["PATH"] = os.pathsep.join([words["commands"], env.get("PATH", os.defpath)])
    return subprocess.Popen(
        [word.format(**words) for word in server.of.command],
        cwd=scratch,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _first_answer(
    process: subprocess.Popen[bytes],
    request: Request,
    log: Path,
    server: Server,
    material: Material,
    model: str,
) -> float:
    """The time of the first 200, whose content is then checked."""
    deadline = time.monotonic() + PATIENCE
    body = request.body.read_bytes()
    said = "it did not listen"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerError(f"ended with {process.returncode}: {_last_line(log)}")
        try:
            status, content = _post(request, body)
        except (OSError, http.client.HTTPException):
            time.sleep(PAUSE)
            continue
        now = time.perf_counter()
        if status == 200:
            _check(server, content, material, model)
            return now
        said = f"{status} {content[:200].decode(errors='replace')}"
        time.sleep(PAUSE)
    raise ServerError(f"no prediction in {PATIENCE:g} s ({said}): {_last_line(log)}")


def _post(request: Request, body: bytes) -> tuple[int, bytes]:
    with ExitStack() as stack:
        connection = http.client.HTTPConnection("127.0.0.1", request.port, timeout=ATTEMPT)
        stack.callback(connection.close)
        connection.request("POST", request.path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()


def _check(server: Server, content: bytes, material: Material, model: str) -> None:
    expected = material.answer(model)
    try:
        answer = server.of.answer(json.loads(content))
        shares = zip(answer.probabilities, expected.probabilities, strict=True)
        right = all(abs(share - wanted) <= TOLERANCE for share, wanted in shares)
        right = right and answer.label == expected.label
    except (KeyError, IndexError, TypeError, ValueError):
        right = False
    if not right:
        raise ServerError(f"answered {content[:200].decode(errors='replace')}, not {expected}")


def _free_ports(count: int) -> list[str]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [str(one.getsockname()[1]) for one in sockets]


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "nothing in its log"


def _stat(pid: int) -> list[str]:
    """The words of /proc/PID/stat that follow the command: state, parent, group, session, ..."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu(pid: int) -> float:
    with suppress(OSError):
        return sum(int(word) for word in _stat(pid)[11:13]) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _born(pid: int) -> str:
    with suppress(OSError):
        words = _stat(pid)
        return "" if words[0] == "Z" else words[19]
    return ""


def _kilobytes(text: str, name: str) -> int:
    line = next(line for line in text.splitlines() if line.startswith(name))
    return int(line.split()[1])
