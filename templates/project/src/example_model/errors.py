"""The one kind of error that is meant for the person at the keyboard."""


class ProjectError(Exception):
    """Says what happened, where, and what to do next. Anything else is a bug and keeps its traceback."""
