"""Options about a table of the user's own, and the questions that they leave open."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cleo.helpers import option

from poetry_ml_plugin.commands.base.command import escape
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.template import from_data
from poetry_ml_plugin.template.from_data import TASKS, Data

if TYPE_CHECKING:
    from cleo.io.inputs.option import Option

    from poetry_ml_plugin.commands.base.command import MLCommand

SHOWN = 40  # columns that are listed


def options() -> list[Option]:
    """The options of a command that takes a table of the user's own."""
    return [
        option("data", None, "A table to learn from: CSV, JSON lines, Parquet, Excel.", flag=False),
        option("target", None, "The column of it to predict.", flag=False),
        option("task", None, f"{' or '.join(TASKS)}, unless the target says it.", flag=False),
        option(
            "missing", None, "A word that stands for a missing value.", flag=False, multiple=True
        ),
        option(
            "text", None, "A column of words that look like numbers.", flag=False, multiple=True
        ),
        option("day-first", None, "01/02/2024 is the first of February."),
        option("month-first", None, "01/02/2024 is the second of January."),
        option("commit-data", None, "Add the table to git."),
    ]


def given(command: MLCommand) -> Data | None:
    """The table that a command was given, after it was looked at; None where it was given none.

    Asks for the target, and whether git is to keep the table, where somebody can be asked. Raises MLError.
    """
    named = [
        name
        for name in ("target", "task", "missing", "text", "commit-data")
        if command.option(name)
    ]
    if command.option("data") is None:
        if named:
            raise MLError(f"--{named[0]} is about a table. Name the file, too: --data FILE")
        return None
    path = (command.folder / Path(command.option("data")).expanduser()).resolve()
    if command.option("task") not in (None, *TASKS):
        raise MLError(f"--task is {' or '.join(TASKS)}, not {command.option('task')}.")
    target = command.option("target")
    columns = from_data.columns(path, target)
    if target is None:
        target = _ask_target(command, path, columns)
        from_data.columns(path, target)
    description = command.option("description") or f"Predicts {target}."
    return Data(
        path, target, _words(command), _commit(command, path), " ".join(description.split())
    )


def _words(command: MLCommand) -> tuple[str, ...]:
    words = ["--task", command.option("task")] if command.option("task") else []
    for name in ("missing", "text"):
        for value in command.option(name):
            words += [f"--{name}", value]
    words += [f"--{name}" for name in ("day-first", "month-first") if command.option(name)]
    return tuple(words)


def can_ask(command: MLCommand) -> bool:
    """Whether somebody is there to answer."""
    # Poetry's own tests, and CI systems, have terminals that nobody looks at.
    return command.io.is_interactive() and sys.stdin.isatty() and not os.environ.get("CI")


def _ask_target(command: MLCommand, path: Path, columns: list[str]) -> str:
    if not columns:
        raise MLError(f"Which column of {path.name} is to be predicted? Say so: --target COLUMN")
    if not can_ask(command):
        listed = ", ".join(columns[:SHOWN]) + (", …" if len(columns) > SHOWN else "")
        raise MLError(
            f"Which column of {path.name} is to be predicted? Say so with --target. It has: {listed}."
        )
    command.line(f"{escape(path.name)} has these columns:")
    for number, name in enumerate(columns, 1):
        command.line(f"  {number:>3}  {escape(name)}")
    while True:
        command.write("Which one is to be predicted? (number or name) ")
        answer = sys.stdin.readline()
        if not answer:
            raise MLError("Nobody answers. Name the column with --target")
        word = answer.strip()
        if word in columns:
            return word
        if word.isdecimal() and 1 <= int(word) <= len(columns):
            return columns[int(word) - 1]
        command.line(f'There is no column "{escape(word)}".')


def _commit(command: MLCommand, path: Path) -> bool:
    """Whether git is to keep the table: people may be in it, so only by who says so."""
    if command.option("commit-data"):
        from_data.check_size(path)
        return True
    if not can_ask(command) or path.stat().st_size > from_data.LARGEST_COMMIT:
        return False
    command.write(
        f"Add {escape(path.name)} to git, for everybody who clones the project? (yes/no) [no] "
    )
    return sys.stdin.readline().strip().lower() in ("y", "yes")
