"""Rows as columns, and columns as rows.

Columns are a dict from the names that fields have in JSON to numpy arrays of one length, with the dtype
that the field's annotation asks for, whatever the values are:

float: float64, NaN where missing · int: int64 · int | None: float64 · bool: bool · bool | None: object
str, Literal and Enum of str: object, None where missing · date: datetime64[D] · datetime: datetime64[us],
in UTC where there is an offset · lists of numbers of one fixed length: of two dimensions · others: object
"""

import contextlib
import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

from .errors import ProjectError
from .faults import MISSING, MOST, Fault, InvalidRows, describe, in_value, refusal, repaired, told
from .fields import NUMBERS, Field, field, fields, is_record
from .headers import match

Columns = dict[str, Any]
SINGLE = frozenset({"bool", "int", "float", "str", "date", "datetime", "other"})
ALONE = "prediction"  # the column of a prediction that has no fields
UTC = datetime.timezone.utc


def to_columns(data: Any, row: Any) -> Columns:
    """The columns of rows: a list of `row`, a pandas or polars DataFrame, or columns already.

    An array, such as an estimator's predictions, has a column for each field of `row`, in their order; one
    field alone has it whole. Raises InvalidRows where a DataFrame lacks a column of `row`, or has values
    that do not fit, and ProjectError where an array has another number of columns.
    """
    if isinstance(data, Mapping):
        return {key: values if _is_array(values) else _numpy().asarray(values) for key, values in data.items()}  # fmt: skip
    if hasattr(data, "columns"):
        return _from_frame(data, row)
    if not isinstance(data, list):
        data = _numpy().asarray(data) if _is_array(data) else plain_list(data)
    found = fields(row)
    if not found:
        return {ALONE: data if _is_array(data) else to_array(data, field(ALONE, ALONE, row))}
    if _is_array(data) and not (len(data) and hasattr(data.flat[0], found[0].name)):
        return _from_array(data, row)
    if len(data) and isinstance(data[0], dict):
        return {part.key: to_array([value.get(part.key) for value in data], part) for part in found}
    return {part.key: to_array([getattr(r, part.name) for r in data], part) for part in found}


def _from_frame(frame: Any, row: Any) -> Columns:
    wanted = fields(row)
    match([str(name) for name in frame.columns], wanted)
    cells = {part.key: frame_cells(frame[part.key]) for part in wanted}
    try:
        return {
            part.key: to_array(read(part, cells[part.key], text=False), part) for part in wanted
        }
    except ValueError:
        raise rejected([(part, cells[part.key]) for part in wanted], text=False) from None


def _from_array(values: Any, row: Any) -> Columns:
    names = [part.key for part in fields(row)]
    if len(names) == 1:
        is_list = fields(row)[0].kind.base in ("vector", "json")
        return {names[0]: values if is_list or values.shape[1:] != (1,) else values.reshape(-1)}
    if values.ndim != 2 or values.shape[1] != len(names):
        raise ProjectError(
            f"An array of shape {values.shape} has not one column for each of {', '.join(names)}, "
            f"the fields of {_name(row)}."
        )
    return dict(zip(names, values.T, strict=True))


def to_frame(columns: Columns) -> Any:
    """A pandas DataFrame of columns: an array "size" of shape (n, 2) becomes "size_0" and "size_1"."""
    from .predictor import frame  # late: not every project has numpy

    return frame(columns)


def answer_columns(answers: Any, kind: Any) -> Columns:
    """The columns of predictions, a list of `kind`. Objects with the same keys are a dict of columns."""
    found = {name: _spread(values) for name, values in to_columns(answers, kind).items()}
    alone = found.get(ALONE)
    return alone if isinstance(alone, dict) and not fields(kind) else found


def _spread(values: Any) -> Any:
    """A dict of columns for objects of the same keys, an array of numbers for numbers; others as they are."""
    if not _holds_objects(values):
        return values
    rows = plain_list(values)
    if rows and all(isinstance(row, dict) and row.keys() == rows[0].keys() for row in rows):
        return {key: _spread(objects([row[key] for row in rows])) for key in rows[0]}
    kinds = set(map(type, rows))
    return _numpy().array(rows) if kinds and (kinds <= {int, float} or kinds == {bool}) else values


def frame_cells(series: Any) -> list[Any]:
    """The values of a DataFrame's column, None where one is missing."""
    return [None if value != value else value for value in plain_list(series)]


def to_array(values: Sequence[Any], of: Field) -> Any:
    """The array of a field's values, None and UNSET among them where they are missing."""
    np = _numpy()
    kind, base = of.kind, of.kind.base
    if kind.members is not None:
        values = [getattr(value, "value", value) for value in values]
    if of.is_unset:
        values = [None if value is msgspec.UNSET else value for value in values]
    if base == "float" or (base == "int" and of.has_gaps):
        return np.array(values, np.float64)
    if base == "int":
        return integers(values)
    if base == "bool" and not of.has_gaps:
        return np.array(values, np.bool_)
    if base in ("date", "datetime"):
        unit = "datetime64[D]" if base == "date" else "datetime64[us]"
        return np.array([_naive(value) for value in values], unit)
    if base == "vector" and not of.has_gaps:
        dtype = np.float64 if kind.numbers == "float" else np.int64
        return np.array(values, dtype).reshape(len(values), kind.width)
    return objects(values)


def objects(values: Sequence[Any]) -> Any:
    """An array of one dimension that holds these very values."""
    return _numpy().fromiter(values, object, len(values))


def integers(values: Sequence[int]) -> Any:
    """An array of int64, or of uint64 or objects where a number is too large."""
    np = _numpy()
    for dtype in (np.int64, np.uint64):
        try:
            return np.array(values, dtype)
        except OverflowError:
            continue
    return objects(values)


def join(arrays: Sequence[Any]) -> Any:
    """One array of several."""
    if len({array.dtype for array in arrays}) > 1:  # integers, of which some are large
        return integers([value for array in arrays for value in array.tolist()])
    return _numpy().concatenate(arrays)


def side_by_side(arrays: Sequence[Any]) -> Any:
    """An array with a column for each of these."""
    return _numpy().column_stack(arrays)


def _naive(value: Any) -> Any:
    """A date, or a time of UTC without its offset; numpy knows no other."""
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def to_rows(columns: Any, kind: Any) -> list[Any]:
    """One value of `kind`, a Prediction or a Row, for each row of the columns.

    Where `kind` has no fields, its values are the column "prediction". numpy's scalars become Python's,
    and NaN, NaT and None are missing where the annotation allows for that.

    Raises ProjectError where a column is missing, is of another length, or holds another type.
    """
    if not is_record(kind):
        values = columns.get(ALONE, columns) if isinstance(columns, Mapping) else columns
        return _values(values, field(ALONE, ALONE, kind))
    found: dict[str, list[Any]] = {}
    for part in fields(kind):
        if part.key not in columns and part.name not in columns:
            if part.required:
                given = ", ".join(map(str, columns))
                raise ProjectError(
                    f"There is no column {part.key} for {_name(kind)}, only {given}."
                )
            continue
        column = columns[part.key] if part.key in columns else columns[part.name]
        found[part.name] = _values(column, part)
    if len({len(values) for values in found.values()}) > 1:
        lengths = ", ".join(f"{name} {len(values)}" for name, values in found.items())
        raise ProjectError(
            f"The columns for {_name(kind)} differ in their number of rows: {lengths}."
        )
    return build(kind, found)


def build(kind: Any, values: Mapping[str, Sequence[Any]]) -> list[Any]:
    """Records from values by the fields' Python names. UNSET is left out, for a TypedDict."""
    names = list(values)
    rows = (
        {n: v for n, v in zip(names, row, strict=True) if v is not msgspec.UNSET}
        for row in zip(*values.values(), strict=True)
    )
    return [kind(**row) for row in rows]


def _values(column: Any, of: Field) -> list[Any]:
    """A column's values as the field's annotation has them."""
    if isinstance(column, Mapping):
        return _objects(column, of)
    values = plain_list(column)
    if of.kind.nullable:
        values = [None if value != value else value for value in values]
    if of.kind.base == "bool":
        values = [bool(v) if type(v) is int and v in (0, 1) else v for v in values]
    try:
        converted: list[Any] = msgspec.convert(values, list[of.type])  # type: ignore[name-defined]
        return converted
    except msgspec.ValidationError:
        values = [adapted(value, of) for value in values]
    for number, value in enumerate(values, 1):
        if refusal(value, of.type) is not None:
            raise ProjectError(f"Row {number}, {of.key}: {describe(value, of.type)}.")
    converted = msgspec.convert(values, list[of.type])  # type: ignore[name-defined]
    return converted


def _objects(column: Mapping[str, Any], of: Field) -> list[Any]:
    """The values of a field that is a dict or a record itself, from a column for each of its keys."""
    inner = next((option for option in (of.type,) if is_record(option)), None)
    if inner is not None:
        return to_rows(column, inner)
    parts = {key_of(key): plain_list(values) for key, values in column.items()}
    rows = [dict(zip(parts, row, strict=True)) for row in zip(*parts.values(), strict=True)]
    return _values(rows, of)


def key_of(key: Any) -> str:
    """A key as JSON has it: a class that is true or false is written as JSON writes it."""
    return str(key).lower() if isinstance(plain(key), bool) else str(key)


def plain_list(values: Any) -> list[Any]:
    """A list of Python's own values from an array, a Series, a DataFrame, or any other iterable."""
    if isinstance(values, list):
        return [plain(value) if _is_array(value) else value for value in values]
    if hasattr(values, "to_dicts"):  # polars
        return list(values.to_dicts())
    if hasattr(values, "to_dict") and hasattr(values, "columns"):  # pandas
        keys = [str(key) for key in values.columns]
        lists = [plain_list(values.iloc[:, n]) for n in range(len(keys))]
        return [dict(zip(keys, row, strict=True)) for row in zip(*lists, strict=True)]
    if hasattr(values, "to_list"):  # a Series
        return [plain(value) for value in values.to_list()]
    if hasattr(values, "toarray"):  # a sparse matrix
        values = values.toarray()
    if _is_array(values):
        found = plain(values)
        return [plain(value) for value in found] if _holds_objects(values) else found
    return [plain(value) for value in values]


def _holds_objects(values: Any) -> bool:
    return getattr(values, "dtype", None) == "object"


def plain(value: Any) -> Any:
    """A Python value for one of numpy's or pandas'; times to the microsecond, NaT as None."""
    if type(value).__name__ in ("NaTType", "NAType"):  # pandas'
        return None
    if hasattr(value, "to_pydatetime"):
        return value.to_pydatetime(warn=False)
    if getattr(getattr(value, "dtype", None), "kind", "") == "M" and hasattr(value, "astype"):
        days = str(value.dtype) == "datetime64[D]"
        value = value.astype("datetime64[D]" if days else "datetime64[us]")
    return value.tolist() if hasattr(value, "tolist") else value


def hook(value: Any) -> Any:
    """What msgspec encodes in the place of a value that it does not know."""
    if hasattr(value, "tolist") or hasattr(value, "to_pydatetime"):
        return plain(value)
    if type(value).__name__ in ("NaTType", "NAType"):
        return None
    if hasattr(value, "to_dict") or hasattr(value, "to_list") or hasattr(value, "to_dicts"):
        return plain_list(value)
    raise ProjectError(
        f"A prediction holds a {type(value).__name__}, which is not JSON serializable."
    )


def read(of: Field, cells: Sequence[Any], text: bool) -> list[Any]:
    """The values of a field from a column of a table, None where a cell is missing.

    Cells are text, or values that have types. Raises ValueError where one does not fit; `wrong` says
    which, and why.
    """
    gaps = [None] if text or msgspec.UNSET not in cells else [msgspec.UNSET, None]
    gaps = gaps[: len(gaps) - of.kind.nullable]
    if not any(gap in cells for gap in gaps):
        return _converted(of, cells, text)
    if of.required:
        raise ValueError(f"{of.key} is missing")
    given = iter(_converted(of, [cell for cell in cells if not _is_in(cell, gaps)], text))
    return [of.default() if _is_in(cell, gaps) else next(given) for cell in cells]


def _is_in(cell: Any, gaps: Sequence[Any]) -> bool:
    return any(cell is gap for gap in gaps)


def _converted(of: Field, cells: Sequence[Any], text: bool) -> list[Any]:
    if text and of.kind.base in ("json", "vector"):
        cells = [None if cell is None else msgspec.json.decode(cell) for cell in cells]
        text = False
    if text and of.kind.base == "any":
        return [None if cell is None else loose(cell) for cell in cells]
    loosely = text and of.kind.base in NUMBERS
    wanted = list[of.type]  # type: ignore[name-defined]
    try:
        values: list[Any] = msgspec.convert(cells, wanted, strict=not loosely)
    except msgspec.ValidationError:
        if of.kind.base not in ("int", "date", "json", "vector"):
            raise
        values = msgspec.convert([adapted(cell, of) for cell in cells], wanted, strict=not loosely)
    if of.kind.base == "json":  # unknown fields of inner records are left out in silence
        for cell in cells:
            for path, message in in_value(adapted(cell, of), of.type):
                raise ValueError(f"{path}: {message}")
    if of.kind.base == "float" and not _finite(values):
        raise ValueError(f"{of.key} is not finite")
    # In text, msgspec takes the word null for a missing number.
    if loosely and of.kind.nullable and values.count(None) != cells.count(None):
        raise ValueError(f"{of.key} is a word")
    return values


def adapted(cell: Any, of: Field) -> Any:
    """A typed value as JSON would have it: 3 for 3.0 where an int is wanted, the day of a midnight."""
    if of.kind.base == "date" and isinstance(cell, datetime.datetime):
        return cell.date() if cell.time() == datetime.time() else cell
    if of.kind.base == "int" and isinstance(cell, str):
        number = loose(cell)
        return repaired(number, of.type) if type(number) is float else cell
    return repaired(cell, of.type)


def _finite(values: Sequence[float | None]) -> bool:
    # A sum of finite numbers may be infinite itself: only then each is looked at.
    total = sum(filter(None, values))
    return total - total == 0 or all(v is None or v - v == 0 for v in values)


def loose(cell: str) -> Any:
    """A number, true or false where the text is one in JSON; otherwise the text."""
    try:
        value = msgspec.json.decode(cell)
    except msgspec.DecodeError:
        return cell
    return value if isinstance(value, bool | int | float) else cell


def wrong(of: Field, cells: Sequence[Any], text: bool, start: int = 0) -> Iterator[tuple[int, str]]:
    """The cells of a column that do not fit: where each is, and what is wrong with it."""
    if _fits(of, cells, text):
        return
    if len(cells) == 1:
        yield start, _said(cells[0], of, text)
        return
    half = len(cells) // 2  # most halves fit as a whole, which is fast to see
    yield from wrong(of, cells[:half], text, start)
    yield from wrong(of, cells[half:], text, start + half)


def _fits(of: Field, cells: Sequence[Any], text: bool) -> bool:
    try:
        read(of, cells, text)
    except (ValueError, TypeError, ArithmeticError, RecursionError):
        return False
    return True


def _said(cell: Any, of: Field, text: bool) -> str:
    if cell is None or cell is msgspec.UNSET:
        return MISSING
    if of.kind.base in ("json", "vector"):
        with contextlib.suppress(msgspec.DecodeError, RecursionError):
            value = msgspec.json.decode(cell) if text else cell
            for path, message in in_value(value, of.type):
                return f"{path.strip('.')}: {message}" if path else message
    return describe(cell, of.type)


def rejected(of: Iterable[tuple[Field, Sequence[Any]]], text: bool) -> InvalidRows:
    """The error that names the first faults of several columns, in the order of the rows."""
    found = [
        (n, Fault(said, row=n + 1, field=part.key))
        for part, cells in of
        for n, said in islice(wrong(part, cells, text), MOST + 1)
    ]
    return told([fault for _, fault in sorted(found, key=lambda each: each[0])])


def _is_array(value: Any) -> bool:
    return hasattr(value, "tolist")


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))


def size(columns: Columns) -> int:
    """Return the number of rows that columns have."""
    return len(next(iter(flat(columns).values()), ()))


def flat(columns: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return columns without nesting: {"a": {"b": …}} as {"a.b": …}."""
    result: dict[str, Any] = {}
    for name, values in columns.items():
        if isinstance(values, dict):
            result |= flat(values, f"{prefix}{name}.")
        else:
            result[f"{prefix}{name}"] = _numpy().asarray(values)
    return result


def _numpy() -> Any:
    # Not at the top of the module: a model may do without numpy.
    import numpy

    return numpy
