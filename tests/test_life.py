"""The life of the service: stops, crashes, reloads, each under load."""

from __future__ import annotations

import os
import random
import re
import signal
from pathlib import Path

import pytest
from conftest import ROWS, Churn, run
from load import Load
from serving import service, until

BODIES = [
    f'{{"data": [{{"island": "Dream", "body_mass_g": {n}}}]}}'.encode() for n in range(2700, 2800)
]

# Saves a model that can be loaded, and that knows another column than the service gives it.
OTHER = """
import numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression
from churn import manifest
from churn._runtime import estimators
table = pd.DataFrame({"other": np.arange(20.0)})
other = LogisticRegression().fit(table, np.arange(20) > 9)
manifest.save("model.onnx", estimators.export(other, table, 1e-4).value)
"""


def serve(churn: Churn, *options: str) -> list[str | Path]:
    return [churn.python, "-m", "churn", "serve", "--port", "0", "--set", "log=off", *options]


def answered(load: Load, more: int) -> None:
    """Wait until so many more requests have been answered."""
    wanted = load.outcomes["200"] + more
    until(lambda: load.outcomes["200"] >= wanted)


def test_50_stops_under_load_lose_nothing(churn: Churn) -> None:
    dice = random.Random(5)
    for n in range(50):
        with service(serve(churn, "--workers", str(1 + n % 2)), churn.root) as running:
            with Load(running.port, BODIES, clients=16) as load:
                answered(load, dice.randrange(16, 200))
                number = signal.SIGINT if n % 5 == 0 else signal.SIGTERM
                assert running.stop(number) == 0
            assert load.lost == 0, load.outcomes
            assert set(load.outcomes) <= {"200", "refused"}


def test_killed_workers_are_replaced_at_once(churn: Churn) -> None:
    with service(serve(churn, "--workers", "2"), churn.root) as running:
        with Load(running.port, BODIES, clients=8) as load:
            for _ in range(4):  # one more in a row, and it would be a crash loop
                answered(load, 50)
                before = running.workers()
                os.kill(before[0], signal.SIGKILL)
                until(lambda b=before: len(set(running.workers()) - {b[0]}) == 2)  # type: ignore[misc]
        until(lambda: f"Worker {before[0]} ended with -9" in "".join(running.log))
        # A killed process takes its requests with it: at most those of 8 connections each time.
        assert load.lost <= 4 * 8
        assert running.stop() == 0


def test_a_worker_that_is_told_to_leave_loses_nothing(churn: Churn) -> None:
    with service(serve(churn, "--workers", "2"), churn.root) as running:
        with Load(running.port, BODIES, clients=16) as load:
            for _ in range(5):
                answered(load, 50)
                before = running.workers()
                os.kill(before[0], signal.SIGTERM)
                until(lambda b=before: b[0] not in running.workers())  # type: ignore[misc]
        assert load.outcomes.keys() == {"200"}, load.outcomes


def test_sighup_loads_the_new_model_and_loses_nothing(churn: Churn, copy: Path) -> None:
    def species() -> float:
        answer = running.post("/predict", b'{"data": [{"island": "Dream"}]}')[1]
        return float(answer["predictions"][0]["probabilities"]["Adelie"])

    env = {"PYTHONPATH": str(copy / "src")}
    with service(serve(churn, "--workers", "2"), copy, env) as running:
        with Load(running.port, BODIES, clients=8) as load:
            old, workers = species(), set(running.workers())
            churn.verb("train", "--set", "trees=3", "--set", "seed=5", cwd=copy)
            running.process.send_signal(signal.SIGHUP)
            until(lambda: not workers & set(running.workers()))
            new = species()
            assert new != old
            model = copy / "src/churn/artifacts/model.onnx"
            content = model.read_bytes()
            model.write_bytes(content[:1000])
            running.process.send_signal(signal.SIGHUP)
            until(lambda: "the old one stays" in "".join(running.log))
            assert species() == new
            until(lambda: running.request("GET", "/health/ready")[0] == 503)
            assert running.request("GET", "/health/live")[0] == 200
            model.write_bytes(content)
            until(lambda: running.request("GET", "/health/ready")[0] == 200)
        assert load.outcomes.keys() == {"200"}, load.outcomes
        assert running.stop() == 0


def test_sighup_keeps_the_old_model_where_no_worker_can_start_with_the_new(
    churn: Churn, copy: Path
) -> None:
    env = {"PYTHONPATH": str(copy / "src")}
    with service(serve(churn, "--workers", "2"), copy, env) as running:
        workers = running.workers()
        with Load(running.port, BODIES, clients=4) as load:
            run(churn.python, "-c", OTHER, cwd=copy, env=env)
            running.process.send_signal(signal.SIGHUP)
            until(lambda: "the old one stays: a worker cannot start" in "".join(running.log))
            answered(load, 100)
        assert running.workers() == workers
        assert load.outcomes.keys() == {"200"}, load.outcomes
        assert running.stop() == 0


def test_sighup_reads_the_settings_again(churn: Churn, copy: Path) -> None:
    def status() -> int:
        return running.post("/predict", b'{"data": [{"island": "Dream"}, {"island": "Dream"}]}')[0]

    path = copy / "configs/serve.yaml"
    with service(serve(churn), copy, {"PYTHONPATH": str(copy / "src")}) as running:
        assert status() == 200
        workers, text = set(running.workers()), path.read_text()
        path.write_text(text.replace("max_rows: 10000", "max_rows: 1"))
        running.process.send_signal(signal.SIGHUP)
        until(lambda: not workers & set(running.workers()))
        assert status() == 400
        path.write_text(text.replace("max_rows: 10000", "max_row: 3"))
        running.process.send_signal(signal.SIGHUP)
        until(lambda: 'Did you mean "max_rows"?' in "".join(running.log))
        assert status() == 400
        assert "Traceback" not in "".join(running.log)


def test_a_file_of_keys_that_is_missing_is_said_without_a_traceback(churn: Churn) -> None:
    words = ("--port", "0", "--workers", "1", "--set", "api_keys_file=/nowhere/keys")
    said = churn.verb("serve", *words, code=1).stderr
    assert "api_keys_file /nowhere/keys: No such file or directory." in said
    assert "Traceback" not in said


def test_a_service_that_cannot_start_says_why(churn: Churn, copy: Path) -> None:
    path = copy / "src/churn/models/model.py"
    text = path.read_text().replace(
        "return to_rows(", "import os; os._exit(3)\n        return to_rows("
    )
    assert "os._exit" in text
    path.write_text(text)
    done = churn.verb("serve", "--port", "0", "--workers", "2", cwd=copy, code=1)
    assert "A worker cannot start: it ended with 3 before it was ready." in done.stderr
    assert done.stderr.strip().count("Traceback") == 0


def test_workers_leave_when_their_supervisor_is_killed(churn: Churn) -> None:
    with service(serve(churn, "--workers", "2"), churn.root) as running:
        workers = running.workers()
        running.process.kill()
        until(lambda: not any(alive(pid) for pid in workers))


def alive(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_reload_takes_up_a_change_of_the_code(churn: Churn, copy: Path) -> None:
    env = {"PYTHONPATH": str(copy / "src")}
    with service(serve(churn, "--workers", "1"), copy, env) as probe:
        port = str(probe.port)
    command = [churn.python, "-m", "churn", "serve", "--port", port, "--reload"]
    with service(command, copy, env) as running:
        before = running.post("/predict", f'{{"data": {ROWS}}}'.encode())[1]
        path = copy / "src/churn/models/model.py"
        text = path.read_text()
        loud = "[Prediction(p.species.upper(), p.probabilities) for p in "
        path.write_text(re.sub(r"return (to_rows\(.*\))", rf"return {loud}\1]", text, count=1))
        expected = before["predictions"][0]["species"].upper()

        def changed() -> bool:
            try:
                answer = running.post("/predict", f'{{"data": {ROWS}}}'.encode())[1]
            except OSError:
                return False
            return bool(answer["predictions"][0]["species"] == expected)

        until(changed)
        path.write_text(text + "def (")
        until(lambda: "SyntaxError" in "".join(running.log))
        expected = before["predictions"][0]["species"]
        path.write_text(text)
        until(changed)
        assert running.stop() == 0


@pytest.mark.parametrize(
    ("env", "options", "workers"),
    [({"WEB_CONCURRENCY": "3"}, [], 3), ({"WEB_CONCURRENCY": "3"}, ["--workers", "1"], 1)],
    ids=["variable", "option wins"],
)
def test_the_platform_says_how_many_workers(
    churn: Churn, env: dict[str, str], options: list[str], workers: int
) -> None:
    with service(serve(churn, *options), churn.root, env) as running:
        until(lambda: len(running.workers()) == workers)
