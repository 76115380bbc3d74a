"""Every server that is measured: how it is started, asked and tuned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any

import formats
from formats import Answer

OURS = ("ours-onnx", "ours-sklearn")
LIMIT = "waitress"
# Not peers: the bound, and what shows the worth of our own transport.
KIN = (*OURS, LIMIT, "stock", "ours-5ms", "stock-5ms")

# Nobody phones home or records traces, and linear algebra takes one thread a process.
ENVIRONMENT = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "OMP_NUM_THREADS": "1",
    "OTEL_SDK_DISABLED": "true",
    "OPENBLAS_NUM_THREADS": "1",
}

Variant = Mapping[str, str]


@dataclass(frozen=True)
class Family:
    """One way to serve, with any number of processes.

    Words in braces are filled in: {python}, {commands}, {apps}, {estimator}, {model}, {folder} with
    what was prepared, {port} and two more free ones, {workers}, and those of the chosen variant.
    """

    title: str
    venv: str
    command: tuple[str, ...]
    path: str
    body: Callable[[list[float]], Any]
    answer: Callable[[Any], Answer]
    settings: str
    env: Mapping[str, str] = field(default_factory=dict)
    workers: tuple[int, ...] = (1, 2)
    variants: tuple[Variant, ...] = ({},)


@dataclass(frozen=True)
class Server:
    """A family with a number of processes."""

    family: str
    workers: int

    @property
    def name(self) -> str:
        """What the command line calls it."""
        return f"{self.family}-{self.workers}"

    @property
    def of(self) -> Family:
        """Its family."""
        return FAMILIES[self.family]


def choose(names: list[str]) -> list[Server]:
    """The servers of these names, of one server or of a whole family; no names are all."""
    every = [Server(name, workers) for name in FAMILIES for workers in FAMILIES[name].workers]
    known = {server.name for server in every} | {*FAMILIES}
    if unknown := sorted({*names} - known):
        raise SystemExit(f"Unknown: {', '.join(unknown)}. Known are {', '.join(sorted(known))}.")
    return [s for s in every if not names or s.name in names or s.family in names]


def _grid(**choices: tuple[str, ...]) -> tuple[Variant, ...]:
    return tuple(dict(zip(choices, values, strict=True)) for values in product(*choices.values()))


_serve_ours = (
    *("{python}", "-m", "bench", "serve", "--host", "127.0.0.1", "--port", "{port}"),
    *("--workers", "{workers}", "--set", "log=off"),
)
_serve_stock = ("{python}", "{apps}/stock_app.py", "{port}", "{workers}")
_onnx = {"PYTHONPATH": "{folder}/projects/onnx-{model}/src"}
_slow = {**_onnx, "BENCH_PAUSE": "0.005"}
_apps = {"PYTHONPATH": "{apps}", "BENCH_ESTIMATOR": "{estimator}"}
_batches = {**_apps, "BENCH_BATCH": "{batch}", "BENCH_WAIT": "{wait}"}

FAMILIES: dict[str, Family] = {
    "ours-onnx": Family(
        title="this plugin, ONNX",
        venv="ours",
        command=_serve_ours,
        path="/predict",
        body=partial(formats.listed, "data"),
        answer=formats.first_prediction,
        settings="as generated, log=off; onnxruntime with 1 thread",
        env=_onnx,
    ),
    "stock": Family(
        title="this plugin's service on stock waitress, ONNX",
        venv="ours",
        command=_serve_stock,
        path="/predict",
        body=partial(formats.listed, "data"),
        answer=formats.first_prediction,
        settings="threads=64, send_bytes=262144, connection_limit=1000, log=off",
        env=_onnx,
    ),
    "ours-5ms": Family(
        title="this plugin, ONNX and 5 ms a call",
        venv="ours",
        command=_serve_ours,
        path="/predict",
        body=partial(formats.listed, "data"),
        answer=formats.first_prediction,
        settings="as generated, log=off",
        env=_slow,
    ),
    "stock-5ms": Family(
        title="this plugin's service on stock waitress, ONNX and 5 ms a call",
        venv="ours",
        command=_serve_stock,
        path="/predict",
        body=partial(formats.listed, "data"),
        answer=formats.first_prediction,
        settings="threads=64, send_bytes=262144, connection_limit=1000, log=off",
        env=_slow,
    ),
    "ours-sklearn": Family(
        title="this plugin, scikit-learn",
        venv="ours",
        command=_serve_ours,
        path="/predict",
        body=partial(formats.listed, "data"),
        answer=formats.first_prediction,
        settings="as generated, log=off",
        env={
            "PYTHONPATH": "{folder}/projects/sklearn-{model}/src",
            "BENCH_ESTIMATOR": "{estimator}",
        },
    ),
    "flask": Family(
        title="Flask + gunicorn sync",
        venv="flask",
        command=(
            *("{commands}/gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "{workers}"),
            *("--worker-class", "sync", "--worker-tmp-dir", "/dev/shm", "--no-control-socket"),
            *("--http-parser", "fast", "--log-level", "warning", "flask_app:app"),
        ),
        path="/predict",
        body=formats.features,
        answer=formats.plain,
        settings="parser gunicorn_h1c, no access log",
        env=_apps,
    ),
    "fastapi": Family(
        title="FastAPI + uvicorn",
        venv="fastapi",
        command=(
            *("{commands}/uvicorn", "fastapi_app:app", "--host", "127.0.0.1", "--port", "{port}"),
            *("--workers", "{workers}", "--loop", "uvloop", "--http", "httptools"),
            *("--no-access-log", "--log-level", "warning"),
        ),
        path="/{define}",
        body=formats.features,
        answer=formats.plain,
        settings="{define} def, pydantic models, uvloop, httptools, no access log",
        env=_apps,
        variants=_grid(define=("async", "sync")),
    ),
    "bentoml": Family(
        title="BentoML",
        venv="bentoml",
        command=(
            *("{commands}/bentoml", "serve", "bentoml_app:Service", "--working-dir", "{apps}"),
            *("--host", "127.0.0.1", "--port", "{port}"),
        ),
        path="/predict",
        body=partial(formats.listed, "rows"),
        answer=formats.array,
        settings="{define} def, max_batch_size={batch}, max_latency_ms={wait}, uvloop, httptools, "
        "no access log, no metrics, no traces",
        env={
            **_batches,
            "BENTOML_HOME": "{run}",
            "BENCH_DEFINE": "{define}",
            "BENCH_WORKERS": "{workers}",
        },
        # Requests that would take longer than max_latency_ms are refused: no short ones here.
        variants=_grid(define=("sync", "async"), batch=("64", "32"), wait=("1000", "200")),
    ),
    "litserve": Family(
        title="LitServe",
        venv="litserve",
        command=("{python}", "{apps}/litserve_app.py"),
        path="/predict",
        body=formats.features,
        answer=formats.plain,
        settings="max_batch_size={batch}, batch_timeout={wait}, fast_queue={fast}, "
        "workers_per_device and API servers as many as processes, no access log",
        env={
            **_batches,
            "BENCH_FAST": "{fast}",
            "BENCH_PORT": "{port}",
            "BENCH_WORKERS": "{workers}",
        },
        variants=(
            *_grid(batch=("64",), wait=("0.001", "0.005", "0"), fast=("0", "1")),
            *_grid(batch=("16",), wait=("0.001",), fast=("0", "1")),
        ),
    ),
    "mlserver": Family(
        title="MLServer",
        venv="mlserver",
        command=("{commands}/mlserver", "start", "{run}"),
        path="/v2/models/bench/infer",
        body=formats.tensor,
        answer=formats.open_inference,
        settings="custom runtime, max_batch_size={batch}, max_batch_time={wait}, "
        "parallel_workers={parallel}, uvloop, httptools, no access log, no metrics, no gzip",
        env={
            **_apps,
            "MLSERVER_DEBUG": "false",
            "MLSERVER_GZIP_ENABLED": "false",
            "MLSERVER_HOST": "127.0.0.1",
            "MLSERVER_HTTP_PORT": "{port}",
            "MLSERVER_GRPC_PORT": "{port2}",
            "MLSERVER_METRICS_ENDPOINT": "",
            "MLSERVER_METRICS_PORT": "{port3}",
            "MLSERVER_PARALLEL_WORKERS": "{parallel}",
            "MLSERVER_MODEL_NAME": "bench",
            "MLSERVER_MODEL_IMPLEMENTATION": "mlserver_app.Runtime",
            "MLSERVER_MODEL_MAX_BATCH_SIZE": "{batch}",
            "MLSERVER_MODEL_MAX_BATCH_TIME": "{wait}",
        },
        workers=(1,),  # one process takes requests whatever parallel_workers says
        variants=(
            *_grid(parallel=("0", "1", "2"), batch=("64",), wait=("0.001", "0.005")),
            *_grid(parallel=("0",), batch=("16",), wait=("0.001",)),
            *_grid(parallel=("0",), batch=("0",), wait=("0",)),  # no batching
        ),
    ),
    "mlflow": Family(
        title="MLflow models serve",
        venv="mlflow",
        command=(
            *("{commands}/mlflow", "models", "serve", "--model-uri", "{folder}/mlflow-{model}"),
            *("--env-manager", "local", "--host", "127.0.0.1", "--port", "{port}"),
            *("--workers", "{workers}"),
        ),
        path="/invocations",
        body=partial(formats.listed, "inputs"),
        answer=formats.probabilities,
        settings="pyfunc_predict_fn=predict_proba (no label), tensor input, uvloop, httptools, "
        "no access log",
        # uvicorn is started by MLflow without options, and reads these.
        env={"UVICORN_ACCESS_LOG": "false", "UVICORN_LOG_LEVEL": "warning"},
    ),
    LIMIT: Family(
        title="bare waitress, a constant answer",
        venv="waitress",
        command=("{python}", "{apps}/waitress_app.py", "{port}", "{workers}", "{constant}"),
        path="/predict",
        body=formats.features,
        answer=formats.plain,
        settings="send_bytes=262144, threads=64, connection_limit=1000, asyncore_use_poll; no model",
    ),
}
