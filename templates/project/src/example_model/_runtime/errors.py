"""The errors that are meant for people. Anything else is a bug and keeps its traceback."""


class ProjectError(Exception):
    """Says what happened, where, and what to do next."""


class InvalidRow(ValueError):
    """Raised by `predict` for a row that it cannot predict: the caller's error, not the model's.

    `row` is the row's index in what `predict` was given, `field` the field that is wrong.
    """

    def __init__(self, message: str, row: int | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.message, self.row, self.field = message, row, field
