"""What Prometheus can ask about the service, all its processes together."""

import json
import mmap
import struct
import threading
from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

LABELS = 100  # series of one kind, at most
LABEL_LENGTH = 64  # characters
SEATS = 64  # processes
SHEET = 65_536  # bytes, of which the first KEYS are for the names of series
KEYS = 24_576
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

Values = Any  # a memoryview of doubles
Labels = tuple[tuple[str, str], ...]
Key = tuple[str, Labels]  # a name, and its labels


class Sheet:
    """The numbers of one process, which alone writes them; all may read.

    A length, that many bytes of names, one JSON array a line, and in the same order their values as
    doubles. The length is written last, so a reader never sees a name without its values.
    """

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory
        self._values: Values = memory[KEYS:].cast("d")
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._used = 0
        struct.pack_into("Q", self._memory, 0, 0)

    def series(self, key: Key, size: int) -> Values | None:
        """The place of a series' values, all zero; or None if there is no room."""
        (length,) = struct.unpack_from("Q", self._memory)
        line = json.dumps([*key, size]).encode() + b"\n"
        start, end = self._used, self._used + size
        if 8 + length + len(line) > KEYS or end > len(self._values):
            return None
        values = self._values[start:end]
        for n in range(size):
            values[n] = 0.0
        self._memory[8 + length : 8 + length + len(line)] = line
        struct.pack_into("Q", self._memory, 0, length + len(line))
        self._used = end
        return values

    def read(self) -> Iterable[tuple[Key, list[float]]]:
        """The series, with their values."""
        (length,) = struct.unpack_from("Q", self._memory)
        start = 0
        for line in bytes(self._memory[8 : 8 + length]).splitlines():
            name, labels, size = json.loads(line)
            key = name, tuple((k, v) for k, v in labels)
            yield key, self._values[start : start + size].tolist()
            start += size


class Board:
    """The sheets of all processes, in memory that they share.

    It is made before the first fork. Since it is no file, no disk can be too full for it.
    """

    def __init__(self) -> None:
        memory = memoryview(mmap.mmap(-1, 8 + SHEET * (SEATS + 1)))
        self._version = memory[:8]  # odd while numbers move from one sheet to another
        parts = (memory[8 + SHEET * n : 8 + SHEET * (n + 1)] for n in range(SEATS + 1))
        self._past, *self._sheets = map(Sheet, parts)
        self._kept: dict[Key, Values | None] = {}

    def sheet(self, seat: int) -> Sheet:
        """The sheet of the process at a seat, or a private one for a process too many."""
        if seat < len(self._sheets):
            return self._sheets[seat]
        return Sheet(memoryview(bytearray(SHEET)))

    def fold(self, seat: int) -> None:
        """Add the numbers of a process that has ended to those of the past. For the supervisor alone."""
        if seat >= len(self._sheets):
            return
        self._count_version()
        for key, values in self._sheets[seat].read():
            if key[0] == DEPTH:
                continue
            if key not in self._kept:
                self._kept[key] = self._past.series(key, len(values))
            if (place := self._kept[key]) is not None:
                for n, value in enumerate(values):
                    place[n] += value
        self._sheets[seat].clear()
        self._count_version()

    def total(self) -> dict[Key, list[float]]:
        """The sums over all processes, past and present."""
        for _ in range(100):
            before = bytes(self._version)
            sums: dict[Key, list[float]] = {}
            for sheet in (self._past, *self._sheets):
                for key, values in sheet.read():
                    known = sums.get(key, [0.0] * len(values))
                    sums[key] = [a + b for a, b in zip(known, values, strict=True)]
            if before[0] % 2 == 0 and before == bytes(self._version):
                break
        return sums

    def _count_version(self) -> None:
        (version,) = struct.unpack_from("Q", self._version)
        struct.pack_into("Q", self._version, 0, version + 1)


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
        self._labels = {label[:LABEL_LENGTH] for label in labels}
        self._known: dict[Key, Values | None] = {}
        self._lock = threading.Lock()
        self.depth(0)

    def request(self, route: str, status: str, seconds: float) -> None:
        """Count a request."""
        self._observe((REQUESTS, (("route", route), ("status", status))), seconds)

    def batch(self, rows: int) -> None:
        """Count a call of the model."""
        self._observe((BATCHES, ()), rows)

    def dropped(self, lines: int) -> None:
        """Count lines of a log that could not be written."""
        self._add((DROPPED, ()), lines)

    def inputs(self, column: str, fault: str) -> None:
        """Count a value that is missing, unseen or out of the training's range."""
        self._add((INPUTS, (("column", column[:LABEL_LENGTH]), ("is", fault))), 1)

    def depth(self, waiting: int) -> None:
        """Say how many requests wait in this process."""
        with self._lock:
            if (values := self._values((DEPTH, ()), 1)) is not None:
                values[0] = waiting

    def predictions(self, answers: Any) -> None:
        """Count answers by their label, where it is one of few that were known beforehand.

        A label is the answer itself, or the first of its fields.
        """
        if not self._labels or not isinstance(answers, list):
            return
        counts: dict[str, int] = {}
        for answer in answers:
            label = str(_label(answer))[:LABEL_LENGTH]
            label = label if label in self._labels else OTHER
            counts[label] = counts.get(label, 0) + 1
        for label, count in counts.items():
            self._add((PREDICTIONS, (("label", label),)), count)

    def render(self) -> bytes:
        """Everything, in Prometheus' text format."""
        lines = ["# HELP model_info The model", "# TYPE model_info gauge", self._about]
        shown = ""
        for (name, labels), values in sorted(self._board.total().items()):
            if name != shown:
                kind, text = ABOUT[name]
                lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
                shown = name
            lines += _render(name, labels, values)
        return "\n".join([*lines, ""]).encode()

    def _observe(self, key: Key, value: float) -> None:
        bounds = BOUNDS[key[0]]
        with self._lock:
            if (values := self._values(key, len(bounds) + 2)) is not None:
                values[bisect_left(bounds, value)] += 1
                values[-1] += value

    def _add(self, key: Key, value: float) -> None:
        with self._lock:
            if (values := self._values(key, 1)) is not None:
                values[0] += value

    def _values(self, key: Key, size: int) -> Values | None:
        if key not in self._known:
            if len(self._known) > LABELS * 4:
                return None
            self._known[key] = self._sheet.series(key, size)
        return self._known[key]


def _label(answer: Any) -> Any:
    """The answer itself, or its first field; the value of an Enum."""
    if fields := getattr(answer, "__struct_fields__", None):
        answer = getattr(answer, fields[0])
    elif isinstance(answer, dict):
        answer = next(iter(answer.values()), None)
    return getattr(answer, "value", answer)


def _render(name: str, labels: Labels, values: list[float]) -> list[str]:
    if name not in BOUNDS:
        return [f"{name}{_braces(labels)} {values[0]}"]
    lines, count = [], 0.0
    for bound, value in zip((*BOUNDS[name], "+Inf"), values[:-1], strict=True):
        count += value
        lines.append(f"{name}_bucket{_braces((('le', str(bound)), *labels))} {count}")
    marks = _braces(labels)
    return [*lines, f"{name}_count{marks} {count}", f"{name}_sum{marks} {values[-1]}"]


def _braces(labels: Labels) -> str:
    pairs = ",".join(f'{name}="{_escape(text)}"' for name, text in labels)
    return f"{{{pairs}}}" if pairs else ""


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
