# mypy: disable-error-code="import-not-found,import-untyped"
"""Send generated bodies to every route of a running service, and count what it answers.

    bodies.py URL GRPC-ADDRESS MODEL COUNT SEED

It runs in an environment that has gRPC and pyarrow. Each body is one that is right, or a change of one:
bytes turned, cut off, doubled or put in, and in JSON values of every kind in any place. It ends with what
was sent and said where an answer is a 5xx, no answer at all, or an error without words.
"""

from __future__ import annotations

import http.client
import io
import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import grpc
import pyarrow
import pyarrow.parquet
from open_inference.grpc import protocol

ROWS: list[dict[str, Any]] = [
    {"island": "Dream", "bill_length_mm": 49.5, "bill_depth_mm": 18.7, "flipper_length_mm": 181, "body_mass_g": 3800, "sex": None},
    {"island": "Biscoe", "bill_length_mm": None, "bill_depth_mm": 13.2, "flipper_length_mm": 211, "body_mass_g": 4500, "sex": "male"},
]  # fmt: skip
ODD: list[Any] = [None, True, -1, 0, 1.5, 2**63, 2**64, 10**40, 1e308, "", "x", "NaN", "\x00", "\ud83d", [], {}, [[1]], {"data": []}]  # fmt: skip
LENGTH = "Inference-Header-Content-Length"
DATATYPES = ("BOOL", "INT8", "INT64", "UINT16", "FP16", "FP32", "FP64", "BYTES", "X")
READ = ("/", "/openapi.json", "/ping", "/health/live", "/health/ready", "/metrics", "/v2", "/v2/health/live", "/nothing")  # fmt: skip

Chance = random.Random
Sent = tuple[str, bytes, dict[str, str]]


def changed(chance: Chance, body: bytes) -> bytes:
    """Some bytes turned, cut off, doubled or put in; nothing at all at times."""
    found = bytearray(body)
    for _ in range(chance.choice([0, 1, 1, 2, 5, 20])):
        at = chance.randrange(len(found) + 1)
        match chance.randrange(6):
            case 0:
                del found[at:]
            case 1:
                found[at:at] = found[: chance.randrange(64)]
            case 2:
                found[at:at] = chance.randbytes(chance.randrange(9))
            case 3:
                found[at : at + 4] = chance.choice(
                    [b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0"]
                )
            case _:
                if at < len(found):
                    found[at] = chance.choice([0, 255, chance.randrange(256), found[at] ^ 1])
    return bytes(found)


def bent(chance: Chance, value: Any, depth: int = 0) -> Any:
    """JSON with other values, names and places here and there."""
    if chance.random() < 0.06:
        return chance.choice(ODD)
    if isinstance(value, dict):
        pairs = [
            (k, bent(chance, v, depth + 1)) for k, v in value.items() if chance.random() > 0.03
        ]
        if chance.random() < 0.03:
            pairs.append((chance.choice(["data", "island", "x", "parameters"]), chance.choice(ODD)))
        return dict(pairs)
    if isinstance(value, list):
        return [bent(chance, v, depth + 1) for v in value] * chance.choice([1] * 30 + [0, 2])
    return value


def as_json(chance: Chance, value: Any) -> bytes:
    """Bent JSON, of which some bytes may be changed, too."""
    body = json.dumps(bent(chance, value)).encode()
    return changed(chance, body) if chance.random() < 0.3 else body


def tensors(chance: Chance) -> list[tuple[dict[str, Any], bytes]]:
    """The inputs of a request, and their bytes."""
    found = []
    for name in ("island", "bill_length_mm", "sex"):
        datatype = "FP64" if "bill" in name else "BYTES"
        words = [str(row[name] or "").encode() for row in ROWS]
        content = b"".join(len(word).to_bytes(4, "little") + word for word in words)
        if datatype == "FP64":
            content = (
                pyarrow.array([row[name] or 40.0 for row in ROWS], pyarrow.float64())
                .buffers()[1]
                .to_pybytes()[:16]
            )
        shape: list[Any] = [2]
        if chance.random() < 0.15:
            shape = chance.choice(
                [[], [1], [2, 1], [1, 2], [2**62], [2**31, 2**31], [0], [-1], [3], [2] * 9]
            )
        if chance.random() < 0.1:
            datatype = chance.choice(DATATYPES)
        if chance.random() < 0.2:
            content = changed(chance, content)
        found.append(({"name": name, "datatype": datatype, "shape": shape}, content))
    return found


def binary(chance: Chance, model: str) -> Sent:
    """A request in the binary extension."""
    inputs, content = [], b""
    for described, part in tensors(chance):
        size = (
            len(part)
            if chance.random() > 0.05
            else chance.choice([-1, 0, 3, 2**31, 10**30, None, "4"])
        )
        inputs.append({**described, "parameters": {"binary_data_size": size}})
        content += part
    asked = {"inputs": inputs, "parameters": {"binary_data_output": chance.random() < 0.7}}
    head = as_json(chance, asked) if chance.random() < 0.5 else json.dumps(asked).encode()
    length = (
        str(len(head)) if chance.random() > 0.05 else chance.choice(["-1", "0", "x", "9" * 30, "7"])
    )
    body = changed(chance, head + content) if chance.random() < 0.2 else head + content
    return f"/v2/models/{model}/infer", body, {LENGTH: length}


def table(chance: Chance) -> Any:
    """A table that fits, or nearly."""
    found = pyarrow.table({name: [row[name] for row in ROWS] for name in ROWS[0]})
    if chance.random() < 0.3:
        name = chance.choice(found.column_names)
        other = chance.choice(
            [pyarrow.nulls(2), pyarrow.array([[1], None]), pyarrow.array([b"\xff", b""]),
             pyarrow.array(["a", "b"]).dictionary_encode(), pyarrow.array([{"a": 1}, None]),
             pyarrow.array([2**50, 0], pyarrow.timestamp("s")), pyarrow.array([2**31 - 1, 0], pyarrow.date32())]
        )  # fmt: skip
        found = found.set_column(found.column_names.index(name), name, other)
    return found


def arrow(chance: Chance) -> bytes:
    """A stream."""
    out, found = io.BytesIO(), table(chance)
    options = pyarrow.ipc.IpcWriteOptions(compression=chance.choice([None] * 9 + ["zstd"]))
    with pyarrow.ipc.new_stream(out, found.schema, options=options) as stream:
        stream.write_table(found)
    return changed(chance, out.getvalue())


def parquet(chance: Chance) -> bytes:
    """A Parquet file."""
    out = io.BytesIO()
    pyarrow.parquet.write_table(table(chance), out)
    return changed(chance, out.getvalue())


def csv(chance: Chance) -> bytes:
    """A table of text."""
    lines = [",".join(ROWS[0]), *(",".join(str(v or "") for v in row.values()) for row in ROWS)]
    return changed(chance, "\n".join(lines).encode())


def message(chance: Chance, model: str) -> bytes:
    """A ModelInferRequest."""
    asked = protocol.ModelInferRequest(model_name=model if chance.random() > 0.02 else "other")
    for described, content in tensors(chance):
        shape = [min(each, 2**62) for each in described["shape"]]
        asked.inputs.add(name=described["name"], datatype=described["datatype"], shape=shape)
        asked.raw_input_contents.append(content)
    if chance.random() < 0.3:
        del asked.raw_input_contents[:]
        asked.inputs[0].contents.bytes_contents.extend(
            [b"Dream", chance.choice([b"Biscoe", b"\xff"])]
        )
        asked.inputs[1].contents.fp64_contents.extend(
            [40.0, chance.choice([41.0, -1.0, float("inf"), float("nan")])]
        )
        asked.inputs[2].contents.bytes_contents.extend([b"male", b""])
    body = bytes(asked.SerializeToString())
    return changed(chance, body) if chance.random() < 0.3 else body


def routes(model: str) -> dict[str, Callable[[Chance], Sent]]:
    """What is sent to each route in each form."""
    infer = f"/v2/models/{model}/infer"
    lists = {
        "inputs": [
            {"name": name, "datatype": kind, "shape": [2], "data": [row[name] for row in ROWS]}
            for name, kind in (("island", "BYTES"), ("bill_length_mm", "FP64"), ("sex", "BYTES"))
        ]
    }

    def of(path: str, kind: str, make: Callable[[Chance], bytes]) -> Callable[[Chance], Sent]:
        return lambda chance: (path, make(chance), {"Content-Type": kind})

    lines = "\n".join(map(json.dumps, ROWS)).encode()
    stream, file = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
    return {
        "/predict, JSON": of("/predict", "application/json", lambda c: as_json(c, {"data": ROWS})),
        "/predict, Arrow": of("/predict", stream, arrow),
        "/predict, Parquet": of("/predict", file, parquet),
        "/invocations, JSON": of("/invocations", "application/json", lambda c: as_json(c, ROWS)),
        "/invocations, JSON Lines": of("/invocations", "application/jsonlines", lambda c: changed(c, lines)),
        "/invocations, CSV": of("/invocations", "text/csv", csv),
        "/invocations, Arrow": of("/invocations", stream, arrow),
        "/invocations, Parquet": of("/invocations", file, parquet),
        "/v2 infer, JSON": of(infer, "application/json", lambda c: as_json(c, lists)),
        "/v2 infer, bytes": lambda chance: binary(chance, model),
        "all that is read": lambda chance: (chance.choice(READ), changed(chance, lines), {}),
    }  # fmt: skip


class Http:
    """A connection, opened again whenever the service closes it."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)

    def __call__(self, sent: Sent) -> str:
        path, body, headers = sent
        self._connection.request("POST", path, body, headers)
        response = self._connection.getresponse()
        content = response.read()
        if response.status >= 400:
            said = json.loads(content)
            assert len(said.get("detail") or said.get("error") or said["title"]) > 10, content
        assert response.status < 500, (response.status, content)
        return str(response.status)


def over_grpc(address: str) -> Callable[[bytes], str]:
    """A call of ModelInfer, in bytes that may be no message."""
    call = grpc.insecure_channel(address).unary_unary("/inference.GRPCInferenceService/ModelInfer")

    def ask(body: bytes) -> str:
        try:
            protocol.ModelInferResponse.FromString(call(body, timeout=60))
        except grpc.RpcError as error:
            name = str(error.code().name)
            assert name in ("INVALID_ARGUMENT", "NOT_FOUND"), (name, error.details())
            assert len(error.details()) > 10
            return name
        return "OK"

    return ask


def main(url: str, address: str, model: str, count: str, seed: str) -> None:
    """Print the counts of each route as JSON."""
    counts: dict[str, Counter[str]] = {}
    makers: dict[str, Callable[[Chance], Any]] = {
        **routes(model), "gRPC ModelInfer": lambda chance: message(chance, model)
    }  # fmt: skip
    for route, make in makers.items():
        ask: Callable[[Any], str] = over_grpc(address) if "gRPC" in route else Http(url)
        counts[route] = Counter()
        chance = random.Random(f"{seed} {route}")
        for n in range(int(count)):
            sent = make(chance)
            try:
                counts[route][ask(sent)] += 1
            except Exception:
                print(f"{route}, number {n}: {sent!r}", file=sys.stderr)
                raise
    print(json.dumps(counts))


if __name__ == "__main__":
    main(*sys.argv[1:])
