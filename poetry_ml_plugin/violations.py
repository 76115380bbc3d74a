"""What is wrong with a project, as data: for a table, for JSON, for an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """One thing that is wrong, and what mends it."""

    what: str  # and where
    mend: str  # a sentence
    fix: Callable[[], object] | None = None  # does it, where that is safe
    warning: bool = False  # worth knowing, and no reason to stop


def listing(violations: Iterable[Violation]) -> str:
    """One line for each, with its mend."""
    return "\n".join(f"  - {violation.what}. {violation.mend}" for violation in violations)
