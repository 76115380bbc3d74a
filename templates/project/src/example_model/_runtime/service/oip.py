"""The Open Inference Protocol, version 2, over REST: each field of a row is a tensor.

Source: https://github.com/kserve/open-inference-protocol (specification/protocol/inference_rest.md).
"""

import math
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

import falcon
import msgspec
from msgspec import Meta

from .. import columns as columnar
from .. import pieces, whole_columns
from ..block import Block
from ..exchange import record_rows
from ..faults import repaired, suggestion
from ..fields import fields, kind_of, peel
from ..pieces import Piece
from ..signature import InvalidAnswers, Schema
from . import oip_binary, oip_columns
from .resources import Status, fixed, invalid_is_400, read, refusal_is_400
from .tensors import Words


def _integers(low: int, high: int) -> Any:
    within = Meta(ge=low, le=high if high < 2**63 else None)  # msgspec's bounds are of 64 bits
    return list[Annotated[int, within] | None]


KINDS: dict[str, Any] = {
    "BOOL": list[bool | None],
    **{f"UINT{bits}": _integers(0, 2**bits - 1) for bits in (8, 16, 32, 64)},
    **{
        f"INT{bits}": _integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)
    },
    **{f"FP{bits}": list[float | None] for bits in (16, 32, 64)},
    "BYTES": list[str | None],
}


DATATYPES = {
    "bool": "BOOL",
    "int": "INT64",
    "float": "FP64",
}  # others are BYTES, as JSON if need be


class Tensor(msgspec.Struct, frozen=True):
    """What the protocol says of an input or an output; -1 is any length."""

    name: str
    datatype: str
    shape: list[int]


class Input(msgspec.Struct):
    """One tensor of a request; `data` is flat or nested, row by row: a list, or of bytes an array or Words."""

    name: str
    shape: Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=1, max_length=8)]
    datatype: Literal[tuple(KINDS)]  # type: ignore[valid-type]
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class Output(msgspec.Struct):
    """One tensor that is asked for."""

    name: str
    parameters: dict[str, Any] = {}


class Request(msgspec.Struct):
    """An inference request."""

    inputs: Annotated[list[Input], Meta(min_length=1)]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[Output] = []


INDEPENDENT = {True: "true", False: "false", None: "unknown"}
"""What the metadata says of whether a row's prediction depends on no other row of the request."""


class Protocol:
    """Translates the protocol's requests to rows, and predictions to its responses."""

    def __init__(
        self,
        name: str,
        version: str,
        schema: Schema,
        predict: Callable[[Any], Any],
        status: Status,
        independent: bool | None = None,
    ) -> None:
        self._name, self._version = name, version
        self._schema, self._predict, self._status = schema, predict, status
        row = Any if schema.row is None else schema.row
        self._inputs = tensors(row, "input")
        self._outputs = tensors(schema.answer, "output", labelled=True)
        self._lists = {tensor.name for tensor in self._inputs if len(tensor.shape) > 1}
        self._decoder = msgspec.json.Decoder(Request)
        self.server = {"name": name, "version": version, "extensions": [oip_binary.EXTENSION]}
        """What the protocol says of the server."""
        self.model = {
            "name": name,
            "versions": [version],
            "platform": "python",
            "inputs": self._inputs,
            "outputs": self._outputs,
            "properties": {"independent_rows": INDEPENDENT[independent]},
        }
        """What the protocol says of the model."""

    def routes(self) -> dict[str, Any]:
        """What answers at each of the protocol's addresses."""
        model, ready = self.model, self._status.check
        routes: dict[str, Any] = {
            "/v2": fixed(self.server),
            "/v2/health/live": fixed({"live": True}),
            "/v2/health/ready": fixed({"ready": True}, ready),
        }
        address = f"/v2/models/{self._name}"
        for path in (address, f"{address}/versions/{self._version}"):
            routes[path] = fixed(model)
            routes[f"{path}/ready"] = fixed({"name": self._name, "ready": True}, ready)
            routes[f"{path}/infer"] = self
        return routes

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        # Triton's client names no type.
        _, body = read(request, [falcon.MEDIA_JSON, oip_binary.OCTETS, ""])
        with invalid_is_400():
            head, content = oip_binary.split(body, request.get_header(oip_binary.LENGTH))
            asked = self._decoder.decode(head)
            oip_binary.attach(asked.inputs, content)
        answer = self.infer(asked)
        arrays = oip_binary.detach(answer["outputs"], _in_bytes(asked, answer["outputs"]))
        response.data = self._schema.encode(answer)
        if arrays:
            response.content_type = oip_binary.OCTETS
            response.set_header(oip_binary.LENGTH, str(len(response.data)))
            response.data += arrays

    def infer(self, asked: Request) -> dict[str, Any]:
        """The answer to a request; the data of its outputs are lists or arrays. Raises HTTPBadRequest."""
        with invalid_is_400():
            wanted = self._wanted(asked.outputs)
            rows = self._rows(asked.inputs)
        with refusal_is_400():
            answers = self._predict(rows)
        outputs = self._answered(rows, answers, wanted)
        answer = {"model_name": self._name, "model_version": self._version, "outputs": outputs}
        return answer if asked.id is None else {**answer, "id": asked.id}

    def check(self, name: str, version: str) -> None:
        """Raise HTTPNotFound for another model, or another version of it."""
        if name != self._name or version not in ("", self._version):
            raise falcon.HTTPNotFound(
                description=f"There is only {self._name}, version {self._version}."
            )

    def _answered(self, rows: Any, answers: Any, wanted: list[Tensor]) -> list[dict[str, Any]]:
        if isinstance(answers, Block):
            names = [tensor.name for tensor in wanted]
            if found := whole_columns.answered(answers, self._schema, names):
                return [_array_output(tensor, found[tensor.name]) for tensor in wanted]
            answers = columnar.to_rows(answers.columns, self._schema.answer)
        return _outputs(self._schema.answers(rows, answers), wanted)

    def _wanted(self, outputs: list[Output]) -> list[Tensor]:
        named = {tensor.name: tensor for tensor in self._outputs}
        if len(outputs) > len(named) or len({output.name for output in outputs}) < len(outputs):
            raise ValueError(f"Ask for each output once; there are {', '.join(named)}.")
        for output in outputs:
            if output.name not in named:
                raise ValueError(f"There is no output {output.name!r}, only {', '.join(named)}.")
        return [named[output.name] for output in outputs] or self._outputs

    def _rows(self, inputs: list[Input]) -> Any:
        """The rows that these tensors hold. Raises ValueError, InvalidRows among them."""
        if self._schema.fields:
            return self._records(inputs)
        objects = _takes_objects(self._schema.row)
        named = objects and inputs[0].name != "input" and _is_column(inputs[0])
        if len(inputs) == 1 and (self._schema.row is None or not named):
            return self._schema.convert(_nested(_flat(inputs[0]), inputs[0].shape))
        if not objects:
            raise ValueError("Send one input.")
        columns = {tensor.name: _column(tensor, nested=False) for tensor in inputs}
        return self._schema.convert(_transposed(inputs, columns))

    def _records(self, inputs: list[Input]) -> Any:
        if self._schema.columnwise and (block := self._block(inputs)) is not None:
            return block
        known = {field.key: field for field in self._schema.fields}
        columns: dict[str, list[Any]] = {}
        for tensor in inputs:
            name = tensor.name
            if name not in known or name in columns:
                raise ValueError(
                    f"Input {name!r} is not a field of a row, or comes twice{suggestion(name, known)}"
                )
            cells = _column(tensor, nested=name in self._lists)
            if isinstance(tensor.data, Words):
                cells = list(oip_columns.with_gaps(known[name], Words(cells)))
            is_json = known[name].kind.base == "json" and name not in self._lists
            columns[name] = [_parsed(cell) for cell in cells] if is_json else cells
        _same_length(columns)
        number = len(next(iter(columns.values())))
        self._schema.check_number(number)
        piece = Piece(columns, range(1, number + 1), text=False, partial=True)
        return record_rows(self._schema.row, pieces.complete(piece, self._schema.fields)[0])

    def _block(self, inputs: list[Input]) -> Block | None:
        """The rows of tensors in bytes as columns, where that is all they need."""
        if any(
            isinstance(tensor.data, list) and not isinstance(tensor.data, Words)
            for tensor in inputs
        ):
            return None
        found = {tensor.name: _array(tensor) for tensor in inputs}
        sizes = {tensor.shape[0] for tensor in inputs}
        if (
            len(found) < len(inputs)
            or len(sizes) > 1
            or any(each is None for each in found.values())
        ):
            return None
        (size,) = sizes
        self._schema.check_number(size)
        return oip_columns.block(self._schema, found, size)


def tensors(kind: Any, alone: str, labelled: bool = False) -> list[Tensor]:
    """The tensors of a row or an answer: one a field, or one in all where there are no fields.

    Of an answer, objects of numbers are a tensor too, with labels.
    """
    found = [(field.key, field.type) for field in fields(kind)] or [(alone, kind)]
    return [Tensor(name, *_datatype(hint, labelled)) for name, hint in found]


def _datatype(hint: Any, labelled: bool) -> tuple[str, list[int]]:
    options, base = peel(hint).options, kind_of(hint).base
    nested = (list, dict) if labelled else (list,)
    if len(options) == 1 and get_origin(options[0]) in nested:
        inner = get_args(options[0])[-1]
        datatype, shape = _datatype(inner, labelled)
        if len(shape) > 1 or kind_of(inner).base != "json":
            return datatype, [*shape, -1]
    return DATATYPES.get(base, "FP64" if base == "any" else "BYTES"), [-1]


def _takes_objects(row: Any) -> bool:
    return row is None or any(get_origin(option) is dict for option in peel(row).options)


def _is_column(tensor: Input) -> bool:
    return math.prod(tensor.shape[1:]) == 1


def _column(tensor: Input, nested: bool) -> list[Any]:
    if nested:
        return _nested(_flat(tensor), tensor.shape)
    if not _is_column(tensor):
        raise ValueError(f"Input {tensor.name!r} must have the shape [rows] or [rows, 1].")
    return _flat(tensor)


def _transposed(inputs: list[Input], columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    if len(columns) != len(inputs):
        raise ValueError("An input comes twice.")
    _same_length(columns)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _same_length(columns: dict[str, list[Any]]) -> None:
    if len({len(values) for values in columns.values()}) != 1:
        raise ValueError("The inputs have different numbers of rows.")


def _parsed(cell: Any) -> Any:
    """A value that a tensor of BYTES holds as JSON."""
    return msgspec.json.decode(cell) if isinstance(cell, str) else cell


def _array(tensor: Input) -> Any:
    """The array of a tensor in bytes, in its shape; its words, where each row has one."""
    if _is_column(tensor):
        return tensor.data
    return None if isinstance(tensor.data, Words) else tensor.data.reshape(tensor.shape)  # type: ignore[union-attr]


def _flat(tensor: Input) -> list[Any]:
    if hasattr(tensor.data, "tolist"):  # numbers of bytes, which have NaN where JSON has null
        array: Any = tensor.data
        numbers: list[Any] = array.tolist()
        return [None if number != number else number for number in numbers]
    values = list(_leaves(tensor.data))
    if len(values) != math.prod(tensor.shape):
        raise ValueError(f"Input {tensor.name!r} has {len(values)} values, not {tensor.shape}.")
    try:
        return _converted(values, KINDS[tensor.datatype])
    except msgspec.ValidationError as error:
        raise ValueError(f"Input {tensor.name!r} is not {tensor.datatype}: {error}") from error


def _converted(values: list[Any], kind: Any) -> list[Any]:
    """Values of a datatype. As in JSON, a whole number may be written as 3.0."""
    try:
        return msgspec.convert(values, kind)  # type: ignore[no-any-return]
    except msgspec.ValidationError:
        return msgspec.convert(repaired(values, kind), kind)  # type: ignore[no-any-return]


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for part in value:
            yield from _leaves(part)
    else:
        yield value


def _nested(values: list[Any], shape: list[int]) -> list[Any]:
    for length in reversed(shape[1:]):
        step = max(length, 1)
        values = [values[n : n + step] for n in range(0, len(values), step)]
    return values


def _outputs(answers: Any, wanted: list[Tensor]) -> list[dict[str, Any]]:
    outputs = []
    for tensor in wanted:
        named = answers and isinstance(answers, list) and isinstance(answers[0], dict)
        named = named and tensor.name in answers[0]
        values = [answer[tensor.name] for answer in answers] if named else answers
        outputs.append(_output(tensor, values if isinstance(values, list) else [values]))
    return outputs


def _array_output(tensor: Tensor, values: Any) -> dict[str, Any]:
    """An output of an array, or of an array for each of its labels."""
    output: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype}
    if isinstance(values, dict):
        output["parameters"] = {"labels": ",".join(values)}
        values = columnar.side_by_side(list(values.values()))
    return {**output, "shape": list(values.shape), "data": values.reshape(-1)}


def _in_bytes(asked: Request, outputs: list[dict[str, Any]]) -> set[str]:
    """The outputs that are asked for in bytes: each by itself, or all that do not say otherwise."""
    default = asked.parameters.get("binary_data_output", False)
    given = {output.name: output.parameters.get("binary_data", default) for output in asked.outputs}
    names = [output["name"] for output in outputs]
    return {name for name in names if given.get(name, default) is True}


def _output(tensor: Tensor, values: list[Any]) -> dict[str, Any]:
    output: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype}
    if labels := _labels(values) if tensor.datatype != "BYTES" else []:
        output["parameters"] = {"labels": ",".join(labels)}
        values = [[value[label] for label in labels] for value in values]
    shape, level = [len(values)], values
    while level and isinstance(level[0], list):
        shape.append(len(level[0]))
        level = level[0]
    flat = list(_leaves(values))
    if len(flat) != math.prod(shape):
        raise InvalidAnswers(
            f"The output {tensor.name} has lists of different lengths, which no tensor holds."
        )
    output["datatype"] = datatype = _actual(tensor.datatype, flat)
    if datatype == "BYTES":
        flat = [
            v if v is None or isinstance(v, str) else msgspec.json.encode(v).decode() for v in flat
        ]
    return {**output, "shape": shape, "data": flat}


def _labels(values: list[Any]) -> list[str]:
    """The keys that all answers have, where they are objects of numbers."""
    if not all(isinstance(value, dict) for value in values) or not values:
        return []
    keys = set(values[0])
    numbers = all(isinstance(n, int | float) for value in values for n in value.values())
    return list(values[0]) if numbers and all(set(value) == keys for value in values) else []


def _actual(datatype: str, values: list[Any]) -> str:
    """The datatype of these values, where the annotations do not say it."""
    kinds = {type(value) for value in values} - {type(None)}
    if datatype != "FP64" or kinds <= {int, float}:
        return datatype
    return "BOOL" if kinds == {bool} else "BYTES"
