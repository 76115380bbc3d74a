"""The messages of the Open Inference Protocol over gRPC, from and to what it has over REST.

Source: https://github.com/kserve/open-inference-protocol (specification/protocol/inference_grpc.md).
"""

import math
from typing import Any

from open_inference.grpc import protocol as messages

from . import tensors
from .oip import KINDS, Input, Output, Request

CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def request(message: Any) -> Request:
    """The request that a ModelInferRequest makes. Raises ValueError."""
    raw = message.raw_input_contents
    if not message.inputs:
        raise ValueError("The request has no inputs.")
    if raw and len(raw) != len(message.inputs):
        raise ValueError(f"There are {len(raw)} raw contents for {len(message.inputs)} inputs.")
    inputs = [_input(given, raw[n] if raw else None) for n, given in enumerate(message.inputs)]
    return Request(inputs, message.id or None, {}, [Output(one.name) for one in message.outputs])


def _input(given: Any, raw: bytes | None) -> Input:
    name, datatype, shape = given.name, given.datatype, list(given.shape)
    if datatype not in KINDS:
        raise ValueError(f"Input {name!r}: the datatype must be one of {', '.join(KINDS)}.")
    if not 1 <= len(shape) <= 8 or min(shape) < 0:
        raise ValueError(f"Input {name!r}: the shape {shape} is none.")
    number = math.prod(shape)
    if raw is not None:
        if given.HasField("contents"):
            raise ValueError(f"Input {name!r} has both contents and raw contents.")
        return Input(name, shape, datatype, tensors.read(name, datatype, number, memoryview(raw)))
    if datatype not in CONTENTS:
        raise ValueError(f"Input {name!r}: send {datatype} as raw_input_contents.")
    values = list(getattr(given.contents, CONTENTS[datatype]))
    if len(values) != number:
        raise ValueError(f"Input {name!r} has {len(values)} values of {datatype}, not {shape}.")
    return Input(name, shape, datatype, tensors.of(name, datatype, values))


def response(answer: dict[str, Any], raw: bool) -> Any:
    """The ModelInferResponse of an answer, its outputs as raw contents or as typed ones."""
    message = messages.ModelInferResponse(
        model_name=answer["model_name"],
        model_version=answer["model_version"],
        id=answer.get("id", ""),
    )
    for output in answer["outputs"]:
        name, datatype, values = output["name"], output["datatype"], output["data"]
        added = message.outputs.add(name=name, datatype=datatype, shape=output["shape"])
        for key, text in output.get("parameters", {}).items():
            added.parameters[key].string_param = text
        if raw:
            message.raw_output_contents.append(tensors.write(name, datatype, values))
        else:
            getattr(added.contents, CONTENTS[datatype]).extend(
                tensors.plain(name, datatype, values)
            )
    return message


def metadata(about: dict[str, Any]) -> Any:
    """The ModelMetadataResponse of what REST says of a model."""
    inputs, outputs = (
        [{"name": each.name, "datatype": each.datatype, "shape": each.shape} for each in about[key]]
        for key in ("inputs", "outputs")
    )
    return messages.ModelMetadataResponse(**{**about, "inputs": inputs, "outputs": outputs})
