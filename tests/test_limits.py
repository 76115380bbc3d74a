"""What goes wrong with services on the internet, tried on this one."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from conftest import ROWS, Churn
from load import Load
from serving import Service, closed, service, until

BODY = f'{{"data": {ROWS}}}'.encode()
SLEEPY = """
import pathlib, sys, time
from churn import package
from churn._runtime.service import ServeConfig
from churn._runtime.serving import serve
class Sleepy:
    batch = False
    def predict(self, data: list[float]) -> list[float]:
        end = time.monotonic() + data[0]
        while time.monotonic() < end and not pathlib.Path("go").exists():
            time.sleep(0.01)
        return data
settings = dict(pair.split("=") for pair in sys.argv[1:])
import msgspec
configure = lambda: msgspec.convert({"port": 0, "workers": 1, **settings}, ServeConfig, strict=False)
serve(package, Sleepy, configure, lambda url: print("Serving at", url, flush=True))
"""


def head(*lines: str, method: str = "POST /predict HTTP/1.1") -> bytes:
    return "\r\n".join([method, *lines, "", ""]).encode()


def works(served: Service) -> bool:
    return served.post("/predict", BODY)[0] == 200


@pytest.mark.parametrize(
    ("kind", "body", "encoding"),
    [
        ("application/x-www-form-urlencoded", b"island=Dream", None),
        ("multipart/form-data; boundary=x", b"--x--", None),
        ("text/plain", BODY, None),
        ("application/json", gzip.compress(BODY, mtime=0), "gzip"),
        ("", BODY, None),
    ],
    ids=["form", "multipart", "text", "gzip", "no type"],
)
def test_only_plain_json_is_taken(
    served: Service, kind: str, body: bytes, encoding: str | None
) -> None:
    headers = {"Content_Type": kind} | ({"Content_Encoding": encoding} if encoding else {})
    assert served.request("POST", "/predict", body, **headers)[0] == 415


def test_a_body_above_the_limit_is_refused_before_it_is_read(served: Service) -> None:
    sent = head("Host: x", "Content-Type: application/json", "Content-Length: 1048577")
    refusal = served.raw(sent)
    assert b" 413 " in refusal.split(b"\r\n")[0]
    assert b"more than 1048576 bytes" in refusal
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    sent = head("Host: x", "Content-Type: application/json", "Transfer-Encoding: chunked")
    assert b" 413 " in served.raw(sent + chunk * 17).split(b"\r\n")[0]
    status, answer = served.post("/predict", BODY + b" " * (1_048_576 - len(BODY)))
    assert status == 200, answer


def test_a_row_above_the_limit_is_refused(served: Service) -> None:
    rows = json.dumps({"data": [{"island": "Dream"}] * 10_000}).encode()
    assert served.post("/predict", rows)[0] == 200
    rows = json.dumps({"data": [{"island": "Dream"}] * 10_001}).encode()
    status, answer = served.post("/predict", rows)
    assert status == 400
    assert "a request may hold 10,000" in answer["detail"]


def test_headers_above_the_limit_are_refused(served: Service) -> None:
    answer = served.raw(head("Host: x", "X: " + "y" * 16_384))
    assert b" 431 " in answer.split(b"\r\n")[0]
    assert b"more than 16384 bytes" in answer
    assert b"application/problem+json" in answer


@pytest.mark.parametrize(
    "lines",
    [
        ("Host: x", "Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Host: x", "Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Host: x", "Content-Length: 5", "Content-Length: 6"),
        ("Host: x", "Content-Length: +5"),
        ("Host: x", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("Host: x", "host: y", "Content-Length: 0"),
        ("Content-Length: 0",),
        ("Host: x", "X: a", " folded", "Content-Length: 0"),
        ("Host: x", "X: a", "\tfolded", "Content-Length: 0"),
        ("Host: x", "Content-Length : 5"),
    ],
    ids=[
        "length and chunked",
        "chunked and length",
        "two lengths",
        "signed length",
        "chunked twice",
        "two hosts",
        "no host",
        "folded by a blank",
        "folded by a tab",
        "blank before the colon",
    ],
)
def test_ambiguous_framing_is_refused_and_nothing_behind_it_is_served(
    served: Service, lines: tuple[str, ...]
) -> None:
    smuggled = head("Host: x", method="GET /health/live HTTP/1.1")
    answer = served.raw(head(*lines) + b"0\r\n\r\n" + smuggled)
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b'"live"' not in answer
    assert answer.count(b"HTTP/1.1") <= 1
    assert b"Connection: close" in answer


def test_a_chunked_body_is_not_taken_from_a_client_of_http_1_0(served: Service) -> None:
    lines = ("Connection: keep-alive", "Transfer-Encoding: chunked")
    smuggled = head("Host: x", method="GET /health/live HTTP/1.1")
    answer = served.raw(head(*lines, method="POST /predict HTTP/1.0") + smuggled)
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b'"live"' not in answer


@pytest.fixture
def many_files() -> Iterator[None]:
    """Leave to have thousands of connections open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def slow_senders(running: Service) -> Iterator[list[socket.socket]]:
    """A thousand connections, each in the middle of a header or of a body."""
    in_header = b"POST /predict HTTP/1.1\r\nHost: x\r\n"
    in_body = head("Host: x", "Content-Type: application/json", "Content-Length: 500") + b"{"
    slow = []
    try:
        for n in range(1000):
            slow.append(socket.create_connection(("127.0.0.1", running.port)))
            slow[-1].sendall(in_body if n % 2 else in_header)
        yield slow
    finally:
        for connection in slow:
            connection.close()


@pytest.mark.usefixtures("many_files")
def test_others_are_served_while_slow_senders_send(churn: Churn) -> None:
    limits = ["--set", "header_seconds=600", "--set", "body_seconds=600", "--set", "log=off"]
    command = [churn.python, "-m", "churn", "serve", "--port", "0", "--workers", "1", *limits]
    with service(command, churn.root) as running, slow_senders(running) as slow:
        assert all(works(running) for _ in range(10))
        assert not any(map(closed, slow))


@pytest.mark.usefixtures("many_files")
def test_slow_senders_are_cut_off(churn: Churn) -> None:
    limits = ["--set", "header_seconds=2", "--set", "body_seconds=3", "--set", "log=off"]
    command = [churn.python, "-m", "churn", "serve", "--port", "0", "--workers", "1", *limits]
    with service(command, churn.root) as running, slow_senders(running) as slow:

        def cut_off() -> bool:
            for connection in slow:  # one byte now and then does not keep one alive
                with suppress(OSError):
                    connection.sendall(b"x")
            return all(map(closed, slow))

        until(cut_off)
        assert works(running)


def test_a_client_that_reads_no_answer_is_let_go(churn: Churn) -> None:
    limits = ["--set", "keep_alive_seconds=1", "--set", "log=off"]
    command = [churn.python, "-m", "churn", "serve", "--port", "0", "--workers", "1", *limits]
    with service(command, churn.root) as running, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", running.port))
        connection.sendall(head("Host: x", method="GET / HTTP/1.1") * 250)  # more than is buffered
        until(lambda: len(running.unread()) == 1)
        until(lambda: running.unread() == [])
        assert works(running)


def test_more_connections_than_the_limit_evict_the_oldest(churn: Churn) -> None:
    limits = ["--set", "connection_limit=50", "--set", "log=off"]
    command = [churn.python, "-m", "churn", "serve", "--port", "0", "--workers", "1", *limits]
    with service(command, churn.root) as running:
        idle = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(120)]
        until(lambda: sum(map(closed, idle)) >= 70)
        assert works(running)
        for connection in idle:
            connection.close()


def test_a_late_answer_is_a_504_and_health_stays(churn: Churn, tmp_path: Path) -> None:
    command = [churn.python, "-c", SLEEPY, "predict_seconds=1", "stuck_seconds=600", "threads=4"]
    with service(command, tmp_path) as running:
        for _ in range(20):  # a quick model is asked in the loop itself: it must not stay there
            assert running.post("/predict", b'{"data": [0]}')[0] == 200
        statuses: list[int] = []

        # What waits for a thread is given up too, on a connection of any age.
        def ask(number: int) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
            for seconds in (0, 600):
                body, headers = f'{{"data": [{seconds}]}}', {"X-Request-ID": f"ask-{number}"}
                headers["Content-Type"] = "application/json"
                connection.request("POST", "/predict", body, headers)
                answer = connection.getresponse()
                answer.read()
            statuses.append(answer.status)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == [504] * 8
        # From here on every thread is busy, until the model gets its file.
        for _ in range(5):
            assert running.get("/health/live") == {"status": "live"}
        assert "took too long" in str(running.post("/predict", b'{"data": [600]}'))
        tensor = {"name": "input", "datatype": "FP64", "shape": [1], "data": [600]}
        named = {"Content_Type": "application/json", "X_Request_ID": "late-1"}
        body = json.dumps({"inputs": [tensor]}).encode()
        path = "/v2/models/churn/infer"
        status, headers, body = running.request("POST", path, body, **named)
        assert (status, json.loads(body)) == (504, {"error": "The prediction took too long."})
        assert headers["X-Request-Id"] == "late-1"
        (tmp_path / "go").touch()
        until(lambda: running.request("GET", "/metrics")[0] == 200)
        answer = running.request("GET", "/metrics")[2].decode()
        name = r'http_request_duration_seconds_sum\{route="/predict",status="504"\} (\S+)'
        # Nine were given up, after a second each.
        assert float(re.findall(name, answer)[0]) > 9
        assert running.stop() == 0
    told = [line for line in running.log if '"id":"ask-' in line]
    assert len(told) == 16  # and what ends after its 504 is not told, nor counted, again


def test_a_worker_that_is_stuck_is_replaced(churn: Churn, tmp_path: Path) -> None:
    command = [churn.python, "-c", SLEEPY, "predict_seconds=0.5", "stuck_seconds=1"]
    with service(command, tmp_path) as running:
        before = running.workers()
        assert running.post("/predict", b'{"data": [600]}')[0] == 504
        until(lambda: running.workers() not in ([], before))
        assert running.post("/predict", b'{"data": [0]}') == (200, {"predictions": [0.0]})
        assert running.stop() == 0


def test_overload_is_refused_and_memory_stays_flat(churn: Churn, tmp_path: Path) -> None:
    command = [churn.python, "-c", SLEEPY, "threads=8", "queue_limit=20", "log=off"]
    with service(command, tmp_path) as running:
        (worker,) = running.workers()
        body = b'{"data": [0.01]}'
        with Load(running.port, [body], clients=8, most=30) as load:
            load.wait()
        assert set(load.outcomes) == {"200"}
        before = rss(worker)
        with Load(running.port, [body], clients=140, most=40) as load:  # 5 times what fits
            load.wait()
        assert set(load.outcomes) == {"200", "503"}
        assert load.outcomes["200"] > 50
        assert rss(worker) < before + 30_000
        sent = running.request("POST", "/predict", body, Content_Type="application/json")
        assert sent[0] == 200


def rss(pid: int) -> int:
    """Resident memory of a process in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def test_100_megabytes_of_json_neither_block_nor_fill_the_memory(served: Service) -> None:
    before = max(map(rss, served.workers()))
    sent = head("Host: x", "Content-Type: application/json", f"Content-Length: {100 * 2**20}")
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as connection:
        connection.sendall(sent)
        with suppress(OSError):
            for _ in range(100):
                connection.sendall(b"[" * 2**20)
    assert works(served)
    assert max(map(rss, served.workers())) < before + 30_000
