"""The one family of errors that is meant for users."""

from __future__ import annotations


class MLError(Exception):
    """What happened, where, and what to do next. Anything else is a bug and keeps its traceback."""
