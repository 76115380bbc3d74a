"""Batching: every caller gets its own answer, and nobody waits for nothing."""

from __future__ import annotations

import importlib.util
import random
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from conftest import REPOSITORY


def load() -> ModuleType:
    """The template's module: it needs the standard library only."""
    path = REPOSITORY / "templates/project/src/example_model/_runtime/service/batching.py"
    spec = importlib.util.spec_from_file_location("batching", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


Batcher = load().Batcher


def together(tasks: list[Callable[[], None]]) -> None:
    """Run these at the same time, each in a thread of its own."""
    gate = threading.Barrier(len(tasks))

    def start(task: Callable[[], None]) -> None:
        gate.wait()
        task()

    threads = [threading.Thread(target=start, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()


class Doubling:
    """A model that notes how it is called."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.batches: list[list[int]] = []
        self.inside = 0
        self.most_inside = 0

    def predict(self, rows: list[int]) -> list[int]:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        self.batches.append(rows)
        time.sleep(self.seconds)
        self.inside -= 1
        if -1 in rows:
            raise ValueError("poisoned")
        return [2 * row for row in rows]


@pytest.mark.parametrize("seconds", [0.0, 0.002])
def test_64_threads_get_each_their_own_answers(seconds: float) -> None:
    model = Doubling(seconds)
    batcher = Batcher(model.predict)
    wrong: list[Any] = []

    def ask(n: int) -> None:
        for k in range(50):
            rows = [n * 1000 + k] * (1 + k % 3)
            answers = batcher.predict(rows)
            if answers != [2 * row for row in rows]:
                wrong.append((rows, answers))

    together([lambda n=n: ask(n) for n in range(64)])  # type: ignore[misc]
    assert wrong == []
    assert model.most_inside == 1
    assert batcher.busy_since is None
    assert batcher.depth == 0
    if seconds:
        assert len(model.batches) < 64 * 50 / 4


def test_a_lone_request_is_predicted_at_once_in_its_own_thread() -> None:
    seen: list[int] = []

    def note(rows: list[int]) -> list[int]:
        seen.append(threading.get_ident())
        return rows

    batcher = Batcher(note)
    for _ in range(20):
        batcher.predict([1])
    assert set(seen) == {threading.get_ident()}


def test_a_poisoned_row_fails_alone() -> None:
    model = Doubling(0.005)
    batcher = Batcher(model.predict)
    outcomes: dict[int, Any] = {}

    def ask(n: int) -> None:
        rows = [-1] if n == 7 else [n]
        try:
            outcomes[n] = batcher.predict(rows)
        except ValueError as error:
            outcomes[n] = str(error)

    for _ in range(5):
        outcomes.clear()
        together([lambda n=n: ask(n) for n in range(32)])  # type: ignore[misc]
        assert outcomes == {n: "poisoned" if n == 7 else [2 * n] for n in range(32)}


def test_batches_keep_to_their_limits() -> None:
    model = Doubling(0.002)
    batcher = Batcher(model.predict, max_batch=4, max_rows=10)
    together([lambda: batcher.predict([1, 2, 3]) for _ in range(40)])
    assert max(map(len, model.batches)) <= 10
    alone = Doubling(0.001)
    off = Batcher(alone.predict, max_batch=1)
    together([lambda: off.predict([1]) for _ in range(16)])
    assert {len(batch) for batch in alone.batches} == {1}


def test_a_model_that_gives_too_few_answers_mixes_none() -> None:
    def one_only(rows: list[int]) -> list[int]:
        time.sleep(0.002)
        return rows[:1]

    batcher = Batcher(one_only)
    answers: list[Any] = []
    together([lambda n=n: answers.append((n, batcher.predict([n]))) for n in range(16)])  # type: ignore[misc]
    assert all(answer == [n] for n, answer in answers)


@pytest.mark.parametrize("arrivals", ["burst", "open loop"])
def test_bursts_and_open_loops_are_answered_too(arrivals: str) -> None:
    model = Doubling(0.001)
    batcher = Batcher(model.predict)
    pause = random.Random(1)
    answers: dict[int, list[int]] = {}

    def ask(n: int, wait: float) -> None:
        time.sleep(wait)
        answers[n] = batcher.predict([n])

    waits = [(n // 40) * 0.05 if arrivals == "burst" else pause.random() * 0.3 for n in range(200)]
    together([lambda n=n, w=w: ask(n, w) for n, w in enumerate(waits)])  # type: ignore[misc]
    assert answers == {n: [2 * n] for n in range(200)}
    assert len(model.batches) <= 200


def test_clients_that_ask_and_ask_are_served_in_full_batches() -> None:
    model = Doubling(0.02)
    batcher = Batcher(model.predict)

    def ask(n: int) -> None:
        for _ in range(12):
            assert batcher.predict([n]) == [2 * n]

    together([lambda n=n: ask(n) for n in range(8)])  # type: ignore[misc]
    assert sum(map(len, model.batches)) == 8 * 12
    assert len(model.batches) < 8 * 12 / 4  # alternating halves would be 24, one by one 96


def test_after_waits_in_vain_fewer_and_fewer_batches_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batcher = Batcher(Doubling(0.002).predict)
    waited: list[float] = []

    def wait_for(is_there: Callable[[], bool], seconds: float) -> bool:
        waited.append(seconds)
        return False  # nobody comes back in time

    monkeypatch.setattr(batcher._more, "wait_for", wait_for)

    def ask(n: int) -> None:
        for _ in range(30):
            assert batcher.predict([n]) == [2 * n]

    together([lambda n=n: ask(n) for n in range(4)])  # type: ignore[misc]
    assert len(waited) <= 7  # of at least 30 batches: after 1, 2, 4, 8 ... that did not
    assert all(seconds <= 0.05 for seconds in waited)
