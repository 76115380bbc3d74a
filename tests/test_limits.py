"""What goes wrong with services on the internet, tried on this one."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import resource
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import ROWS, Churn
from load import Load
from serving import Service, service

BODY = f'{{"data": {ROWS}}}'.encode()
SLEEPY = """
import os, sys, time
from churn import package
from churn._runtime.service import ServeConfig
from churn._runtime.server.supervisor import Supervisor
class Sleepy:
    batch = False
    def predict(self, data: list[float]) -> list[float]:
        time.sleep(data[0])
        return data
settings = dict(pair.split("=") for pair in sys.argv[1:])
import msgspec
supervisor = Supervisor(package, Sleepy, lambda: msgspec.convert({"port": 0, "workers": 1, **settings}, ServeConfig, strict=False))
supervisor.run(lambda url: print("Serving at", url, flush=True))
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
        ("application/json", gzip.compress(BODY), "gzip"),
        ("", BODY, None),
    ],
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
    assert "length <= 10000" in answer["detail"]


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


def test_slow_senders_are_cut_off_while_others_are_served(churn: Churn) -> None:
    limits = ["--set", "header_seconds=2", "--set", "body_seconds=3", "--set", "log=off"]
    command = [churn.python, "-m", "churn", "serve", "--port", "0", "--workers", "1", *limits]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    with service(command, churn.root) as running:
        slow = []
        for n in range(1000):
            connection = socket.create_connection(("127.0.0.1", running.port))
            in_body = head("Host: x", "Content-Type: application/json", "Content-Length: 500")
            connection.sendall(
                in_body + b"{" if n % 2 else b"POST /predict HTTP/1.1\r\nHost: x\r\n"
            )
            slow.append(connection)
        try:
            for _ in range(10):
                start = time.monotonic()
                assert works(running)
                assert time.monotonic() - start < 2
            deadline = time.monotonic() + 10
            open_still = list(slow)
            while open_still and time.monotonic() < deadline:
                for connection in open_still:  # one byte now and then does not keep one alive
                    with suppress(OSError):
                        connection.sendall(b"x")
                time.sleep(0.5)
                open_still = [c for c in open_still if not closed(c)]
            assert open_still == []
        finally:
            for connection in slow:
                connection.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_client_that_reads_no_answer_is_let_go(churn: Churn) -> None:
    limits = ["--set", "keep_alive_seconds=1", "--set", "log=off"]
    command = [churn.python, "-m", "churn", "serve", "--port", "0", "--workers", "1", *limits]
    with service(command, churn.root) as running, socket.socket() as connection:
        (worker,) = running.workers()
        assert works(running)  # and has opened the files of its metrics
        time.sleep(0.5)
        before = open_files(worker)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", running.port))
        connection.sendall(head("Host: x", method="GET / HTTP/1.1") * 250)  # more than is buffered
        time.sleep(0.5)
        assert open_files(worker) > before
        deadline = time.monotonic() + 15
        while open_files(worker) > before and time.monotonic() < deadline:
            time.sleep(0.1)
        assert open_files(worker) == before


def open_files(pid: int) -> int:
    """How many files and connections a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def closed(connection: socket.socket) -> bool:
    connection.settimeout(0)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_more_connections_than_the_limit_evict_the_oldest(churn: Churn) -> None:
    limits = ["--set", "connection_limit=50", "--set", "log=off"]
    command = [churn.python, "-m", "churn", "serve", "--port", "0", "--workers", "1", *limits]
    with service(command, churn.root) as running:
        idle = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(120)]
        time.sleep(1)
        assert works(running)
        assert sum(closed(connection) for connection in idle) >= 60
        for connection in idle:
            connection.close()


def test_a_late_answer_is_a_504_and_health_stays(churn: Churn) -> None:
    command = [churn.python, "-c", SLEEPY, "predict_seconds=1", "threads=4"]
    with service(command, churn.root) as running:
        for _ in range(20):  # a quick model is asked in the loop itself: it must not stay there
            assert running.post("/predict", b'{"data": [0]}')[0] == 200
        statuses: list[int] = []

        # What waits for a thread is given up too, on a connection of any age.
        def ask(number: int) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
            for seconds in (0, 3):
                body, headers = f'{{"data": [{seconds}]}}', {"X-Request-ID": f"ask-{number}"}
                headers["Content-Type"] = "application/json"
                connection.request("POST", "/predict", body, headers)
                answer = connection.getresponse()
                answer.read()
            statuses.append(answer.status)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        start = time.monotonic()
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        for _ in range(5):
            asked = time.monotonic()
            assert running.get("/health/live") == {"status": "live"}
            assert time.monotonic() - asked < 1
        for thread in threads:
            thread.join()
        assert statuses == [504] * 8
        assert time.monotonic() - start < 3
        assert "took too long" in str(running.post("/predict", b'{"data": [9]}'))
        tensor = {"name": "input", "datatype": "FP64", "shape": [1], "data": [3]}
        named = {"Content_Type": "application/json", "X_Request_ID": "late-1"}
        body = json.dumps({"inputs": [tensor]}).encode()
        path = "/v2/models/churn/infer"
        status, headers, body = running.request("POST", path, body, **named)
        assert (status, json.loads(body)) == (504, {"error": "The prediction took too long."})
        assert headers["X-Request-Id"] == "late-1"
        while (answer := running.request("GET", "/metrics"))[0] != 200:
            assert answer[0] == 504  # every thread still sleeps
        name = r'http_request_duration_seconds_sum\{route="/predict",status="504"\} (\S+)'
        # Nine were given up, after a second each.
        assert float(re.findall(name, answer[2].decode())[0]) > 9
        assert running.stop() == 0
    told = [line for line in running.log if '"id":"ask-' in line]
    assert len(told) == 16  # and what ends after its 504 is not told, nor counted, again


def test_a_worker_that_is_stuck_is_replaced(churn: Churn) -> None:
    command = [churn.python, "-c", SLEEPY, "predict_seconds=0.5", "stuck_seconds=1"]
    with service(command, churn.root) as running:
        before = running.workers()
        assert running.post("/predict", b'{"data": [600]}')[0] == 504
        deadline = time.monotonic() + 5
        while running.workers() == before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert running.post("/predict", b'{"data": [0]}') == (200, {"predictions": [0.0]})
        assert running.workers() != before
        assert running.stop() == 0


def test_overload_is_refused_in_time_and_memory_stays_flat(churn: Churn) -> None:
    command = [churn.python, "-c", SLEEPY, "threads=8", "queue_limit=20", "log=off"]
    with service(command, churn.root) as running:
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
        assert load.slowest < 5
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
