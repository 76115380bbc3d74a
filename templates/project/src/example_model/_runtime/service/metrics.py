"""What Prometheus can ask about the service, all its processes together."""

import mmap
import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any

LABEL_LENGTH = 64  # characters
SEATS = 64  # processes
SERIES = 512  # of one process
KEY, VALUES = 384, 16  # bytes and doubles: the room of a series
CELL = KEY + 8 * VALUES
SHEET = CELL * SERIES
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 1_000, 10_000)
OTHER = "other"

REQUESTS = "http_request_duration_seconds"
BATCHES = "model_batch_rows"
PREDICTIONS = "model_predictions_total"
DEPTH = "model_queue_depth"
DROPPED = "log_lines_dropped_total"
BOUNDS: dict[str, tuple[float, ...]] = {REQUESTS: SECONDS, BATCHES: ROWS}
ABOUT = {
    REQUESTS: ("histogram", "Requests, and how long they took"),
    BATCHES: ("histogram", "Rows that were predicted in one call"),
    PREDICTIONS: ("counter", "Predictions by label"),
    DEPTH: ("gauge", "Requests that wait"),
    DROPPED: ("counter", "Lines of the log that could not be written"),
}

Values = Any  # a memoryview of doubles


class Board:
    """The numbers of all processes, in memory that they share: a sheet for the process at each seat.

    It is made before the first fork. Since it is no file, no disk can be too full for it. Only the
    process at a seat writes its sheet, all may read; whoever has the seat next counts on from there,
    so nothing is lost with a process that ends, and nothing has to be moved.

    A sheet is a row of cells, each with the key of a series, such as `name|label="x"`, and its values.
    """

    def __init__(self) -> None:
        self._memory = memoryview(mmap.mmap(-1, SHEET * SEATS))

    def sheet(self, seat: int) -> memoryview:
        """The memory of the process at a seat; private memory for a process too many."""
        part = self._memory[SHEET * seat : SHEET * (seat + 1)]
        return part or memoryview(bytearray(SHEET))

    def total(self) -> dict[str, list[float]]:
        """The sums over all processes."""
        sums: dict[str, list[float]] = {}
        for seat in range(SEATS):
            for key, values in series(self.sheet(seat)):
                known = sums.get(key, [0.0] * VALUES)
                sums[key] = [a + b for a, b in zip(known, values, strict=True)]
        return sums


def series(sheet: memoryview) -> Iterator[tuple[str, Values]]:
    """The keys and values that are in a sheet."""
    for start in range(0, SHEET, CELL):
        if not sheet[start]:
            return
        key = bytes(sheet[start : start + KEY]).rstrip(b"\0").decode()
        yield key, sheet[start + KEY : start + CELL].cast("d")


class Metrics:
    """The metrics of one process."""

    def __init__(
        self,
        name: str,
        version: str,
        board: Board | None = None,
        seat: int = 0,
        labels: Iterable[str] = (),
    ) -> None:
        self._about = f'model_info{{name="{_escape(name)}",version="{_escape(version)}"}} 1.0'
        self._board = board or Board()
        self._sheet = self._board.sheet(seat)
        self._known: dict[str, Values | None] = dict(series(self._sheet))
        self._labels = {label[:LABEL_LENGTH] for label in labels}
        self._lock = threading.Lock()
        self.depth(0)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._observe(REQUESTS, f'route="{route}",status="{status}"', seconds)

    def batch(self, rows: int) -> None:
        """Count a call of the model."""
        self._observe(BATCHES, "", rows)

    def dropped(self, lines: int) -> None:
        """Count lines of a log that could not be written."""
        self._add(f"{DROPPED}|", lines)

    def depth(self, waiting: int) -> None:
        """Say how many requests wait in this process."""
        with self._lock:
            if (values := self._values(f"{DEPTH}|")) is not None:
                values[0] = waiting

    def predictions(self, answers: Any) -> None:
        """Count answers by their label, where it is one of few that were known beforehand.

        A label is the answer itself, or the first of its fields.
        """
        if not self._labels or not isinstance(answers, list):
            return
        for answer in answers:
            label = str(_label(answer))[:LABEL_LENGTH]
            self._add(_key(PREDICTIONS, label=label if label in self._labels else OTHER), 1)

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

    def _observe(self, name: str, labels: str, value: float) -> None:
        bounds = BOUNDS[name]
        with self._lock:
            if (values := self._values(f"{name}|{labels}")) is not None:
                values[bisect_left(bounds, value)] += 1
                values[VALUES - 1] += value

    def _add(self, key: str, value: float) -> None:
        with self._lock:
            if (values := self._values(key)) is not None:
                values[0] += value

    def _values(self, key: str) -> Values | None:
        """The values of a series, which is begun if need be; None if there is no room for it."""
        if key not in self._known and len(self._known) < SERIES and len(name := key.encode()) < KEY:
            start = CELL * len(self._known)
            self._sheet[start + 1 : start + len(name)] = name[1:]
            self._sheet[start] = name[0]  # last: from here on the others see it
            self._known[key] = self._sheet[start + KEY : start + CELL].cast("d")
        return self._known.get(key)


def _key(name: str, **labels: str) -> str:
    return f"{name}|" + ",".join(f'{label}="{_escape(text)}"' for label, text in labels.items())


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
    yield f"{name}_sum{_braces(labels)} {values[VALUES - 1]}"


def _braces(*labels: str) -> str:
    given = ",".join(filter(None, labels))
    return f"{{{given}}}" if given else ""


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
