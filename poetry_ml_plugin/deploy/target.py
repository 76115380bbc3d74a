"""Definition of a deploy target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Target:
    """A row of TARGETS, or what an entry point in the group `poetry_ml_plugin.targets` names.

    Its commands are cleo's, by the words that follow `poetry ml deploy NAME`: "" is the deploy itself,
    "status" is `poetry ml deploy NAME status`. Each is "package.module:Class", imported as it is used.
    The class sets `name = "ml deploy NAME status"`, its own arguments and options, and has a constructor
    without arguments.
    """

    summary: str  # one line, as "poetry ml deploy --list" shows it
    needs: str  # the same: what has to be there before the first deploy
    commands: Mapping[str, str]
    checks: str = ""
    """What has to be so before a deploy: "package.module:NAME" of a sequence of functions, each from
    `audit.facts.ProjectFacts` to problems. `poetry ml check` shows them as deploy-NAME."""

    def own_checks(self) -> Iterable[Callable[[Any], Iterable[Any]]]:
        """Import the functions that `checks` names."""
        module, _, name = self.checks.partition(":")
        return tuple(getattr(import_module(module), name)) if module else ()
