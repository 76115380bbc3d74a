"""Batch scoring on real clusters of two nodes, one of which is killed, and on an object store."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from conftest import Churn, run
from scoring import files
from serving import until

PARTS = 12
ROWS = 60_000
MAKE = f"""
import sys
import numpy, pyarrow, pyarrow.csv, pyarrow.parquet
gaps = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
whole = pyarrow.csv.read_csv(sys.argv[1], convert_options=gaps)
dice = numpy.random.default_rng(14)
for n in range({PARTS}):
    rows = whole.take(pyarrow.array(dice.integers(0, len(whole), {ROWS})))
    numbers = pyarrow.array(range(n * {ROWS}, (n + 1) * {ROWS}))
    pyarrow.parquet.write_table(rows.add_column(0, "id", numbers), f"in/{{n:02}}.parquet")
"""
ENGINES = pytest.mark.parametrize("engine", ["ray", "dask"])


@pytest.fixture(scope="module")
def folder(clustered: Churn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with inputs, and what the local engine makes of them."""
    folder = tmp_path_factory.mktemp("scoring")
    (folder / "in").mkdir()
    run(clustered.python, "-c", MAKE, clustered.root / "data/raw/penguins.csv", cwd=folder)
    predict(clustered, folder, "in", "-o", "local")
    return folder


def command(project: Churn, *words: str) -> list[str]:
    return [str(project.python), "-m", "churn", "predict", *words]


def environment(project: Churn) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(project.root / "src")}


def predict(project: Churn, folder: Path, *words: str, code: int = 0) -> str:
    env = environment(project)
    done = run(*command(project, *words), cwd=folder, code=code, env=env)
    return done.stdout + done.stderr


def line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline().strip()


@contextmanager
def ray_cluster(project: Churn) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of two nodes, and the process to be told to kill one. No node knows the project."""
    script = Path(__file__).with_name("ray_nodes.py")
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    with subprocess.Popen(
        [str(project.python), str(script)],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield line(process.stdout), process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(60)


@contextmanager
def dask_cluster(project: Churn, folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a scheduler with two workers that nothing revives, and one of these."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    dask = [str(project.python), "-m", "distributed.cli"]
    place = ["--host", "127.0.0.1"]
    scheduler = [*place, "--port", str(port), "--no-dashboard"]
    worker = [address, *place, "--no-nanny", "--nthreads", "1", "--no-dashboard"]
    options = {"env": env, "cwd": folder, "text": True, "stderr": subprocess.DEVNULL}
    processes: list[subprocess.Popen[str]] = []
    try:
        for words in (["dask_scheduler", *scheduler], *[["dask_worker", *worker]] * 2):
            module = f"{dask[2]}.{words[0]}"
            processes.append(
                subprocess.Popen([*dask[:2], module, *words[1:]], **options)  # type: ignore[call-overload]
            )
            if len(processes) == 1:
                until(lambda: is_open(port))
        yield address, processes[2]
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def done(folder: Path) -> int:
    return len(list((folder / ".scoring").glob("*[0-9].json")))


def same_rows_once(folder: Path, out: str) -> None:
    assert len(files(folder / "local")) == PARTS
    assert files(folder / out) == files(folder / "local")


def a_killed_driver_is_gone_on_from(
    project: Churn, folder: Path, engine: str, address: str
) -> None:
    out = f"{engine}2"
    words = ("in", "-o", out, "--engine", engine, "--address", address)
    with subprocess.Popen(command(project, *words), cwd=folder, env=environment(project)) as driver:
        until(lambda: done(folder / out) >= 3)
        driver.kill()
    said = predict(project, folder, *words)
    assert re.search(rf"\d+ of {PARTS} parts are done already", said)
    same_rows_once(folder, out)


def test_a_ray_node_that_is_killed_costs_no_row(clustered: Churn, folder: Path) -> None:
    with ray_cluster(clustered) as (address, nodes):
        words = command(clustered, "in", "-o", "ray", "--engine", "ray", "--address", address)
        with subprocess.Popen(words, cwd=folder, env=environment(clustered)) as driver:
            until(lambda: done(folder / "ray") >= 3)
            assert nodes.stdin is not None
            nodes.stdin.write("kill\n")
            nodes.stdin.flush()
            assert line(nodes.stdout) == "killed"
            assert driver.wait(120) == 0
        same_rows_once(folder, "ray")
        a_killed_driver_is_gone_on_from(clustered, folder, "ray", address)


def test_a_dask_worker_that_is_killed_costs_no_row(clustered: Churn, folder: Path) -> None:
    with dask_cluster(clustered, folder) as (address, worker):
        words = command(clustered, "in", "-o", "dask", "--engine", "dask", "--address", address)
        with subprocess.Popen(words, cwd=folder, env=environment(clustered)) as driver:
            until(lambda: done(folder / "dask") >= 3)
            worker.send_signal(signal.SIGKILL)
            assert driver.wait(120) == 0
        same_rows_once(folder, "dask")
        a_killed_driver_is_gone_on_from(clustered, folder, "dask", address)


@ENGINES
def test_a_bad_row_is_not_tried_again(clustered: Churn, folder: Path, engine: str) -> None:
    (folder / "bad.csv").write_text("island,sex\nDream,male\nMars,male\n")
    words = ("bad.csv", "-o", f"bad-{engine}", "--engine", engine, "--workers", "1")
    fields = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")
    missing = [word for name in fields for word in ("--missing", name)]
    said = predict(clustered, folder, *words, *missing, code=1)
    assert 'bad.csv, line 3, island: "Mars" is not one of Biscoe' in said
    assert "No part is done yet." in said
    assert "Traceback" not in said


@ENGINES
def test_a_cluster_that_is_not_there_is_named(clustered: Churn, folder: Path, engine: str) -> None:
    words = ("in", "-o", f"none-{engine}", "--engine", engine, "--address", "127.0.0.1:1")
    said = predict(clustered, folder, *words, code=1)
    assert "There is no cluster at 127.0.0.1:1: Connection refused." in said
    assert "Traceback" not in said


def test_an_object_store_is_read_and_written(clustered: Churn, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    query = f"?scheme=http&endpoint_override=127.0.0.1:{port}&region=us-east-1"
    server = [str(clustered.python), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    put = (
        "import pyarrow.fs as fs, sys\n"
        f"store, _ = fs.FileSystem.from_uri('s3://bucket{query}&allow_bucket_creation=true')\n"
        "store.create_dir('bucket')\n"
        "fs.copy_files('in', 'bucket/in', destination_filesystem=store)\n"
    )
    get = put.replace("store.create_dir('bucket')\n", "").replace(
        "'in', 'bucket/in', destination_filesystem", "'bucket/out', 's3', source_filesystem"
    )
    quiet = subprocess.DEVNULL
    with subprocess.Popen(server, env={**os.environ, **env}, stdout=quiet, stderr=quiet) as store:
        try:
            until(lambda: is_open(port))
            run(clustered.python, "-c", put, cwd=folder, env=env)
            words = ("-o", f"s3://bucket/out{query}", "--workers", "1")
            everything = {**environment(clustered), **env}
            inputs = f"s3://bucket/in{query}"
            done = run(*command(clustered, inputs, *words), cwd=folder, env=everything)
            assert f"Predicted {PARTS * ROWS:,} rows of {PARTS} files" in done.stdout
            (folder / "s3").mkdir()
            run(clustered.python, "-c", get, cwd=folder, env=env)
            same_rows_once(folder, "s3")
            pattern = f"s3://bucket/in/0*.parquet{query}"
            one = ("-o", f"s3://bucket/one.csv{query}", "--keep", "id", "--workers", "1")
            run(*command(clustered, pattern, *one), cwd=folder, env=everything)
        finally:
            store.kill()
        lost = run(*command(clustered, inputs, *words), cwd=folder, env=everything, code=1)
        assert "cannot be read" in lost.stderr
        assert "Traceback" not in lost.stderr
