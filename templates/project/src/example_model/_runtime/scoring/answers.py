"""Ask a model about the rows of a part, and name those that it refuses."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args, get_origin

import numpy as np

from .. import columns as columnar
from .. import exchange, tables
from ..columns import ALONE, Columns
from ..errors import InvalidRow
from ..faults import Fault, InvalidRows
from ..fields import Field, fields, is_record, kind_of, peel
from ..pieces import Piece
from ..signature import InvalidAnswers, Schema
from .writers import Column


@dataclass(frozen=True)
class Answered:
    """What came of a piece: the indices of the rows that were predicted, and their predictions."""

    kept: Any
    columns: Columns  # of the rows, as the model takes them; none where it takes them otherwise
    answers: list[Column]
    faults: list[Fault]


class Asked:
    """A model that is asked about pieces of one file."""

    def __init__(self, model: Any, source: str, absent: Collection[str], skip: bool) -> None:
        self._schema = Schema.of(model)
        self._predict = self._schema.bind(model.predict)
        self._predict_columns = getattr(model, "predict_columns", None)
        self._source, self._absent, self._skip = source, absent, skip
        self._is_checked = False
        self._table: Callable[[Piece], tables.Table] | None = None
        if self._schema.fields:
            self._table = tables.converter(self._schema.row, source, absent, skip)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields of a row; none where it is no record."""
        return self._schema.fields

    def no_answers(self) -> list[Column]:
        """The columns of no predictions, as far as annotations name them."""
        return [Column(name, [], hint) for name, hint in _named(ALONE, self._schema.answer)]

    def about(self, piece: Piece) -> Answered:
        """Predict the rows of a piece. Raises InvalidRows for one that does not fit, unless told to skip."""
        kept: Any = np.arange(len(piece.lines))
        faults: list[Fault] = []
        columns: Columns = {}
        if self._table is not None:
            table = self._table(piece)
            columns, faults = table.columns, list(table.rejected)
            if faults:
                bad = {fault.line or fault.row for fault in faults}
                kept = np.array([n for n in kept if piece.lines[n] not in bad], int)
        while len(kept):
            try:
                return Answered(kept, columns, self._answer(piece, kept, columns), faults)
            except InvalidRow as error:
                refused = [Fault(error.message, (error.row or 0) + 1, field=error.field or "")]
                if error.row is None:
                    raise InvalidRows(
                        [Fault(f"the model refuses a row, and does not say which: {error}")],
                        self._source,
                    ) from error
            except InvalidRows as error:
                refused = [fault for fault in error.faults if fault.row]
                if not refused:
                    raise
            rows = sorted({fault.row - 1 for fault in refused})
            refused = [replace(f, row=0, line=piece.lines[kept[f.row - 1]]) for f in refused]
            if not self._skip:
                raise InvalidRows(refused, self._source)
            faults += refused
            kept = np.delete(kept, rows)
            columns = {key: np.delete(values, rows, axis=0) for key, values in columns.items()}
        return Answered(kept, columns, [], faults)

    def _answer(self, piece: Piece, kept: Any, columns: Columns) -> list[Column]:
        answer = self._schema.answer
        if self._table is not None and self._predict_columns is not None:
            found = self._predict_columns(columns)
            if not self._is_checked:  # one batch as a request's, in words: the others are alike
                columnar.to_rows(found, answer)
                self._is_checked = True
            if not is_record(answer) and isinstance(found, Mapping):
                found = found.get(ALONE, found)
            return [_checked(leaf, len(kept)) for leaf in _leaves(ALONE, found, answer)]
        some = piece if len(kept) == len(piece.lines) else piece.only(kept.tolist())
        rows = exchange.piece_rows(self._schema, some, self._absent)
        flat = exchange.flat(self._schema.answers(rows, self._predict(rows)))
        return [Column(name, values, _hint(answer, name)) for name, values in flat.items()]


def _leaves(name: str, found: Any, hint: Any) -> Iterator[Column]:
    """Columns without nesting, by the names that `predict` gives them in a table."""
    if isinstance(found, Mapping):
        names = {part.name: part.key for part in fields(hint)}
        for key, values in found.items():
            key = columnar.key_of(names.get(key, key))
            yield from _leaves(f"{name}.{key}", values, _inner(hint, key))
    else:
        yield Column(name, found if hasattr(found, "dtype") else np.asarray(found), hint)


def _named(name: str, hint: Any) -> Iterator[tuple[str, Any]]:
    if parts := fields(hint):
        for part in parts:
            yield from _named(f"{name}.{part.key}", part.type)
    elif get_origin(hint) is not dict:
        yield name, hint


def _hint(answer: Any, name: str) -> Any:
    """The annotation of a value by the name of its column."""
    hint = answer
    for key in name.split(".")[1:]:
        hint = _inner(hint, key)
    return hint


def _inner(hint: Any, key: str) -> Any:
    for part in fields(hint):
        if part.key == key:
            return part.type
    options = peel(hint).options
    if len(options) == 1 and get_origin(options[0]) is dict:
        return get_args(options[0])[1]
    return Any


def _checked(column: Column, rows: int) -> Column:
    """A column of answers. Raises InvalidAnswers where JSON could not have it."""
    values = column.values
    if len(values) != rows:
        raise InvalidAnswers(f"predict_columns gave {len(values)} answers for {rows} rows.")
    if getattr(values.dtype, "kind", "") == "f" and not np.isfinite(values).all():
        kind = kind_of(column.hint)
        if np.isinf(values).any() or not (kind.nullable or kind.base == "any"):
            raise InvalidAnswers(f"{column.name} has a number that is not finite.")
    return column
