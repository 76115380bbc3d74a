"""Rows of a request as columns: joined with those of other requests, predicted at once, and cut apart."""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

from . import columns as columnar
from .columns import Columns
from .fields import Field
from .signature import InvalidAnswers, Schema


class Block:
    """Columns of one length, as `Model.predict_columns` takes and gives them. They may be nested."""

    def __init__(self, columns: Columns, size: int) -> None:
        self.columns, self._size = columns, size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> "Block":
        columns = _each(self.columns, lambda values: values[part])
        return Block(columns, len(range(self._size)[part]))

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows."""
        columns = [columnar.plain_list(_rows(values)) for values in self.columns.values()]
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*columns, strict=True)]

    def joined_with(self, others: Sequence["Block"]) -> "Block":
        """One block of several, which have the same columns."""
        parts = (self, *others)
        columns = {
            name: columnar.join([part.columns[name] for part in parts]) for name in self.columns
        }
        return Block(columns, sum(map(len, parts)))

    def count(self, name: str) -> Counter[Any]:
        """How often each value of a column occurs; nothing of nested columns and of lists."""
        values: Any = self.columns.get(name)
        try:
            return Counter(values.tolist() if hasattr(values, "tolist") else ())
        except TypeError:
            return Counter()


def gather(
    wanted: Iterable[Field], names: Container[str], size: int, column: Callable[[Field], Any]
) -> Block | None:
    """Rows with a column for each field: those of these names by `column`, others of their defaults.

    None where a field has neither, or `column` gives None.
    """
    columns: Columns = {}
    for part in wanted:
        found = None
        if part.key in names:
            found = column(part)
        elif not part.required:
            found = columnar.to_array([part.default()] * size, part)
        if found is None:
            return None
        columns[part.key] = found
    return Block(columns, size)


def takes_columns(schema: Schema, model: Any) -> bool:
    """Whether rows that are columns already need not become objects for this model."""
    own_check = hasattr(schema.row, "__post_init__")
    return bool(schema.fields) and hasattr(model, "predict_columns") and not own_check


def bind(schema: Schema, model: Any) -> Callable[[Any], Any]:
    """A `predict` for rows as `schema` decodes them, and for blocks, which it answers with a block."""
    predict = schema.bind(model.predict)

    def call(rows: Any) -> Any:
        if not isinstance(rows, Block):
            return predict(rows)
        own = _each(rows.columns, _writable)
        return _answered(model.predict_columns(own), len(rows))

    return call


def _rows(values: Any) -> Any:
    """Nested columns as a block of their own, an array as it is."""
    if not isinstance(values, dict):
        return values
    return Block(values, len(next(iter(columnar.flat(values).values()), ())))


def _answered(answers: Any, size: int) -> Block:
    """The answers to so many rows. Raises InvalidAnswers where there are more or fewer."""
    if not isinstance(answers, dict):
        raise InvalidAnswers(f"predict_columns gave a {type(answers).__name__}, not columns.")
    arrays = _each(answers, _array)
    for name, values in columnar.flat(arrays).items():
        if values.shape[:1] != (size,):
            raise InvalidAnswers(f"predict_columns gave {name} for other than {size} rows.")
    return Block(arrays, size)


def _writable(values: Any) -> Any:
    """The model's own array: one of a request's bytes cannot be changed."""
    return values if values.flags.writeable else values.copy()


def _array(values: Any) -> Any:
    import numpy  # late: a model may do without it

    return numpy.asarray(values)


def _each(columns: Columns, change: Callable[[Any], Any]) -> Columns:
    """The columns with each array changed, those of nested columns too."""
    return {
        name: _each(values, change) if isinstance(values, dict) else change(values)
        for name, values in columns.items()
    }
