"""One schema from one signature: the annotations of the model's `predict` decode, check and describe."""

import math
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, metadata
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

MISSING = frozenset({"", "NA", "NaN", "nan", "null"})  # cells that stand for no value
DATATYPES = {bool: "BOOL", int: "INT64", float: "FP64"}  # others are BYTES, as JSON if need be
PROBLEM = {
    "type": "object",
    "required": ["title", "status"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


class Schema:
    """Decodes rows for a model and encodes its predictions.

    `predict(self, data: list[Row]) -> list[Answer]` takes rows of that type only;
    a `predict` without annotations takes any JSON.
    """

    def __init__(self, rows: Any, answers: Any, max_rows: int | None = None) -> None:
        self.rows = rows
        self.row = get_args(rows)[0] if get_origin(rows) is list else None
        self.answer = get_args(answers)[0] if get_origin(answers) is list else Any
        number = msgspec.Meta(min_length=1, max_length=max_rows)
        self.limited = rows if self.row is None else Annotated[rows, number]
        self.lists = {tensor.name for tensor in tensors(self.row, "") if len(tensor.shape) > 1}
        self.request = msgspec.defstruct(
            "Request", [("data", self.limited)], forbid_unknown_fields=True
        )
        self.response = msgspec.defstruct("Response", [("predictions", answers)])
        self._request_decoder = msgspec.json.Decoder(self.request)

    @classmethod
    def of(cls, model: Any, max_rows: int | None = None) -> "Schema":
        """The schema of a model's `predict`, for at most `max_rows` rows a request."""
        hints = get_type_hints(type(model).predict, include_extras=True)
        answers = hints.pop("return", Any)
        return cls(next(iter(hints.values()), Any), answers, max_rows)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of a row's fields; none where rows are not msgspec Structs."""
        return getattr(self.row, "__struct_fields__", ())

    def decode_request(self, body: bytes) -> Any:
        """The rows of {"data": rows}. Raises msgspec.DecodeError that names the row and the field."""
        return self._request_decoder.decode(body).data  # type: ignore[attr-defined]

    def decode_rows(self, body: bytes) -> Any:
        """Rows as JSON, bare or within {"data": rows}. Raises msgspec.DecodeError."""
        if body.lstrip().startswith(b"{"):
            return self.decode_request(body)
        return msgspec.json.decode(body, type=self.limited)

    def convert(self, rows: Any, strict: bool = True) -> Any:
        """Rows from plain lists and dicts. Raises msgspec.ValidationError."""
        return msgspec.convert(rows, self.limited, strict=strict)

    def convert_cells(self, cells: Sequence[Mapping[str, str | None]]) -> Any:
        """Rows from the cells of a table: text becomes numbers, or JSON where a field is a list.

        Cells that stand for no value, and columns of no field, are left out.

        Raises msgspec.ValidationError that names the row and the field.
        """
        rows: list[Any] = [
            {
                k: msgspec.json.decode(v) if v and k in self.lists else v
                for k, v in row.items()
                if k in self.fields and (v or "") not in MISSING
            }
            for row in cells
        ]
        plain = rows if self.fields else [list(row.values()) for row in cells]
        converted = self.convert(plain, strict=False)
        for n, row in enumerate(converted):
            named = [(name, getattr(row, name)) for name in self.fields]
            for name, value in named or enumerate(row):
                if isinstance(value, float) and not math.isfinite(value):
                    raise msgspec.ValidationError(f"Expected a finite number - at `$[{n}].{name}`")
        return converted

    @staticmethod
    def encode(value: Any) -> bytes:
        """Predictions as JSON; numpy's arrays and scalars included."""
        return msgspec.json.encode(value, enc_hook=_plain)


class Tensor(msgspec.Struct, frozen=True):
    """What the protocol says of an input or an output; -1 is any length."""

    name: str
    datatype: str
    shape: list[int]


def tensors(kind: Any, alone: str) -> list[Tensor]:
    """The tensors of a row or an answer: one a field, or one in all where there are no fields."""
    if hasattr(kind, "__struct_fields__"):
        hints = get_type_hints(kind)
        return [Tensor(name, *_datatype(hints[name])) for name in kind.__struct_fields__]
    return [Tensor(alone, *_datatype(kind))]


def _datatype(hint: Any) -> tuple[str, list[int]]:
    options = [option for option in get_args(hint) if option is not type(None)]
    if get_origin(hint) is Literal:
        return DATATYPES.get(type(options[0]), "BYTES"), [-1]
    if get_origin(hint) in (list, dict):
        datatype, shape = _datatype(options[-1])
        return datatype, [*shape, -1]
    if len(options) == 1:  # optional
        return _datatype(options[0])
    return DATATYPES.get(hint, "FP64" if hint in (Any, None) else "BYTES"), [-1]


def about(name: str) -> dict[str, str]:
    """How a distribution introduces itself in its document."""
    try:
        found = metadata(name)
    except PackageNotFoundError:  # the project runs where it stands, and is not installed
        return {"title": name, "version": "0"}
    return {"title": name, "version": found["Version"], "description": found["Summary"] or ""}


def openapi(info: dict[str, str], schema: Schema, examples: Sequence[Any]) -> dict[str, Any]:
    """The service as OpenAPI 3.1, with real rows as the example."""
    types, components = msgspec.json.schema_components(
        [schema.request, schema.response], ref_template="#/components/schemas/{name}"
    )
    request: dict[str, Any] = {"schema": types[0]}
    if examples:
        request["example"] = msgspec.to_builtins({"data": examples})
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
            "/health/ready": {"get": _health("ready", "The model is loaded; work is welcome")},
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


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise NotImplementedError(f"A prediction holds a {type(value).__name__}, which JSON has not.")
