"""One schema from one signature: the annotations of the model's `predict` decode, check and describe."""

import contextlib
import inspect
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, metadata
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from .columns import ALONE, hook, plain_list, to_rows
from .errors import InvalidRow, ProjectError
from .faults import Fault, InvalidRows, in_rows, in_value, repaired, suggestion, told
from .fields import Field, fields, is_record, peel

LISTS = (list, tuple, Sequence, Collection, Iterable)
PROBLEM = {
    "type": "object",
    "required": ["title", "status"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


class InvalidAnswers(ProjectError):
    """Raised where `predict` did not give one answer for each row, or none that can be written."""


class Schema:
    """Decodes rows for a model and encodes its predictions.

    `predict(self, data: list[Row]) -> list[Answer]` takes rows of that type only, a `predict` without
    annotations takes any JSON. With a DataFrame or an array for `data`, rows are objects or lists, and
    the model is given them as one.
    """

    def __init__(
        self,
        rows: Any,
        answers: Any,
        max_rows: int | None = None,
        convert: Callable[[Any], Any] | None = None,
        bare: bool = False,
    ) -> None:
        self.rows, self.bare = rows, bare
        self.row = get_args(rows)[0] if get_origin(rows) is list else None
        self.answer = get_args(answers)[0] if get_origin(answers) is list else Any
        self.fields: tuple[Field, ...] = fields(self.row)
        self.max_rows, self._convert = max_rows, convert
        self.columnwise = False
        """Whether rows may be given as a Block: whoever calls `predict` can tell."""
        number = msgspec.Meta(min_length=1, max_length=max_rows)
        limited = rows if self.row is None else Annotated[rows, number]
        self.request = msgspec.defstruct("Request", [("data", limited)], forbid_unknown_fields=True)
        wrapped = msgspec.defstruct("Response", [("predictions", answers)])
        self.response = answers if bare else wrapped
        self._request = msgspec.json.Decoder(self.request)
        self._list = msgspec.json.Decoder(limited)
        self._row = msgspec.json.Decoder(self.row or Any)
        names = _names(self.row)
        self._names = None if names is msgspec.Raw else msgspec.json.Decoder(names)
        self._named_list = self._named_request = None
        if self._names is not None:
            named = msgspec.defstruct("Request", [("data", list[names])])  # type: ignore[valid-type]
            self._named_request = msgspec.json.Decoder(named)
            self._named_list = msgspec.json.Decoder(list[names])  # type: ignore[valid-type]

    @classmethod
    def of(cls, model: Any, max_rows: int | None = None) -> "Schema":
        """The schema of a model's `predict`, for at most `max_rows` rows a request.

        Raises ProjectError where nothing that comes as JSON could be given to that `predict`.
        """
        hint, answers = _annotations(model)
        rows, convert = _rows(hint)
        for custom in _custom(rows):  # the first
            raise ProjectError(
                f"predict takes {_said(hint)}, and {custom} cannot be read from JSON. Annotate its "
                "first parameter as list[Row], with a msgspec.Struct, dataclass or TypedDict for Row, "
                "as a DataFrame, as an array, or not at all."
            )
        answers = list[Any] if any(_custom(answers)) else answers
        return cls(rows, answers, max_rows, convert, getattr(model, "bare", False) is True)

    @property
    def is_batchable(self) -> bool:
        """Whether the rows of several requests are one list of rows."""
        return self.row is not None and self._convert is None

    def bind(self, predict: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A `predict` that takes what is decoded here, and gives a list wherever that is possible."""

        def call(rows: Any) -> Any:
            answers = predict(rows if self._convert is None else self._convert(rows))
            if isinstance(answers, Mapping) and answers and all(map(_is_array, answers.values())):
                answers = to_rows(answers, self.answer if is_record(self.answer) else dict)
            return answers if isinstance(answers, _PLAIN) else plain_list(answers)

        return call

    def decode_request(self, body: bytes) -> Any:
        """The rows of {"data": rows}. Raises InvalidRows that names rows and fields."""
        try:
            if self._named_request is not None:
                self._named_request.decode(body)
            return self._untyped(self._request.decode(body).data)  # type: ignore[attr-defined]
        except (msgspec.DecodeError, RecursionError) as error:
            return self._explain(body, error)

    def decode_rows(self, body: bytes) -> Any:
        """Rows as JSON, bare or within {"data": rows}. Raises InvalidRows."""
        if body.lstrip().startswith(b"{"):
            return self.decode_request(body)
        try:
            if self._named_list is not None:
                self._named_list.decode(body)
            return self._untyped(self._list.decode(body))
        except (msgspec.DecodeError, RecursionError) as error:
            return self._explain(body, error, bare=True)

    def decode_lines(self, body: bytes) -> Any:
        """A row from each line of JSON; empty lines are none. Raises InvalidRows."""
        try:
            if self._names is not None:
                self._names.decode_lines(body)
            rows = self._row.decode_lines(body)
        except (msgspec.DecodeError, RecursionError):
            rows = self.convert(list(_lines(body)))
        self.check_number(len(rows))
        return rows

    def convert(self, rows: Any) -> Any:
        """Rows from plain lists and dicts. Raises InvalidRows."""
        rows = repaired(rows, self.rows)
        if self.row is None:
            error = told(Fault(said, field=path) for path, said in in_value(rows, self.rows))
        elif not isinstance(rows, list):
            raise InvalidRows([Fault("the rows must be a list")])
        else:
            self.check_number(len(rows))
            error = told(in_rows(rows, self.row))
        if error.faults:
            raise error
        try:
            return msgspec.convert(rows, self.rows)
        except msgspec.ValidationError as invalid:
            raise InvalidRows([Fault(str(invalid))]) from invalid

    def _untyped(self, rows: Any) -> Any:
        """Hold a list of rows without a type to the limit, too."""
        if self.row is None and isinstance(rows, list) and rows:
            self.check_number(len(rows))
        return rows

    def check_number(self, number: int) -> None:
        """Raises InvalidRows where there is no row, or there are more than a request may hold."""
        if number == 0:
            raise InvalidRows([Fault("there are no rows")])
        if self.max_rows is not None and number > self.max_rows:
            most = f"there are {number:,} rows, and a request may hold {self.max_rows:,}"
            raise InvalidRows([Fault(most)])

    def _explain(self, body: bytes, error: Exception, bare: bool = False) -> Any:
        """The rows after all, where only a whole number was written as 3.0; or else what is wrong."""
        try:
            found = msgspec.json.decode(body)
        except RecursionError:
            raise InvalidRows([Fault("the JSON is nested too deeply")]) from error
        except msgspec.DecodeError as malformed:
            raise InvalidRows([Fault(str(malformed).rstrip("."))]) from malformed
        if not bare:
            found = _data(found)
        return self.convert(found)

    def answers(self, data: Any, answers: Any) -> Any:
        """Predictions of plain lists, dicts and scalars, as many as rows.

        NaN is None where the annotation of the answer, or of its field, allows for that.

        Raises InvalidAnswers where they are more or fewer than the rows, or a number is not finite.
        """
        self.check_answers(data, answers)
        try:
            found = msgspec.to_builtins(answers, enc_hook=hook)
        except (TypeError, ValueError) as error:
            raise InvalidAnswers(
                f"An answer of predict cannot be written as JSON: {error}"
            ) from error
        if not isinstance(found, list):
            return next(_settled([found], self.answer))
        return list(_settled(found, self.answer))

    def check_answers(self, data: Any, answers: Any) -> None:
        """Raises InvalidAnswers where there is not one answer for each row.

        A model without annotations whose answers go out bare may answer as it likes.
        """
        lists = isinstance(data, list) and isinstance(answers, list)
        if self.row is None and (self.bare or not lists):
            return
        if not isinstance(answers, list):
            raise InvalidAnswers(
                f"predict gave a {type(answers).__name__}, not a list of {len(data)} answers."
            )
        if len(answers) != len(data):
            raise InvalidAnswers(f"predict gave {len(answers)} answers for {len(data)} rows.")

    def encode_answers(self, data: Any, answers: Any) -> bytes:
        """Predictions as JSON. Raises InvalidAnswers as `answers` does."""
        self.check_answers(data, answers)
        try:
            content = msgspec.json.encode(answers, enc_hook=hook)
        except (TypeError, ValueError):
            content = b"null"
        # JSON has no NaN: where there is a null, it may be one.
        return self.encode(self.answers(data, answers)) if b"null" in content else content

    @staticmethod
    def encode(value: Any) -> bytes:
        """A value as JSON; numpy's arrays and scalars included."""
        return msgspec.json.encode(value, enc_hook=hook)


_PLAIN = (list, dict, str, int, float, bool, msgspec.Struct, type(None))


def refusal(error: InvalidRow) -> InvalidRows:
    """The error of a row that `predict` refused, in the words of those that do not fit."""
    row = 0 if error.row is None else error.row + 1
    return InvalidRows([Fault(error.message, row=row, field=error.field or "")])


def _lines(body: bytes) -> Iterator[Any]:
    lines = [line for line in body.split(b"\n") if line.strip()]
    for number, line in enumerate(lines, 1):
        try:
            yield msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidRows([Fault(str(error).rstrip("."), row=number)]) from error


def _data(found: Any) -> Any:
    """The rows of a request that was decoded loosely."""
    if not isinstance(found, dict):
        raise InvalidRows([Fault('the request must be an object such as {"data": [...]}')])
    for key in found:
        if key != "data":
            raise InvalidRows([Fault(f'unknown key "{key}"{suggestion(key, ["data"])}')])
    if "data" not in found:
        raise InvalidRows([Fault('the request has no "data"')])
    return found["data"]


def _names(hint: Any, within: tuple[Any, ...] = ()) -> Any:
    """A type that knows the names of a record's fields and no others; Raw where those are checked anyway.

    Structs that forbid unknown fields check them; other records leave them out in silence.
    """
    options, _, nullable = peel(hint)
    if len(options) != 1:
        return msgspec.Raw
    kind = options[0]
    inner: Any = msgspec.Raw
    if is_record(kind) and kind not in within:  # a tree's inner nodes are not looked at
        config = getattr(kind, "__struct_config__", None)
        within = (*within, kind)
        parts = [(f"_{n}", f.key, _names(f.type, within)) for n, f in enumerate(fields(kind))]
        strict = config is not None and config.forbid_unknown_fields
        if (config is not None and config.array_like) or (
            strict and all(part is msgspec.Raw for _, _, part in parts)
        ):
            return msgspec.Raw
        if config is not None and config.tag_field:
            parts.append(("_tag", config.tag_field, msgspec.Raw))
        members = [
            (
                name,
                part if part is msgspec.Raw else part | None,
                msgspec.field(name=key, default=None),
            )
            for name, key, part in parts
        ]
        inner = msgspec.defstruct("Names", members, forbid_unknown_fields=True)
    elif get_origin(kind) in (list, dict):
        part = _names(get_args(kind)[-1], within)
        if part is not msgspec.Raw:
            inner = list[part] if get_origin(kind) is list else dict[str, part]  # type: ignore[valid-type]
    return inner | None if nullable and inner is not msgspec.Raw else inner


def _annotations(model: Any) -> tuple[Any, Any]:
    """What `predict` takes, Any where it does not say, and what it gives."""
    predict = getattr(model, "predict", None)
    if not callable(predict):
        raise ProjectError("The model has no predict(self, data).")
    try:
        parameters = list(inspect.signature(predict).parameters.values())
    except (TypeError, ValueError):  # of a compiled one
        return Any, Any
    if not parameters or parameters[0].kind in (
        inspect.Parameter.KEYWORD_ONLY,
        inspect.Parameter.VAR_KEYWORD,
    ):
        raise ProjectError("predict takes no rows: write it as predict(self, data).")
    for more in parameters[1:]:
        optional = more.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        if more.default is inspect.Parameter.empty and not optional:
            raise ProjectError(
                f"predict is called with the rows alone: give its parameter {more.name} a default."
            )
    function = inspect.unwrap(predict)
    function = function if hasattr(function, "__annotations__") else type(function).__call__
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, AttributeError, TypeError) as error:
        raise ProjectError(f"The annotations of predict cannot be read: {error}.") from error
    return hints.get(parameters[0].name, Any), hints.get("return", Any)


def _rows(hint: Any) -> tuple[Any, Callable[[Any], Any] | None]:
    """How JSON is decoded for a `predict` that takes this, and what makes of it what is taken."""
    kind = get_origin(hint) or hint
    module, name = getattr(kind, "__module__", ""), getattr(kind, "__qualname__", "")
    if name == "DataFrame" and module.partition(".")[0] in ("pandas", "polars"):
        return list[dict[str, Any] | list[Any]], kind
    if name == "ndarray" and module == "numpy":
        return list[list[Any]], _arrays(hint)
    if kind in LISTS and kind is not list and (arguments := get_args(hint)):
        if kind is tuple and arguments[-1] is not ...:
            return hint, None
        return list[arguments[0]], tuple if kind is tuple else None  # type: ignore[valid-type]
    if hint is list:
        return list[Any], None
    return hint, None


def _arrays(hint: Any) -> Callable[[Any], Any]:
    """What makes an array of rows, with the dtype that the annotation names."""
    import numpy as np

    dtype = next((get_args(part)[0] for part in get_args(hint)[1:] if get_args(part)), None)
    dtype = dtype if isinstance(dtype, type) and dtype is not np.generic else None

    def convert(rows: Any) -> Any:
        try:
            found = np.asarray(rows, dtype)
            if dtype is None and found.dtype == object:  # missing numbers, or else words
                with contextlib.suppress(TypeError, ValueError):
                    found = np.asarray(rows, float)
            return found
        except (TypeError, ValueError) as error:
            raise InvalidRow(f"the rows do not form an array: {error}") from error

    return convert


def _custom(hint: Any) -> Iterator[str]:
    """The names of what msgspec cannot read."""
    try:
        yield from _unknown(msgspec.inspect.type_info(hint), set())
    except (TypeError, NameError) as error:
        raise ProjectError(f"The annotations of predict cannot be read: {error}.") from error


def _unknown(info: Any, seen: set[int]) -> Iterator[str]:
    if isinstance(info, msgspec.inspect.CustomType):
        yield getattr(info.cls, "__qualname__", str(info.cls))
    if isinstance(info, list | tuple):
        for part in info:
            yield from _unknown(part, seen)
    elif isinstance(info, msgspec.inspect.Type | msgspec.inspect.Field) and id(info) not in seen:
        seen.add(id(info))
        for name in info.__struct_fields__:
            yield from _unknown(getattr(info, name), seen)


def _said(hint: Any) -> str:
    return getattr(hint, "__name__", "") if isinstance(hint, type) else str(hint)


def _is_array(value: Any) -> bool:
    return hasattr(value, "tolist") or hasattr(value, "to_list")


def _settled(values: list[Any], kind: Any) -> Iterator[Any]:
    """Plain answers with None for NaN where that may be; raises InvalidAnswers where a number is not finite."""
    for number, value in enumerate(values, 1):
        yield _finite(value, kind, ALONE, number)


def _finite(value: Any, kind: Any, name: str, number: int) -> Any:
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        if math.isnan(value) and kind is not Any and peel(kind).nullable:
            return None
        raise InvalidAnswers(f"Answer {number}, {name}: {value} is not a finite number.")
    if not isinstance(value, list | dict):
        return value
    options = [option for option in peel(kind).options if option is not Any]
    only = options[0] if len(options) == 1 else None
    if isinstance(value, list):
        inner = get_args(only)[0] if get_origin(only) is list else Any
        return [_finite(part, inner, name, number) for part in value]
    types = {field.key: field.type for field in fields(only)} if only is not None else {}
    rest = get_args(only)[1] if get_origin(only) is dict else Any
    prefix = "" if name == ALONE else f"{name}."
    return {
        key: _finite(part, types.get(key, rest), f"{prefix}{key}", number)
        for key, part in value.items()
    }


def about(name: str) -> dict[str, str]:
    """How a distribution introduces itself in its document."""
    try:
        found = metadata(name)
    except PackageNotFoundError:  # the project runs where it stands, and is not installed
        return {"title": name, "version": "0"}
    return {"title": name, "version": found["Version"], "description": found["Summary"] or ""}


def openapi(info: dict[str, str], schema: Schema, examples: Any) -> dict[str, Any]:
    """The service as OpenAPI 3.1, with real rows as the example."""
    types, components = msgspec.json.schema_components(
        [schema.request, schema.response], ref_template="#/components/schemas/{name}"
    )
    request: dict[str, Any] = {"schema": types[0]}
    if len(examples):
        request["example"] = {"data": msgspec.to_builtins(plain_list(examples), enc_hook=hook)}
    keys = {"type": "http", "scheme": "bearer", "description": "Where the service asks for keys"}
    return {
        "openapi": "3.1.0",
        "info": info,
        "paths": {
            "/predict": {
                "post": {
                    "operationId": "predict",
                    "summary": "Predict one answer for each row",
                    "security": [{}, {"key": []}],
                    "requestBody": {"required": True, "content": {"application/json": request}},
                    "responses": _responses("The predictions, in the order of the rows", types[1]),
                }
            },
            "/health/live": {"get": _health("live", "The process answers")},
            "/health/ready": {"get": _health("ready", "The model is loaded and accepts requests")},
        },
        "components": {
            "schemas": {**components, "Problem": PROBLEM},
            "securitySchemes": {"key": keys},
        },
    }


def _health(name: str, summary: str) -> dict[str, Any]:
    status = {"type": "object", "properties": {"status": {"type": "string"}}}
    return {"operationId": name, "summary": summary, "responses": _responses("Yes", status)}


def _responses(description: str, schema: Any) -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        "200": {"description": description, "content": {"application/json": {"schema": schema}}},
        "default": {"description": "What was wrong", "content": problem},
    }
