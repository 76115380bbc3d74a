"""The traceback of an error as its author should see it: without the machinery."""

import sys
import traceback
from pathlib import Path

import click

MACHINERY = (Path(__file__).resolve().parent, Path(click.__file__).resolve().parent)


def of_user(error: BaseException) -> str:
    """Format the traceback of an error in the user's code; an empty text where none of it is the user's."""
    told = traceback.TracebackException.from_exception(error)
    _cut(told)
    is_syntax = isinstance(error, SyntaxError) and not _is_ours(str(error.filename))
    return "".join(told.format()) if told.stack or is_syntax else ""


def _cut(told: traceback.TracebackException) -> None:
    """Leave out the frames of the machinery, and those that led to it, here and in what caused it."""
    entry = next((n for n, frame in enumerate(told.stack) if _is_machinery(frame)), 0)
    told.stack[:] = [frame for frame in told.stack[entry:] if not _is_machinery(frame)]
    for other in (told.__cause__, told.__context__, *(told.exceptions or ())):
        if other is not None:
            _cut(other)


def _is_machinery(frame: traceback.FrameSummary) -> bool:
    is_entry = Path(frame.filename).name == "__main__.py" or frame.filename == sys.argv[0]
    return is_entry or _is_ours(frame.filename)


def _is_ours(filename: str) -> bool:
    """Tell whether a file is of the machinery, of click, or of Python's own runpy and importlib."""
    parents = Path(filename).parents
    return filename.startswith("<frozen ") or any(folder in parents for folder in MACHINERY)
