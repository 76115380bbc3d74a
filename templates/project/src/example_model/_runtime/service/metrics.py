"""What Prometheus can ask about the service, all its processes together."""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..board import Board

LABEL_LENGTH = 64  # characters
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 1_000, 10_000)
OTHER = "other"

REQUESTS = "http_request_duration_seconds"
BATCHES = "model_batch_rows"
PREDICTIONS = "model_predictions_total"
DEPTH = "model_queue_depth"
INPUTS = "model_input_values_total"
DROPPED = "log_lines_dropped_total"
BOUNDS: dict[str, tuple[float, ...]] = {REQUESTS: SECONDS, BATCHES: ROWS}
ABOUT = {
    REQUESTS: ("histogram", "Requests, and how long they took"),
    BATCHES: ("histogram", "Rows that were predicted in one call"),
    PREDICTIONS: ("counter", "Predictions by label"),
    DEPTH: ("gauge", "Requests that wait"),
    INPUTS: ("counter", "Values that the training saw none of, in up to 64 rows a request"),
    DROPPED: ("counter", "Lines of the log that could not be written"),
}


class Metrics:
    """The metrics of one process."""

    def __init__(self, name: str, version: str, board: Board | None = None, seat: int = 0) -> None:
        self._about = f'model_info{{name="{_escape(name)}",version="{_escape(version)}"}} 1.0'
        self._board = board or Board()
        self._sheet = self._board.sheet(seat)
        self._labels: dict[str, str] = {}  # to the key of its series
        self._lock = threading.Lock()
        self.depth(0)

    def know(self, labels: Iterable[str]) -> None:
        """Count predictions by these labels, and others together."""
        self._labels = {cut: _key(cut) for label in labels if (cut := label[:LABEL_LENGTH])}

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._observe(f'{REQUESTS}|route="{route}",status="{status}"', SECONDS, seconds)

    def batch(self, rows: int) -> None:
        """Count a call of the model."""
        self._observe(BATCHES, ROWS, rows)

    def dropped(self, lines: int) -> None:
        """Count lines of a log that could not be written."""
        self._add(DROPPED, lines)

    def inputs(self, column: str, fault: str) -> None:
        """Count a value that is missing, unseen or out of the training's range."""
        self._add(f'{INPUTS}|column="{_escape(column[:LABEL_LENGTH])}",is="{fault}"', 1)

    def depth(self, waiting: int) -> None:
        """Say how many requests wait in this process."""
        with self._lock:
            self._sheet[DEPTH][0] = waiting

    def predictions(self, answers: Any) -> None:
        """Count answers by their label, where it is one of few that were known beforehand.

        A label is the answer itself, or the first of its fields; a Counter holds labels already.
        """
        if not self._labels or not isinstance(answers, list | Counter):
            return
        found: Counter[Any] = (
            answers
            if isinstance(answers, Counter)
            else Counter(str(_label(answer)) for answer in answers)
        )
        counts: Counter[str] = Counter()
        for label, count in found.items():
            counts[str(label)[:LABEL_LENGTH]] += count
        for label, count in counts.items():
            self._add(self._labels.get(label) or _key(OTHER), count)

    def render(self) -> bytes:
        """Everything, in Prometheus' text format."""
        lines = ["# HELP model_info The model", "# TYPE model_info gauge", self._about]
        shown = ""
        for key, values in sorted(self._board.total().items()):
            name, _, labels = key.partition("|")
            if name != shown:
                kind, text = ABOUT[name]
                lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
                shown = name
            lines += _render(name, labels, values)
        return "\n".join([*lines, ""]).encode()

    def _observe(self, key: str, bounds: Sequence[float], value: float) -> None:
        with self._lock:
            values = self._sheet[key]
            values[bisect_left(bounds, value)] += 1
            values[-1] += value

    def _add(self, key: str, value: float) -> None:
        with self._lock:
            self._sheet[key][0] += value


def _key(label: str) -> str:
    return f'{PREDICTIONS}|label="{_escape(label)}"'


def _label(answer: Any) -> Any:
    """The answer itself, or its first field; the value of an Enum."""
    if fields := getattr(answer, "__struct_fields__", None):
        answer = getattr(answer, fields[0])
    elif isinstance(answer, dict):
        answer = next(iter(answer.values()), None)
    return getattr(answer, "value", answer)


def _render(name: str, labels: str, values: list[float]) -> Iterator[str]:
    if name not in BOUNDS:
        yield f"{name}{_braces(labels)} {values[0]}"
        return
    count = 0.0
    for bound, value in zip((*BOUNDS[name], "+Inf"), values, strict=False):
        count += value
        bucket = f'le="{bound}"'
        yield f"{name}_bucket{_braces(bucket, labels)} {count}"
    yield f"{name}_count{_braces(labels)} {count}"
    yield f"{name}_sum{_braces(labels)} {values[-1]}"


def _braces(*labels: str) -> str:
    given = ",".join(filter(None, labels))
    return f"{{{given}}}" if given else ""


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
