"""What Prometheus can ask about the service, all its processes together."""

import os
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

LABELS = 100  # at most; a model that answers with free text would fill the memory
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 1_000, 10_000)


class Metrics:
    """The metrics of one process. In several, PROMETHEUS_MULTIPROC_DIR names the folder they share:
    it must be set before this module is imported."""

    def __init__(self, name: str, version: str) -> None:
        self._registry = CollectorRegistry()
        self._requests = self._make(
            Histogram,
            "http_request_duration_seconds",
            "Requests, and how long they took",
            ["route", "status"],
            buckets=SECONDS,
        )
        self._batches = self._make(
            Histogram, "model_batch_rows", "Rows that were predicted in one call", buckets=ROWS
        )
        self._labels = self._make(Counter, "model_predictions", "Predictions by label", ["label"])
        self._depth = self._make(
            Gauge, "model_queue_depth", "Requests that wait", multiprocess_mode="livesum"
        )
        self._known: dict[Any, Any] = {}  # looking a child up is dearer than adding to it
        about = ["name", "version"]
        info = self._make(Gauge, "model_info", "The model", about, multiprocess_mode="max")
        info.labels(name, version).set(1)
        self._depth.set(0)

    def _make(self, kind: Any, name: str, text: str, labels: Any = (), **options: Any) -> Any:
        return kind(name, text, labels, registry=self._registry, **options)

    def request(self, route: str, status: str, seconds: float) -> None:
        """Count a request."""
        key = (route, status)
        if key not in self._known:
            self._known[key] = self._requests.labels(*key)
        self._known[key].observe(seconds)

    def batch(self, rows: int) -> None:
        """Count a call of the model."""
        self._batches.observe(rows)

    def predictions(self, answers: Any) -> None:
        """Count answers by their label: a word or a whole number, or what their first field has of these."""
        if not isinstance(answers, list):
            return
        counts: dict[str, int] = {}
        for answer in answers:
            if isinstance(answer, msgspec.Struct):
                answer = getattr(answer, answer.__struct_fields__[0], None)
            if isinstance(answer, str | int):
                counts[str(answer)] = counts.get(str(answer), 0) + 1
        for label, count in counts.items():
            if label not in self._known and len(self._known) > LABELS:
                label = "other"
            if label not in self._known:
                self._known[label] = self._labels.labels(label)
            self._known[label].inc(count)

    def depth(self, waiting: int) -> None:
        """Say how many requests wait in this process."""
        self._depth.set(waiting)

    def render(self) -> bytes:
        """Everything, in Prometheus' text format."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)
        return generate_latest(together)
