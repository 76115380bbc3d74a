"""Parts scored on a Ray or a Dask cluster, each by a task: what is lost with a node is done again.

Tasks, not actors: a lost actor may find no place any more, and all would wait for it.
"""

import io
import logging
import os
import socket
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ..errors import ProjectError
from . import score
from .parts import Part
from .score import Job, Outcome, Report

SECONDS = 10  # for a cluster to answer
OBJECTS = 200 * 2**20  # bytes of Ray's store on this machine: only outcomes pass through it


@dataclass(frozen=True)
class Cluster:
    """Where the cluster is, or how many processes one of this machine has, and the package's folder."""

    address: str | None
    workers: int
    folder: Path


def ray(cluster: Cluster, job: Job, parts: Sequence[Part], report: Report) -> Iterator[Outcome]:
    """Score parts on a Ray cluster."""
    library = _start_ray(cluster)
    # Without end for a lost node. What a row or the model is to blame for is an outcome, and final.
    task = library.remote(num_cpus=1, max_retries=-1, scheduling_strategy="SPREAD")(score.run)
    try:
        waiting = {task.remote(job, part): part for part in parts}
        while waiting:
            done, _ = library.wait(list(waiting))
            for one in done:
                outcome, part = library.get(one), waiting.pop(one)
                report(outcome.rows + outcome.rejected, part.weight)
                yield outcome
    except library.exceptions.RayTaskError:
        raise  # a bug, with its traceback
    except library.exceptions.RayError as error:
        raise ProjectError(f"The Ray cluster is lost: {_line(error)}.") from error
    finally:
        library.shutdown()


def _start_ray(cluster: Cluster) -> Any:
    # Before the import, which reads them. Artifacts travel, whether git ignores them or not.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_RUNTIME_ENV_IGNORE_GITIGNORE", "1")
    try:
        import ray as library
    except ModuleNotFoundError as error:
        raise ProjectError("--engine ray needs ray. Run: poetry ml add ray") from error
    where: dict[str, Any] = {"address": cluster.address}
    if cluster.address is None:
        where = {
            "address": "local",
            "num_cpus": cluster.workers,
            "object_store_memory": OBJECTS,
            "include_dashboard": False,
        }
    else:
        _reach(cluster.address)
    # The folder itself: of a wheel, two nodes of one machine would install over each other.
    code = {"py_modules": [str(cluster.folder)], "env_vars": {"OMP_NUM_THREADS": "1"}}
    try:
        library.init(**where, runtime_env=code, log_to_driver=False, logging_level="error")
    except (Exception, SystemExit) as error:  # it exits where the cluster does not answer
        raise ProjectError(
            f"The Ray cluster {cluster.address or ''} cannot be used: {_line(error)}."
        ) from error
    return library


def dask(cluster: Cluster, job: Job, parts: Sequence[Part], report: Report) -> Iterator[Outcome]:
    """Score parts on a Dask cluster."""
    try:
        import distributed
    except ModuleNotFoundError as error:
        raise ProjectError("--engine dask needs dask. Run: poetry ml add dask") from error
    if cluster.address is not None:
        _reach(cluster.address)
    own = None
    try:
        where: Any = cluster.address
        if where is None:
            own = where = distributed.LocalCluster(
                n_workers=cluster.workers,
                threads_per_worker=1,
                dashboard_address=None,
                silence_logs=logging.ERROR,
            )
        with distributed.Client(where, timeout=SECONDS, set_as_default=False) as client:
            client.register_plugin(_code(distributed.WorkerPlugin, cluster.folder, job))
            yield from _dask_outcomes(distributed, client, job, parts, report)
    except OSError as error:
        raise ProjectError(f"The Dask cluster cannot be used: {_line(error)}.") from error
    finally:
        if own is not None:
            own.close()


def _dask_outcomes(
    library: Any, client: Any, job: Job, parts: Sequence[Part], report: Report
) -> Iterator[Outcome]:
    task, given = _task(), msgspec.json.encode(job)

    def submit(part: Part) -> Any:
        key = f"{job.package}-{part.number}-{uuid.uuid4().hex}"
        return client.submit(task, job.package, given, msgspec.json.encode(part), key=key)

    waiting = {future.key: (future, part) for part in parts for future in (submit(part),)}
    done = library.as_completed([future for future, _ in waiting.values()], loop=client.loop)
    for future in done:
        _, part = waiting.pop(future.key)
        try:
            outcome = msgspec.json.decode(future.result(), type=Outcome)
        except (
            library.KilledWorker
        ):  # Dask gives up after some workers: a lost one is no fault of a part
            again = submit(part)
            waiting[again.key] = again, part
            done.add(again)
            continue
        except library.CancelledError as error:
            raise ProjectError("The Dask cluster is lost.") from error
        report(outcome.rows + outcome.rejected, part.weight)
        yield outcome


def _task() -> Callable[[str, bytes, bytes], bytes]:
    """The task of a part, which travels by value: the scheduler has no such package."""

    def run(package: str, job: bytes, part: bytes) -> bytes:
        import importlib

        score = importlib.import_module(f"{package}._runtime.scoring.score")
        said: bytes = score.run_encoded(job, part)
        return said

    return run


def _code(base: Any, folder: Path, job: Job) -> Any:
    """What unpacks the package on each worker, those that join later too. It travels by value."""
    content, package, digest = _packed(folder), job.package, job.digest

    class Code(base):
        name = f"{package}-{digest}"

        def setup(self, worker: Any) -> None:
            import io
            import os
            import sys
            import zipfile

            home = os.path.join(worker.local_directory, digest)
            zipfile.ZipFile(io.BytesIO(content)).extractall(home)
            if home not in sys.path:
                sys.path.insert(0, home)
                # A worker may have the package already, of an earlier job or of its image.
                for name in [n for n in sys.modules if n.partition(".")[0] == package]:
                    del sys.modules[name]

    return Code()


def _packed(folder: Path) -> bytes:
    """The package's folder as a zip file, artifacts included."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(folder.parent))
    return content.getvalue()


def _reach(address: str) -> None:
    """Raise ProjectError where nothing listens: the libraries take minutes to say so."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdigit():
        return  # "auto"
    try:
        socket.create_connection((host.strip("[]"), int(port)), SECONDS).close()
    except OSError as error:
        raise ProjectError(
            f"There is no cluster at {address}: {error.strerror or error}."
        ) from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")[:300]


CLUSTERS = {"ray": ray, "dask": dask}
