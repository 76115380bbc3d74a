"""The binary extension of the Open Inference Protocol: tensors as bytes after the JSON of a message.

Source: https://github.com/triton-inference-server/server (docs/protocol/extension_binary_data.md).
"""

import math
from collections.abc import Collection, Sequence
from typing import Any

from . import tensors

EXTENSION = "binary_tensor_data"
LENGTH = "Inference-Header-Content-Length"
OCTETS = "application/octet-stream"


def split(body: bytes, length: str | None) -> tuple[memoryview, memoryview]:
    """The JSON of a request, and the bytes after it. Raises ValueError."""
    whole = memoryview(body)
    if length is None:
        return whole, whole[len(whole) :]
    if not (length.isascii() and length.isdigit()) or len(length) > 18 or int(length) > len(body):
        raise ValueError(
            f"{LENGTH} is {length[:40]!r}, where the body has {len(body):,} bytes: "
            "give the length of its JSON."
        )
    return whole[: int(length)], whole[int(length) :]


def attach(inputs: Sequence[Any], content: memoryview) -> None:
    """Give each input that is in bytes its part of them, in their order. Raises ValueError."""
    at = 0
    for tensor in inputs:
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            if tensor.data is None:
                raise ValueError(f"Input {tensor.name!r} has neither data nor binary_data_size.")
            continue
        if tensor.data is not None:
            raise ValueError(f"Input {tensor.name!r} has both data and binary_data_size.")
        if type(size) is not int or not 0 <= size <= len(content) - at:
            raise ValueError(
                f"Input {tensor.name!r}: binary_data_size is {str(size)[:40]}, "
                f"where {len(content) - at:,} bytes are left."
            )
        number = math.prod(tensor.shape)
        tensor.data = tensors.read(tensor.name, tensor.datatype, number, content[at : at + size])
        at += size
    if at != len(content):
        raise ValueError(f"{len(content) - at:,} bytes follow the last tensor.")


def detach(outputs: Sequence[dict[str, Any]], names: Collection[str]) -> bytes:
    """Take the data of these outputs out of their JSON, and return it as bytes."""
    parts = []
    for output in outputs:
        if output["name"] in names:
            content = tensors.write(output["name"], output["datatype"], output.pop("data"))
            parameters = output.get("parameters", {})
            output["parameters"] = {**parameters, "binary_data_size": len(content)}
            parts.append(content)
    return b"".join(parts)
