"""The service: real sockets, real signals."""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import ROWS, Churn, run
from serving import service, until

SLOW = """
import pathlib, time
from churn import package
from churn._runtime.service import ServeConfig
from churn._runtime.serving import serve
class Slow:
    def predict(self, data):
        if data == "secret":
            raise ValueError(data)
        while not pathlib.Path(data).exists():
            time.sleep(0.01)
        return data
serve(package, Slow, lambda: ServeConfig(port=0, workers=2), lambda url: print("Serving at", url, flush=True))
"""


def test_http_answers_what_python_answers(churn: Churn) -> None:
    expected = json.loads(churn.verb("predict", ROWS).stdout)
    with service([churn.python, "-m", "churn", "serve", "--port", "0"], churn.root) as running:
        status, answer = running.post("/predict", f'{{"data": {ROWS}}}'.encode())
        assert (status, answer) == (200, {"predictions": expected})
        assert running.get("/health/live") == {"status": "live"}
        assert running.get("/health/ready") == {"status": "ready"}
        assert running.get("/openapi.json")["info"]["title"] == "churn"
        assert running.stop() == 0


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "truncated"),
        (b'{"data": [{"island": "Dream", "sex": 1}]}', 400, "row 1, sex"),
        (b'{"data": [{"island": "Dream", "body_mass_g": 1e999}]}', 400, "out of range"),
        (b'{"data": [{"island": "Dream", "body_mass_g": true}]}', 400, "row 1, body_mass_g"),
        (b"\xff\xfe", 400, "malformed"),
        (b" " * 1_048_577, 413, ""),
    ],
    ids=["truncated", "wrong type", "out of range", "boolean", "no UTF-8", "too long"],
)
def test_bad_input_is_a_4xx_that_names_the_place(
    churn: Churn, body: bytes, status: int, said: str
) -> None:
    with service([churn.python, "-m", "churn", "serve", "--port", "0"], churn.root) as running:
        code, answer = running.post("/predict", body)
        assert code == status
        assert said in str(answer)
        assert running.get("/health/live") == {"status": "live"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_what_is_in_flight(churn: Churn, tmp_path: Path, number: int) -> None:
    go = tmp_path / "go"  # what the model waits for
    body = json.dumps({"data": str(go)}).encode()
    answers: list[Any] = []
    with service([churn.python, "-c", SLOW], churn.root) as running:
        threads = [
            threading.Thread(target=lambda: answers.append(running.post("/predict", body)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        until(lambda: running.unread() == [0] * 8)
        running.process.send_signal(number)
        assert answers == []
        go.touch()
        assert running.process.wait(timeout=60) == 0
        for thread in threads:
            thread.join()
    assert answers == [(200, {"predictions": str(go)})] * 8


def test_a_raising_model_is_a_500_that_tells_nothing(churn: Churn) -> None:
    with service([churn.python, "-c", SLOW], churn.root) as running:
        status, answer = running.post("/predict", b'{"data": "secret"}')
        assert status == 500
        assert "secret" not in str(answer)
        assert "Traceback" not in str(answer)


def test_poetry_ml_serve_passes_the_signal_on(churn: Churn) -> None:
    command = [sys.executable, "-m", "poetry", "ml", "serve", "--port", "0"]
    with service(command, churn.root) as running:
        assert running.get("/health/ready") == {"status": "ready"}
        assert running.stop() == 0


def test_a_port_in_use_is_one_sentence(churn: Churn) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = churn.verb("serve", "--port", port, code=1).stderr
    assert f"Cannot listen on 127.0.0.1, port {port}: Address already in use" in said


def test_the_platform_says_the_port(churn: Churn) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with service(
        [churn.python, "-m", "churn", "serve"], churn.root, {"PORT": str(port)}
    ) as running:
        assert running.url == f"http://127.0.0.1:{port}"


def test_serving_imports_no_training_library(churn: Churn) -> None:
    ask = (
        "import sys; from churn import package; from churn._runtime.serving import serve; from churn.models.model import Model;"
        "Model(); print(sorted({'pandas', 'sklearn', 'skl2onnx'} & set(sys.modules)))"
    )
    assert run(churn.python, "-c", ask, cwd=churn.root).stdout == "[]\n"
