"""The one family of errors that is meant for users."""

from __future__ import annotations


class MLError(Exception):
    """A user's error: what happened, where, and what to do next. Bugs keep their traceback."""
