"""A log of some of the rows that were predicted, for `poetry ml drift`; what is private stays out."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from ..block import Block
from ..columns import hook, plain_list
from ..output import Bounded
from ..signature import Schema
from .protocol import ServeConfig


class PredictionLog:
    """Writes a line for each row that the share picks, if there is a folder for it. It fails no request."""

    def __init__(
        self,
        settings: ServeConfig,
        seat: int,
        schema: Schema,
        model: dict[str, Any],
        on_drop: Callable[[int], None],
    ) -> None:
        self._share, self._model, self._on_drop = settings.log_predictions_share, model, on_drop
        self._private = {field.key for field in schema.fields if field.is_private}
        path = Path(settings.log_predictions, f"predictions-{seat}.jsonl")
        self._output = Bounded(path, on_drop) if settings.log_predictions else None

    def write(self, request_id: str, rows: Any, answers: Any) -> None:
        """Write lines of what was predicted for a request. What is no rows is one."""
        if self._output is None:
            return
        if not isinstance(rows, list | Block):
            rows, answers = [rows], [answers]
        picked = [n for n in range(len(rows)) if random.random() < self._share]
        if not picked:
            return
        about = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "id": request_id}
        try:
            given, rows = plain_list(answers), plain_list(rows)
            for n in picked:
                row = msgspec.to_builtins(rows[n], enc_hook=hook)
                if isinstance(row, dict):
                    row = {key: value for key, value in row.items() if key not in self._private}
                line = {**about, **self._model, "row": row, "answer": given[n]}
                self._output.write(msgspec.json.encode(line, enc_hook=hook))
        except Exception:  # rows of a kind that is no JSON: the request has its answer
            self._on_drop(len(picked))

    def close(self, seconds: float) -> None:
        """Write what is still to be written, for at most so long."""
        if self._output is not None:
            self._output.close(seconds)
