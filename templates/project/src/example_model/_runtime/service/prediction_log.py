"""A log of some of the rows that were predicted, for `poetry ml drift`; what is private stays out."""

import random
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..columns import hook, plain_list
from ..errors import ProjectError
from ..output import Rotating
from .protocol import Request


class PredictionLog:
    """Writes a line for each row that the share picks. It neither blocks nor fails a request.

    Raises ProjectError where its folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        seat: int,
        share: float,
        model: Mapping[str, Any],
        private: frozenset[str],
        on_drop: Callable[[int], None],
    ) -> None:
        self._share, self._model, self._private, self._on_drop = share, model, private, on_drop
        self._held: dict[int, tuple[Any, Any]] = {}  # thread to what it has predicted
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._output = Rotating(folder / f"predictions-{seat}.jsonl", on_drop)
        except OSError as error:
            raise ProjectError(f"log_predictions {folder}: {error.strerror}.") from error

    def hold(self, rows: Any, answers: Any) -> None:
        """Keep what this thread has predicted until its request is answered."""
        self._held[threading.get_ident()] = rows, answers

    def write(self, request: Request) -> None:
        """Write lines of what this thread has predicted for a request."""
        rows, answers = self._held.pop(threading.get_ident(), ((), ()))
        picked = [n for n in range(len(rows)) if random.random() < self._share]
        if not picked:
            return
        about = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "id": request.id}
        try:
            given = plain_list(answers)
            for n in picked:
                row = msgspec.to_builtins(rows[n], enc_hook=hook)
                if isinstance(row, dict):
                    row = {key: value for key, value in row.items() if key not in self._private}
                line = {**about, **self._model, "row": row, "answer": given[n]}
                self._output.write(msgspec.json.encode(line, enc_hook=hook))
        except (TypeError, ValueError, IndexError, KeyError):  # rows of a kind that is no JSON
            self._on_drop(len(picked))

    def close(self, seconds: float) -> None:
        """Write what is still to be written, for at most so long."""
        self._output.close(seconds)
