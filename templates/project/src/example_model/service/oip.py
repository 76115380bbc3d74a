"""The Open Inference Protocol, version 2, over REST: each field of a row is a tensor.

Source: https://github.com/kserve/open-inference-protocol (specification/protocol/inference_rest.md).
"""

import math
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import falcon
import msgspec
from msgspec import Meta

from .resources import Status, invalid_is_400, read
from .schema import Schema


def _int(low: int, high: int | None) -> Any:
    return list[Annotated[int, Meta(ge=low, le=high)] | None]


KINDS: dict[str, Any] = {
    "BOOL": list[bool | None],
    "UINT8": _int(0, 2**8 - 1),
    "UINT16": _int(0, 2**16 - 1),
    "UINT32": _int(0, 2**32 - 1),
    "UINT64": _int(0, None),
    "INT8": _int(-(2**7), 2**7 - 1),
    "INT16": _int(-(2**15), 2**15 - 1),
    "INT32": _int(-(2**31), 2**31 - 1),
    "INT64": list[int | None],
    "FP16": list[float | None],
    "FP32": list[float | None],
    "FP64": list[float | None],
    "BYTES": list[str | None],
}
DATATYPES = {bool: "BOOL", int: "INT64", float: "FP64"}  # others are BYTES, as JSON if need be


class Input(msgspec.Struct):
    """One tensor of a request; `data` is flat or nested, row by row."""

    name: str
    shape: Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=1, max_length=8)]
    datatype: Literal[tuple(KINDS)]  # type: ignore[valid-type]
    data: list[Any]
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


class Tensor(msgspec.Struct, frozen=True):
    """What the protocol says of an input or an output; -1 is any length."""

    name: str
    datatype: str
    shape: list[int]


class Protocol:
    """Translates the protocol's requests to rows, and predictions to its responses."""

    def __init__(
        self, name: str, version: str, schema: Schema, predict: Callable[[Any], Any], status: Status
    ) -> None:
        self._name, self._version = name, version
        self._schema, self._predict, self._status = schema, predict, status
        self._inputs = _tensors(schema.row, "input")
        self._outputs = _tensors(schema.answer, "output")
        self._decoder = msgspec.json.Decoder(Request)

    def add_to(self, app: Any) -> None:
        """Route the protocol's addresses."""
        for path in ("/v2", "/v2/health/live", "/v2/health/ready"):
            app.add_route(path, self, suffix=path.rpartition("/")[2].replace("v2", "server"))
        for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
            app.add_route(path, self, suffix="model")
            app.add_route(f"{path}/ready", self, suffix="model_ready")
            app.add_route(f"{path}/infer", self, suffix="infer")

    def on_get_server(self, request: falcon.Request, response: falcon.Response) -> None:
        response.media = {"name": self._name, "version": self._version, "extensions": []}

    def on_get_live(self, request: falcon.Request, response: falcon.Response) -> None:
        response.media = {"live": True}

    def on_get_ready(self, request: falcon.Request, response: falcon.Response) -> None:
        if self._status.reason:
            raise falcon.HTTPServiceUnavailable(description=self._status.reason)
        response.media = {"ready": True}

    def on_get_model(
        self, request: falcon.Request, response: falcon.Response, name: str, version: str = ""
    ) -> None:
        self._must_be(name, version)
        response.media = {
            "name": self._name,
            "versions": [self._version],
            "platform": "python",
            "inputs": msgspec.to_builtins(self._inputs),
            "outputs": msgspec.to_builtins(self._outputs),
        }

    def on_get_model_ready(
        self, request: falcon.Request, response: falcon.Response, name: str, version: str = ""
    ) -> None:
        self._must_be(name, version)
        self.on_get_ready(request, response)
        response.media = {"name": self._name, "ready": True}

    def on_post_infer(
        self, request: falcon.Request, response: falcon.Response, name: str, version: str = ""
    ) -> None:
        self._must_be(name, version)
        body = read(request, [falcon.MEDIA_JSON], untyped=True)  # Triton's client names no type
        with invalid_is_400():
            asked = self._decoder.decode(body)
            wanted = self._wanted(asked.outputs)
            data = self._schema.convert(self._rows(asked.inputs))
        outputs = _outputs(self._predict(data), wanted)
        answer = {"model_name": self._name, "model_version": self._version, "outputs": outputs}
        if asked.id is not None:
            answer["id"] = asked.id
        response.data = self._schema.encode(answer)

    def _must_be(self, name: str, version: str) -> None:
        if name != self._name or version not in ("", self._version):
            raise falcon.HTTPNotFound(description="There is no such model, or version of it.")

    def _wanted(self, outputs: list[Output]) -> list[Tensor]:
        named = {tensor.name: tensor for tensor in self._outputs}
        for output in outputs:
            if output.name not in named:
                raise ValueError(f"There is no output {output.name!r}, only {', '.join(named)}.")
        return [named[output.name] for output in outputs] or self._outputs

    def _rows(self, inputs: list[Input]) -> list[Any]:
        if not self._schema.fields:
            if len(inputs) != 1:
                raise ValueError("Send one input.")
            return _nested(_flat(inputs[0]), inputs[0].shape)
        columns = {}
        for tensor in inputs:
            if tensor.name not in self._schema.fields or tensor.name in columns:
                raise ValueError(f"Input {tensor.name!r} is no field of a row, or comes twice.")
            if math.prod(tensor.shape[1:]) != 1:
                raise ValueError(f"Input {tensor.name!r} must have the shape [rows] or [rows, 1].")
            columns[tensor.name] = _flat(tensor)
        if len({len(values) for values in columns.values()}) != 1:
            raise ValueError("The inputs have different numbers of rows.")
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _flat(tensor: Input) -> list[Any]:
    values = list(_leaves(tensor.data))
    if len(values) != math.prod(tensor.shape):
        raise ValueError(f"Input {tensor.name!r} has {len(values)} values, not {tensor.shape}.")
    try:
        checked: list[Any] = msgspec.convert(values, KINDS[tensor.datatype])
        return checked
    except msgspec.ValidationError as error:
        raise ValueError(f"Input {tensor.name!r} is not {tensor.datatype}: {error}") from error


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


def _tensors(kind: Any, alone: str) -> list[Tensor]:
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


def _outputs(answers: Any, wanted: list[Tensor]) -> list[dict[str, Any]]:
    answers = answers.tolist() if hasattr(answers, "tolist") else list(answers)
    outputs = []
    for tensor in wanted:
        is_struct = answers and isinstance(answers[0], msgspec.Struct)
        values = [getattr(a, tensor.name) for a in answers] if is_struct else answers
        outputs.append(_output(tensor, msgspec.to_builtins(values)))
    return outputs


def _output(tensor: Tensor, values: list[Any]) -> dict[str, Any]:
    output: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype}
    if values and isinstance(values[0], dict) and tensor.datatype != "BYTES":
        output["parameters"] = {"labels": ",".join(values[0])}
        values = [list(value.values()) for value in values]
    shape, level = [len(values)], values
    while level and isinstance(level[0], list):
        shape.append(len(level[0]))
        level = level[0]
    flat = list(_leaves(values))
    if tensor.datatype == "BYTES":
        flat = [v if isinstance(v, str) else msgspec.json.encode(v).decode() for v in flat]
    return {**output, "shape": shape, "data": flat}
