"""Rows of a request and the predictions that answer it, in kind: JSON, JSON lines, CSV, Parquet."""

import csv
import importlib.util
import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

import msgspec

from . import arrow, arrow_stream, pieces, readers, whole_columns
from . import columns as columnar
from .block import Block, gather
from .columns import ALONE
from .faults import MOST, Fault, InvalidRows, told
from .fields import Field, field, fields, kind_of, peel
from .headers import match
from .pieces import Piece
from .signature import InvalidAnswers, Schema

Render = Callable[[Any], bytes]
Decode = Callable[..., tuple[Any, Render]]
PARQUET = "application/vnd.apache.parquet"
ARROW = "application/vnd.apache.arrow.stream"
MOST_BYTES = 256 * 1024 * 1024  # that a request in Parquet or Arrow may unpack to
ALONE_IN = "input"  # the column of rows that are single values


def from_request(schema: Schema, body: bytes, absent: Collection[str] = ()) -> tuple[Any, Render]:
    """Rows as {"data": rows}, predictions as {"predictions": predictions}, or bare if the model says so."""
    rows = schema.decode_request(body)

    def render(answers: Any) -> bytes:
        found = schema.encode_answers(rows, answers)
        return found if schema.bare else b'{"predictions":' + found + b"}"

    return rows, render


def from_json(schema: Schema, body: bytes, absent: Collection[str] = ()) -> tuple[Any, Render]:
    """Rows in one JSON list, bare or as {"data": rows}; predictions as one JSON list."""
    rows = schema.decode_rows(body)
    return rows, lambda answers: schema.encode_answers(rows, answers)


def from_lines(schema: Schema, body: bytes, absent: Collection[str] = ()) -> tuple[Any, Render]:
    """A line of JSON for each row, and for each prediction."""
    rows = schema.decode_lines(body)

    def render(answers: Any) -> bytes:
        return b"".join(schema.encode(answer) + b"\n" for answer in schema.answers(rows, answers))

    return rows, render


def from_csv(schema: Schema, body: bytes, absent: Collection[str] = ()) -> tuple[Any, Render]:
    """A table with a header, and the same table with the predictions as further columns.

    `absent` are fields that have no column. Columns that are no field are carried along. Rows without
    names, as of an array, need no header: there is one where no cell of the first line is a number.
    """
    records = readers.records(body)
    if not records:
        raise InvalidRows([Fault("the table is empty")])
    header = records[0][1]
    if (inner := _unnamed(schema)) is not None and not _is_header(header, inner):
        header = [f"column {n}" for n, _ in enumerate(header, 1)]
        records = [(0, header), *records]
        names: Sequence[str] = ()
    else:
        names = header
    schema.check_number(len(records) - 1)
    piece = _numbered(readers.csv_piece(header, records[1:]))
    rows = piece_rows(schema, piece, absent, named=bool(names))
    return rows, lambda answers: _to_csv(header, records[1:], schema.answers(rows, answers))


def from_parquet(schema: Schema, body: bytes, absent: Collection[str] = ()) -> tuple[Any, Render]:
    """A Parquet file, and the same file with the predictions as further columns."""
    file = io.BytesIO(body)
    found = readers.parquet_batches(file, 1_024, check=schema.check_number, most=MOST_BYTES)
    return _from_batches(schema, [batch for batch, _ in found], absent, _as_parquet)


def from_arrow(schema: Schema, body: bytes, absent: Collection[str] = ()) -> tuple[Any, Render]:
    """An Arrow IPC stream, and the same table with the predictions as further columns."""
    batches = list(arrow_stream.batches(body, schema.check_number, MOST_BYTES))
    return _from_batches(schema, batches, absent, _as_stream)


def _from_batches(
    schema: Schema, batches: Sequence[Any], absent: Collection[str], write: Callable[[Any], bytes]
) -> tuple[Any, Render]:
    import pyarrow

    schema.check_number(sum(batch.num_rows for batch in batches))
    try:
        if sum(map(arrow_stream.unpacked, batches)) > MOST_BYTES:
            raise InvalidRows([Fault(f"the table unpacks to more than {MOST_BYTES:,} bytes")])
        whole = pyarrow.concat_batches(batches)
        table = pyarrow.Table.from_batches([whole])
        piece = readers.batch_piece(whole, range(1, whole.num_rows + 1))
        rows = _block(schema, whole, absent)
        if rows is None:
            numbered = all(_is_number(name) for name in whole.schema.names)
            rows = piece_rows(schema, piece, absent, named=not numbered)
    except (UnicodeDecodeError, OverflowError) as error:
        raise InvalidRows([Fault(f"a name or a value cannot be read: {error}")]) from error
    return rows, lambda answers: write(_widened(table, _columns(schema, rows, answers)))


def _block(schema: Schema, batch: Any, absent: Collection[str]) -> Block | None:
    """The rows as columns, where the model takes them and nothing is to be said of them."""
    if not schema.columnwise:
        return None
    names = batch.schema.names
    match(names, schema.fields, absent)

    def column(part: Field) -> Any:
        return arrow.array(batch.column(part.key), part)

    return gather(schema.fields, names, batch.num_rows, column)


def _columns(schema: Schema, rows: Any, answers: Any) -> dict[str, Any]:
    """Answers as columns of a table."""
    if not isinstance(answers, Block):
        return flat(schema.answers(rows, answers))
    names = [part.key for part in fields(schema.answer)] or [ALONE]
    found = whole_columns.answered(answers, schema, names)
    if found is None:
        return flat(schema.answers(rows, columnar.to_rows(answers.columns, schema.answer)))
    return columnar.flat(found if names == [ALONE] else {ALONE: found})


KINDS: dict[str, Decode] = {
    "application/json": from_json,
    "application/jsonlines": from_lines,
    "application/x-ndjson": from_lines,
    "text/csv": from_csv,
}
if importlib.util.find_spec("pyarrow"):
    KINDS |= {PARQUET: from_parquet, ARROW: from_arrow}
REQUESTS: dict[str, Decode] = {
    "application/json": from_request,
    **{kind: KINDS[kind] for kind in (PARQUET, ARROW) if kind in KINDS},
}
"""What /predict takes, where JSON has its rows in an object."""
SUFFIXES = {
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".ndjson": "application/x-ndjson",
    ".csv": "text/csv",
    ".parquet": PARQUET,
}


def _numbered(piece: Piece) -> Piece:
    """The piece with faults that name rows, from 1, and not lines."""
    faults = tuple((n, Fault(fault.message, row=n + 1)) for n, fault in piece.faults)
    return piece._replace(faults=faults)


def piece_rows(
    schema: Schema, piece: Piece, absent: Collection[str] = (), named: bool = True
) -> Any:
    """The rows of a table, as the model takes them. Raises InvalidRows."""
    if schema.fields:
        return record_rows(schema.row, pieces.complete(piece, schema.fields, absent)[0])
    if piece.faults:
        raise told(fault for _, fault in piece.faults)
    if schema.row is not None and kind_of(schema.row).base in columnar.SINGLE:
        alone = (field(ALONE_IN, ALONE_IN, schema.row),)
        piece, _ = pieces.complete(piece, alone)
        return _read(alone, piece)[0]
    return _free_rows(schema, piece, named)


def record_rows(row: Any, piece: Piece) -> list[Any]:
    """Records of this type from a piece that has a column for every field. Raises InvalidRows."""
    if piece.faults:
        raise told(fault for _, fault in pieces.faults(piece, row, most=MOST + 1))
    try:
        return pieces.rows(row, pieces.values(piece, row))
    except ValueError as error:
        faults = pieces.faults(piece, row, most=MOST + 1)
        raise told([fault for _, fault in faults] or [Fault(str(error))]) from error


def _read(parts: Sequence[Field], piece: Piece) -> list[list[Any]]:
    """The values of each of these columns. Raises InvalidRows."""
    cells = [piece.cells[part.key] for part in parts]
    try:
        return [columnar.read(p, c, piece.text) for p, c in zip(parts, cells, strict=True)]
    except ValueError as error:
        raise columnar.rejected(zip(parts, cells, strict=True), piece.text) from error


def _free_rows(schema: Schema, piece: Piece, named: bool) -> Any:
    """Rows that have no fields of their own: lists of cells, or objects where there is a header."""
    inner, objects = _free(schema)
    parts = [field(name, name, inner) for name in piece.cells]
    pieces.complete(piece, parts)  # a name that comes twice
    values = _read(parts, piece)
    if named and objects is not False:
        names = list(piece.cells)
        rows: list[Any] = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
    elif objects:
        raise InvalidRows([Fault("the table has no header")])
    else:
        rows = [list(row) for row in zip(*values, strict=True)]
    return schema.convert(rows)


def _free(schema: Schema) -> tuple[Any, bool | None]:
    """The type of a cell, and whether rows are objects; None where they may be either.

    Raises InvalidRows where rows are neither.
    """
    if schema.row is None and schema.rows is Any:
        return Any, None
    options = peel(schema.row).options if schema.row is not None else ()
    origins = {get_origin(option) or option for option in options}
    if origins == {Any} or origins == {dict, list}:
        return Any, None
    if len(options) == 1 and origins <= {list, dict, tuple}:
        arguments = get_args(options[0]) or (Any,)
        inner = arguments[-1] if origins == {dict} else arguments[0]
        return inner, origins == {dict}
    raise InvalidRows([Fault("the rows of this model do not fit a table: send them as JSON")])


def _unnamed(schema: Schema) -> Any:
    """The type of a cell where a table may be without a header; None where it needs one."""
    single = schema.row is not None and kind_of(schema.row).base in columnar.SINGLE
    return None if schema.fields or single else _free(schema)[0]


def _is_header(cells: Sequence[str], inner: Any) -> bool:
    return kind_of(inner).base == "str" or not any(_is_number(cell) for cell in cells)


def _is_number(cell: str) -> bool:
    value = columnar.loose(cell)
    return isinstance(value, int | float) and not isinstance(value, bool)


def flat(answers: Sequence[Any]) -> dict[str, list[Any]]:
    """Plain answers as columns: `prediction`, or `prediction.field` for each field and each key."""
    rows = [dict(_flat(ALONE, answer)) for answer in answers]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _flat(f"{name}.{key}", part)
    else:
        yield name, value


def _to_csv(
    header: Sequence[str], records: Sequence[tuple[int, list[str]]], answers: Sequence[Any]
) -> bytes:
    further = flat(answers)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*header, *further])
    columns = [[_cell(value) for value in values] for values in further.values()]
    for (_, row), *cells in zip(records, *columns, strict=True):
        writer.writerow([*row, *cells])
    return out.getvalue().encode()


def _cell(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, list | dict) else value


def _widened(table: Any, answers: Mapping[str, Any]) -> Any:
    """A table with the answers as further columns."""
    import pyarrow

    try:
        for name, values in answers.items():
            table = table.append_column(name, pyarrow.array(values))
    except (pyarrow.ArrowException, TypeError) as error:
        raise InvalidAnswers(f"The answers cannot be written as columns: {error}") from error
    return table


def _as_parquet(table: Any) -> bytes:
    import pyarrow.parquet

    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out)
    return out.getvalue()


def _as_stream(table: Any) -> bytes:
    import pyarrow

    out = io.BytesIO()
    with pyarrow.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    return out.getvalue()
