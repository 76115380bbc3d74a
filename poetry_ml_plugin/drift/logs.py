"""The lines that a service wrote of its predictions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from poetry_ml_plugin.errors import MLError

SET = "Set log_predictions in configs/serve.yaml to have the service write some."


@dataclass
class Log:
    """Rows with their answers, and what was left out of them."""

    rows: list[tuple[dict[str, Any], Any]] = field(default_factory=list)
    broken: int = 0  # lines that are no record of a prediction
    others: set[str] = field(
        default_factory=set
    )  # when the other models were trained that wrote lines
    foreign: int = 0  # lines of those

    @property
    def notes(self) -> list[str]:
        """Say what was left out."""
        said = []
        if self.broken:
            said.append(f"{self.broken:,} lines are no record of a prediction, and were left out")
        if self.foreign:
            said.append(
                f"{self.foreign:,} lines are of other models (trained {', '.join(sorted(self.others))}), "
                "and were left out"
            )
        return said


def read(paths: Iterable[Path], trained: str) -> Log:
    """Read the lines of files, or of the .jsonl files in folders, that the model of this training wrote.

    Raises MLError where there are none.
    """
    log = Log()
    files = [file for path in paths for file in _files(path)]
    for file in files:
        for line in _lines(file):
            _take(log, line, trained)
    if not log.rows:
        names = ", ".join(str(file) for file in files) or "No file"
        if log.foreign:
            raise MLError(
                f"{names}: all lines are of another model, trained {', '.join(sorted(log.others))}; the one "
                f"here was trained {trained}. Check its revision out, or give the logs of this model."
            )
        if log.broken:
            raise MLError(f"{names}: no line is a record of a prediction. {SET}")
        raise MLError(f"{names} has no predictions. {SET}")
    return log


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.glob("*.jsonl"))
    if not path.is_file():
        raise MLError(
            f"{path} does not exist. Give the folder that log_predictions names, or files in it."
        )
    return [path]


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        raise MLError(f"{path} cannot be read: {error.strerror}.") from error


def _take(log: Log, line: bytes, trained: str) -> None:
    if not line.strip():
        return
    try:
        found = json.loads(line)
        row, answer, when = found["row"], found["answer"], str(found["trained"])
    except (ValueError, KeyError, TypeError, RecursionError):
        log.broken += 1
        return
    if when != trained:
        log.foreign += 1
        log.others.add(when)
    elif isinstance(row, dict):
        log.rows.append((row, answer))
    else:
        log.broken += 1
