"""What a log, a disk, a row, a colleague or a proxy may do to the service, and must not take it down."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from conftest import ROWS, Churn, run
from load import Load
from serving import Service, service, until

BODY = f'{{"data": {ROWS}}}'.encode()
JSON = {"Content_Type": "application/json"}

# A model that does what a row says.
MODEL = """
import os, signal, sys, time
from typing import ClassVar
class Panic(BaseException):
    pass
class Model:
    def predict(self, data: list[str]) -> list[str]:
        for row in data:
            if row == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if row == "exit":
                raise SystemExit(3)
            if row == "panic":
                raise Panic("out of bounds")
        return data
"""


def serve(churn: Churn, *options: str) -> list[str | Path]:
    return [churn.python, "-m", "churn", "serve", "--port", "0", *options]


def own(copy: Path, model: str) -> dict[str, str]:
    """The environment in which a copy of the project serves this model."""
    (copy / "src/churn/models/model.py").write_text(model)
    return {"PYTHONPATH": str(copy / "src")}


def ask(running: Service, row: str) -> int:
    """The status of the answer to a row; 0 where there is none."""
    try:
        return running.post("/predict", json.dumps({"data": [row]}).encode())[0]
    except OSError:
        return 0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def quiet(
    churn: Churn,
    *options: str,
    stdout: int | None,
    env: dict[str, str] | None = None,
    **more: object,
) -> Iterator[Service]:
    """A service whose output is wherever the test says, at a port that it need not announce."""
    port = free_port()
    command = [churn.python, "-m", "churn", "serve", "--port", str(port), *options]
    process = subprocess.Popen(
        [str(word) for word in command],
        cwd=churn.root,
        env={**os.environ, **(env or {})},
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        text=True,
        **more,  # type: ignore[call-overload]
    )
    running = Service(process, f"http://127.0.0.1:{port}", [])

    def answers() -> bool:
        assert process.poll() is None, "it has ended"
        try:
            return running.request("GET", "/health/live")[0] == 200
        except OSError:
            return False

    try:
        until(answers)
        yield running
    finally:
        process.kill()
        process.wait()


def answer_all(running: Service, requests: int = 2000) -> None:
    """Have so many requests answered, each with 200."""
    with Load(running.port, [BODY], clients=8, most=requests // 8) as load:
        load.wait()
    assert load.outcomes == {"200": requests // 8 * 8}


def dropped(running: Service) -> float:
    text = running.request("GET", "/metrics")[2].decode()
    return sum(float(n) for n in re.findall(r"^log_lines_dropped_total (\S+)", text, re.M))


def test_a_log_that_nobody_reads_holds_nothing_up(churn: Churn) -> None:
    mine, its = os.pipe()
    try:
        with quiet(churn, "--workers", "1", stdout=its) as running:
            answer_all(running, 24_000)  # the pipe takes a few hundred lines, the queue 10,000
            assert running.request("GET", "/health/live")[0] == 200
            assert dropped(running) > 1_000
            assert running.stop() == 0
    finally:
        os.close(mine)
        os.close(its)


def test_a_log_with_no_reader_fails_nothing(churn: Churn) -> None:
    mine, its = os.pipe()
    os.close(mine)
    with quiet(churn, "--workers", "1", stdout=its) as running:
        os.close(its)
        answer_all(running)
        until(lambda: dropped(running) >= 2000)
        assert running.stop() == 0


def test_a_log_on_a_full_disk_fails_nothing(churn: Churn) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with quiet(churn, "--workers", "1", stdout=full) as running:
        os.close(full)
        answer_all(running)
        until(lambda: dropped(running) >= 2000)
        assert running.stop() == 0


def test_a_closed_standard_output_is_not_a_connection(churn: Churn, tmp_path: Path) -> None:
    script = tmp_path / "serve.sh"
    script.write_text('exec "$@" 0<&- >&- 2>&-\n')
    port = str(free_port())
    command = ["sh", script, churn.python, "-m", "churn", "serve", "--port", port, "--workers", "1"]
    process = subprocess.Popen([str(word) for word in command], cwd=churn.root, text=True)
    running = Service(process, f"http://127.0.0.1:{port}", [])

    def answers() -> bool:
        try:
            return running.request("GET", "/health/live")[0] == 200
        except OSError:
            return False

    try:
        until(answers)
        answer_all(running, 200)
        raw = running.raw(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert raw.startswith(b"HTTP/1.1 200 ") and raw.endswith(b'{"status":"live"}')
        assert running.stop() == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("kind", ["json", "plain"])
@pytest.mark.parametrize("sign", ["%0A", "%0D", "%C2%85", "%E2%80%A8", "%1B[2J"])
def test_a_path_forges_no_line_of_the_log(churn: Churn, kind: str, sign: str) -> None:
    with service(serve(churn, "--workers", "1", "--set", f"log={kind}"), churn.root) as running:
        status = running.request("GET", f"/{sign}forged", X_Request_ID="mine-4")[0]
        assert status == 404
        assert running.stop() == 0
    lines = "".join(running.log).splitlines()
    assert not [line for line in lines if line.startswith("forged")]
    assert len([line for line in lines if "forged" in line]) == 1
    assert "\x1b" not in "".join(running.log)


def test_what_raises_in_the_log_of_errors_is_one_record(churn: Churn, copy: Path) -> None:
    model = (
        "class Model:\n    def predict(self, data: list[str]) -> list[str]:\n"
        "        raise ValueError(data[0])\n"
    )
    with service(serve(churn, "--workers", "1"), copy, own(copy, model)) as running:
        assert ask(running, "x\nWorker 7 ended with 9") == 500
        assert running.stop() == 0
    assert not [line for line in "".join(running.log).splitlines() if line.startswith("Worker")]


@pytest.mark.parametrize("row", ["exit", "panic"])
def test_what_is_no_exception_is_a_500_too_and_logged(churn: Churn, copy: Path, row: str) -> None:
    with service(serve(churn, "--workers", "1"), copy, own(copy, MODEL)) as running:
        workers = running.workers()
        for _ in range(3):
            assert ask(running, row) == 500
            assert ask(running, "fine") == 200
        assert running.workers() == workers
        assert running.stop() == 0
    said = "".join(running.log)
    assert {"exit": "SystemExit: 3", "panic": "Panic: out of bounds"}[row] in said


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_row_that_crashes_workers_does_not_end_the_service(
    churn: Churn, copy: Path, workers: str
) -> None:
    with service(serve(churn, "--workers", workers), copy, own(copy, MODEL)) as running:
        assert ask(running, "fine") == 200
        statuses = [ask(running, "die") for _ in range(12)]
        assert set(statuses) <= {0, 503}
        assert running.process.poll() is None
        until(lambda: ask(running, "fine") == 200)
        assert running.stop() == 0
    assert "another takes its place in 0.1 s" in "".join(running.log)


def test_while_there_is_no_worker_the_answer_is_503(churn: Churn, copy: Path) -> None:
    env = own(copy, MODEL) | {"CHURN_SERVE_CORS_ORIGINS": "*"}
    with service(serve(churn, "--workers", "1"), copy, env) as running:
        answers = []

        def refused() -> bool:
            ask(running, "die")
            with suppress(OSError):  # it dies again
                answers.append(running.request("GET", "/openapi.json", Origin="https://a.example"))
            return bool(answers) and answers[-1][0] == 503

        until(refused)
        status, headers, body = answers[-1]
        assert status == 503
        assert headers["Retry-After"] == "1"
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert json.loads(body)["detail"].startswith("The model is being restarted.")
        until(lambda: ask(running, "fine") == 200)
        until(lambda: len(running.workers()) == 1)
        assert running.stop() == 0


def test_numbers_of_dead_workers_are_kept_and_take_no_room(churn: Churn) -> None:
    with service(serve(churn, "--workers", "2", "--set", "log=off"), churn.root) as running:

        def counted() -> float:
            text = running.request("GET", "/metrics")[2].decode()
            name = r'http_request_duration_seconds_count\{route="/predict",status="200"\} (\S+)'
            return sum(map(float, re.findall(name, text)))

        for n in range(10):
            for _ in range(10):
                assert running.post("/predict", BODY)[0] == 200
            assert counted() == 10 * (n + 1)
            before = running.workers()
            os.kill(before[0], signal.SIGKILL if n % 2 else signal.SIGTERM)
            until(lambda b=before: b[0] not in running.workers())  # type: ignore[misc]
            until(lambda: len(running.workers()) == 2)
            until(lambda: counted() >= 10 * (n + 1))  # noqa: B023
        size = len(running.request("GET", "/metrics")[2])
        running.process.send_signal(signal.SIGHUP)
        workers = set(running.workers())
        until(lambda: not workers & set(running.workers()))
        assert counted() == 100
        assert len(running.request("GET", "/metrics")[2]) < size + 500
        assert running.stop() == 0


def test_no_disk_is_needed_to_serve(churn: Churn, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(full)], check=False
    )
    if mounted.returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        with (full / "rest").open("wb") as rest, pytest.raises(OSError, match="No space left"):
            rest.write(b"x" * 200_000)
            rest.flush()
        env = {"TMPDIR": str(full)}
        with service(
            serve(churn, "--workers", "2", "--set", "log=off"), churn.root, env
        ) as running:
            answer_all(running)
            large = json.dumps({"data": json.loads(ROWS) * 9_000}).encode()
            assert running.post("/predict", large)[0] == 200
            assert running.stop() == 0
    finally:
        subprocess.run(["umount", str(full)], check=True)


HANGS = """
import time
class Model:
    examples = ["a"]
    def predict(self, data: list[str]) -> list[str]:
        time.sleep(600)
        return data
"""


def test_a_model_that_hangs_at_its_first_prediction_ends_the_start(
    churn: Churn, copy: Path
) -> None:
    words = ("serve", "--port", "0", "--workers", "2", "--set", "stuck_seconds=1")
    own(copy, HANGS)
    done = churn.verb(*words, cwd=copy, code=1)
    assert "A worker cannot start: it was not ready within 1 s (stuck_seconds)." in done.stderr
    assert "in predict" in done.stderr  # where it was
    assert "Serving at" not in done.stdout


FIRST_THEN_HANGS = """
import pathlib, time
class Model:
    examples = ["a"]
    def predict(self, data: list[str]) -> list[str]:
        while pathlib.Path("hang").exists():
            time.sleep(0.01)
        return data
"""


def test_sighup_with_a_model_that_hangs_keeps_the_old_one_and_hears_signals(
    churn: Churn, copy: Path
) -> None:
    env = own(copy, FIRST_THEN_HANGS)
    command = serve(churn, "--workers", "1", "--set", "stuck_seconds=2")
    with service(command, copy, env) as running:
        workers = running.workers()
        (copy / "hang").touch()
        running.process.send_signal(signal.SIGHUP)
        until(lambda: "the old one stays: a worker cannot start" in "".join(running.log))
        (copy / "hang").unlink()
        assert running.workers() == workers
        assert ask(running, "fine") == 200
    with service(serve(churn, "--workers", "1"), copy, env) as running:
        (copy / "hang").touch()
        running.process.send_signal(signal.SIGHUP)
        until(lambda: len(running.workers()) == 2)  # with the one that tries
        assert running.stop() == 0
    (copy / "hang").unlink()


THREADS = """
import threading, time
class Model:
    examples = ["a"]
    def __init__(self):
        self.queue, self.done = [], []
        threading.Thread(target=self.work, daemon=True).start()
    def work(self):
        while True:
            while self.queue:
                self.done.append(self.queue.pop())
            time.sleep(0.001)
    def predict(self, data: list[str]) -> list[str]:
        self.queue.append(data)
        while not self.done:  # for ever, in a process without the thread
            time.sleep(0.001)
        return self.done.pop()
"""


def test_a_model_that_starts_threads_is_loaded_after_the_fork(churn: Churn, copy: Path) -> None:
    with service(serve(churn, "--workers", "2"), copy, own(copy, THREADS)) as running:
        assert [ask(running, "fine") for _ in range(8)] == [200] * 8
        workers = set(running.workers())
        running.process.send_signal(signal.SIGHUP)
        until(lambda: not workers & set(running.workers()))
        assert ask(running, "fine") == 200
        assert running.stop() == 0


@pytest.mark.parametrize("library", ["sklearn", "lightgbm", "xgboost"])
def test_models_of_libraries_with_threads_are_served(
    churn: Churn, extended: Churn, copy: Path, library: str
) -> None:
    estimators = {
        "sklearn": "from sklearn.ensemble import HistGradientBoostingRegressor as E",
        "lightgbm": "from lightgbm import LGBMRegressor as E",
        "xgboost": "from xgboost import XGBRegressor as E",
    }
    few = {"max_iter" if library == "sklearn" else "n_estimators": 10}
    model = f"""
import numpy as np
{estimators[library]}
class Model:
    examples = [[0.5, 1.0]]
    def __init__(self):
        rows = np.random.default_rng(0).random((500, 2))
        self.estimator = E(**{few}).fit(rows, rows[:, 0])
    def predict(self, data: list[list[float]]) -> list[float]:
        return [float(value) for value in self.estimator.predict(np.array(data))]
"""
    env = own(copy, model)
    command = [extended.python, "-m", "churn", "serve", "--port", "0", "--workers", "2"]
    with service(command, copy, env) as running:
        body = b'{"data": [[0.5, 1.0]]}'
        assert [running.post("/predict", body)[0] for _ in range(8)] == [200] * 8
        assert running.stop() == 0


@pytest.mark.parametrize("text", ["", " ", ","], ids=["empty", "blank", "comma"])
def test_an_empty_reference_to_keys_is_no_open_door(churn: Churn, copy: Path, text: str) -> None:
    path = copy / "configs/serve.yaml"
    path.write_text(path.read_text().replace('api_keys: ""', "api_keys: ${env:K}"))
    env = {"PYTHONPATH": str(copy / "src"), "K": text}
    done = run(*serve(churn), cwd=copy, code=1, env=env)
    assert "api_keys" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_of_keys_may_have_comments_and_change_but_not_vanish(
    churn: Churn, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("# ours\nfirst\n\n  # theirs\nclé\n", encoding="utf-8")
    options = ["--workers", "1", "--set", f"api_keys_file={keys}"]
    with service(serve(churn, *options), churn.root) as running:

        def status(key: bytes) -> int:
            sent = b"POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            sent += b"Content-Type: application/json\r\nX-API-Key: " + key
            sent += b"\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
            return int(running.raw(sent).split()[1])

        assert status(b"first") == status("clé".encode()) == status("clé".encode("latin-1")) == 200
        assert status(b"# ours") == status(b"ours") == status(b"theirs") == 401
        stat = keys.stat()
        keys.write_text("other\n# more than there was\nwords to have the same length")
        os.truncate(keys, stat.st_size)
        os.utime(keys, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert (status(b"first"), status(b"other")) == (401, 200)
        keys.unlink()
        assert [status(b"other") for _ in range(5)] == [503] * 5
        assert running.request("GET", "/health/live")[0] == 200
        keys.write_text("other\n")
        assert status(b"other") == 200
        assert running.stop() == 0
    assert "".join(running.log).count("Requests are refused until it can be read") == 1


def test_a_low_limit_on_files_is_raised_or_said(churn: Churn, tmp_path: Path) -> None:
    script = tmp_path / "limited.sh"
    script.write_text('ulimit -n 200\nexec "$@"\n')
    command = ["sh", script, *serve(churn, "--workers", "1", "--set", "log=off")]
    with service(command, churn.root) as running:
        idle = []
        for _ in range(400):
            idle.append(socket.create_connection(("127.0.0.1", running.port)))
        for _ in range(20):
            assert running.post("/predict", BODY)[0] == 200
        for connection in idle:
            connection.close()
        assert running.stop() == 0
    said = "".join(running.log)
    assert said.count("connection_limit is 72, not 2000") == 1
    script.write_text('ulimit -S -n 200\nexec "$@"\n')
    with service(command, churn.root) as running:
        (worker,) = running.workers()
        limits = Path(f"/proc/{worker}/limits").read_text()
        assert int(re.findall(r"Max open files +(\d+)", limits)[0]) >= 2000
        assert running.stop() == 0
    assert "connection_limit is" not in "".join(running.log)


@pytest.fixture(scope="module")
def open_service(churn: Churn) -> Iterator[Service]:
    """One that pages of one origin may call, with short limits."""
    options = ["header_seconds=1", "body_seconds=1", "cors_origins=https://app.example"]
    sets = [word for option in options for word in ("--set", option)]
    with service(serve(churn, "--workers", "1", *sets), churn.root) as running:
        yield running


def request(*lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join([*lines, "", ""]).encode() + body


ORIGIN = "Origin: https://app.example"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request("POST /predict HTTP/1.1", "Host: x", ORIGIN, "Content-Length: 9999999"), 413),
        (
            request("POST /predict HTTP/1.1", "Host: x", ORIGIN, "Content-Length: 50", body=b"{"),
            408,
        ),
        (request("POST /predict HTTP/1.1", "Host: x", ORIGIN, "Content-Type: text/plain"), 415),
        (request("GET /nope HTTP/1.1", "Host: x", ORIGIN, "Connection: close"), 404),
    ],
    ids=["too large", "too slow", "wrong type", "not found"],
)
def test_errors_may_be_read_by_the_pages_that_may_call(
    open_service: Service, sent: bytes, status: int
) -> None:
    head = open_service.raw(sent, 4).partition(b"\r\n\r\n")[0].decode()
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert "Access-Control-Allow-Origin: https://app.example" in head
    assert "Vary: Origin" in head


def test_answers_to_other_origins_say_that_they_depend_on_it(open_service: Service) -> None:
    headers = open_service.request("GET", "/health/live")[1]
    assert headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Origin" not in headers


def test_a_preflight_is_answered(open_service: Service) -> None:
    asked = {
        "Origin": "https://app.example",
        "Access_Control_Request_Method": "POST",
        "Access_Control_Request_Headers": "content-type, x-api-key",
    }
    status, headers, _ = open_service.request("OPTIONS", "/predict", b"", **asked)
    assert status == 200
    assert "POST" in headers["Access-Control-Allow-Methods"]
    assert headers["Access-Control-Allow-Headers"] == "content-type, x-api-key"


def test_half_a_request_is_a_408_with_a_line_and_a_count(open_service: Service) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nX-Request-ID: half-1\r\nContent-Length: 9\r\n\r\n"
    assert open_service.raw(head + b"{", 4).startswith(b"HTTP/1.1 408 ")
    assert open_service.raw(b"POST /predict HT", 4).split(b" ")[1] == b"408"
    until(lambda: '"id":"half-1"' in "".join(open_service.log))
    (line,) = [line for line in open_service.log if '"id":"half-1"' in line]
    assert json.loads(line)["status"] == 408
    metrics = open_service.request("GET", "/metrics")[2].decode()
    assert 'route="/predict",status="408"' in metrics
    assert open_service.raw(b"", 4) == b""  # who sent nothing is told nothing


def test_a_body_above_the_limit_is_refused_before_it_is_asked_for(open_service: Service) -> None:
    lines = ("POST /predict HTTP/1.1", "Host: x", "Expect: 100-continue")
    large = open_service.raw(request(*lines, "Content-Length: 9999999"), 4)
    assert large.startswith(b"HTTP/1.1 413 ")
    allowed = (*lines, "Content-Type: application/json", f"Content-Length: {len(BODY)}")
    answer = open_service.raw(request(*allowed, "Connection: close", body=BODY), 4)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET /health/live HTTP/9.9", 505),
        ("GET /health/live HTTP/2.0", 505),
        ("GET /health/live", 400),
        ("G\x1bT /health/live HTTP/1.1", 400),
        ("get /health/live HTTP/1.1", 400),
    ],
    ids=["9.9", "2.0", "no version", "no token", "lower case"],
)
def test_request_lines_are_read_as_the_rfcs_have_them(
    open_service: Service, line: str, status: int
) -> None:
    answer = open_service.raw(request(line, "Host: x", "Connection: close"), 4)
    assert answer.split(b" ")[1] == str(status).encode()


def test_the_identity_encoding_is_no_encoding(open_service: Service) -> None:
    for encoding, status in (("identity", 200), ("Identity", 200), ("br", 415)):
        headers = {**JSON, "Content_Encoding": encoding}
        assert open_service.request("POST", "/predict", BODY, **headers)[0] == status


def test_half_a_surrogate_is_the_clients_error(churn: Churn, copy: Path) -> None:
    with service(serve(churn, "--workers", "1"), copy, own(copy, MODEL)) as running:
        status, answer = running.post("/predict", b'{"data": ["\\ud800"]}')
        assert (status, answer["title"]) == (400, "Invalid request")
        assert running.post("/predict", b'{"data": ["\\ud83d\\ude00"]}')[0] == 200


def test_behind_a_proxy_the_service_knows_its_path(churn: Churn) -> None:
    options = ["root_path=/model", "trusted_proxies=127.0.0.0/8", "log=json"]
    sets = [word for option in options for word in ("--set", option)]
    with service(serve(churn, "--workers", "1", *sets), churn.root) as running:
        assert running.get("/openapi.json")["servers"] == [{"url": "/model"}]
        assert running.get("/model/openapi.json")["servers"] == [{"url": "/model"}]
        assert running.post("/model/predict", BODY)[0] == running.post("/predict", BODY)[0] == 200
        _, headers, page = running.request("GET", "/")
        assert b'<base href="/model/">' in page
        assert "base-uri 'self'" in headers["Content-Security-Policy"]
        given = {"X_Forwarded_Prefix": "/other"}
        document = json.loads(running.request("GET", "/openapi.json", b"", **given)[2])
        assert document["servers"] == [{"url": "/other"}]
        bad = {"X_Forwarded_Prefix": '/"><script>'}
        assert b"script>" not in running.request("GET", "/openapi.json", b"", **bad)[2]
        metrics = running.request("GET", "/metrics")[2].decode()
        assert re.search(r'_count\{route="/predict",status="200"\} 2.0', metrics)
    with service(serve(churn, "--workers", "1"), churn.root) as running:
        document = json.loads(running.request("GET", "/openapi.json", b"", **given)[2])
        assert "servers" not in document  # whoever is not trusted says nothing


def test_any_address_of_ipv6_is_any_of_ipv4_too(churn: Churn) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with service(serve(churn, "--workers", "1", "--host", "::"), churn.root) as running:
        assert running.post("/predict", BODY)[0] == 200
        with socket.create_connection(("::1", running.port)) as connection:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_outputs_are_asked_for_once(served: Service) -> None:
    inputs = [{"name": "island", "datatype": "BYTES", "shape": [1], "data": ["Dream"]}]
    for count in (2, 100_000):
        body = json.dumps({"inputs": inputs, "outputs": [{"name": "species"}] * count}).encode()
        status, answer = served.post("/v2/models/churn/infer", body[:1_048_576])
        assert status == 400 and "error" in answer


SLOW_ANSWER = """
import time, msgspec
class Answer(msgspec.Struct):
    text: str
class Row(msgspec.Struct):
    text: str
    def __post_init__(self):
        if self.text == "slow":
            time.sleep(600)
class Model:
    def predict(self, data: list[Row]) -> list[Answer]:
        return [Answer(row.text) for row in data]
"""


def test_work_outside_predict_that_does_not_end_is_ended_too(churn: Churn, copy: Path) -> None:
    limits = ["--set", "predict_seconds=0.5", "--set", "stuck_seconds=1.5"]
    with service(serve(churn, "--workers", "1", *limits), copy, own(copy, SLOW_ANSWER)) as running:
        before = running.workers()
        assert running.post("/predict", b'{"data": [{"text": "slow"}]}')[0] == 504
        until(lambda: not set(before) & set(running.workers()))
        until(lambda: running.post("/predict", b'{"data": [{"text": "x"}]}')[0] == 200)
        assert running.stop() == 0
