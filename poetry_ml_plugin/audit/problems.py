"""Problems of a project, as data: for a table, for JSON, for an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and what to do about it."""

    message: str  # what is wrong, and where
    hint: str  # what to do next, as a sentence
    fix: Callable[[], object] | None = None  # does it, where that is safe
    severity: Literal["error", "warning"] = "error"  # a warning is no reason to stop


def listing(problems: Iterable[Problem]) -> str:
    """Write one line for each problem, with its hint."""
    return "\n".join(f"  - {problem.message}. {problem.hint}" for problem in problems)
