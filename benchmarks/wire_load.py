# mypy: disable-error-code="import-not-found,import-untyped"
"""Ask a service for as long as a cell takes, in an environment that has gRPC, numpy and pyarrow.

wire_load.py FORM URL GRPC-ADDRESS MODEL CLIENTS ROWS SECONDS
wire_load.py model PACKAGE ROWS
"""

from __future__ import annotations

import http.client
import io
import json
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from itertools import cycle
from typing import Any

import numpy as np

RANGES = {
    "bill_length_mm": (30, 60),
    "bill_depth_mm": (13, 22),
    "flipper_length_mm": (170, 230),
    "body_mass_g": (2700, 6300),
}
VARIETY = 8  # different requests: a model may know the rows that it was asked last
WORDS = {"island": ["Biscoe", "Dream", "Torgersen"], "sex": ["female", "male"]}


def columns(rows: int, seed: int = 0) -> dict[str, Any]:
    """So many penguins, others for each seed."""
    chance = np.random.default_rng(seed)
    found = {name: chance.choice(words, rows).astype(object) for name, words in WORDS.items()}
    return found | {name: chance.uniform(*ends, rows).round(1) for name, ends in RANGES.items()}


def as_bytes(values: Any) -> bytes:
    """A tensor of the binary extension."""
    if values.dtype != object:
        return bytes(values.tobytes())
    words = [word.encode() for word in values]
    return b"".join(len(word).to_bytes(4, "little") + word for word in words)


def request(form: str, model: str, rows: int, seed: int) -> tuple[str, bytes, dict[str, str]]:
    """The path, the body and the headers of a request."""
    data = columns(rows, seed)
    infer, kinds = f"/v2/models/{model}/infer", {True: "BYTES", False: "FP64"}
    inputs = [
        {"name": name, "datatype": kinds[values.dtype == object], "shape": [rows]}
        for name, values in data.items()
    ]
    if form == "predict-json":
        lists = [values.tolist() for values in data.values()]
        objects = [dict(zip(data, row, strict=True)) for row in zip(*lists, strict=True)]
        return (
            "/predict",
            json.dumps({"data": objects}).encode(),
            {"Content-Type": "application/json"},
        )
    if form == "v2-json":
        inputs = [{**one, "data": data[str(one["name"])].tolist()} for one in inputs]
        return infer, json.dumps({"inputs": inputs}).encode(), {"Content-Type": "application/json"}
    if form == "v2-binary":
        parts = [as_bytes(values) for values in data.values()]
        inputs = [
            {**one, "parameters": {"binary_data_size": len(part)}}
            for one, part in zip(inputs, parts, strict=True)
        ]
        asked = {"inputs": inputs, "parameters": {"binary_data_output": True}}
        head = json.dumps(asked).encode()
        return infer, head + b"".join(parts), {"Inference-Header-Content-Length": str(len(head))}
    import pyarrow
    import pyarrow.parquet

    table, out = pyarrow.table(data), io.BytesIO()
    if form == "parquet":
        pyarrow.parquet.write_table(table, out)
        return "/predict", out.getvalue(), {"Content-Type": "application/vnd.apache.parquet"}
    with pyarrow.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    return "/predict", out.getvalue(), {"Content-Type": "application/vnd.apache.arrow.stream"}


def over_http(form: str, url: str, model: str, rows: int) -> Callable[[], Callable[[], None]]:
    """Make clients, each with a connection of its own."""
    requests = cycle([request(form, model, rows, seed) for seed in range(VARIETY)])

    def client() -> Callable[[], None]:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)

        def ask() -> None:
            path, body, headers = next(requests)
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            content = response.read()
            assert response.status == 200, content[:300]

        return ask

    return client


def over_grpc(address: str, model: str, rows: int) -> Callable[[], Callable[[], None]]:
    """The same for gRPC."""
    import grpc
    from open_inference.grpc import protocol, service

    def message(seed: int) -> Any:
        made = protocol.ModelInferRequest(model_name=model)
        for name, values in columns(rows, seed).items():
            datatype = "BYTES" if values.dtype == object else "FP64"
            made.inputs.add(name=name, datatype=datatype, shape=[rows])
            made.raw_input_contents.append(as_bytes(values))
        return made

    messages = cycle([message(seed) for seed in range(VARIETY)])

    def client() -> Callable[[], None]:
        # Channels of the same options would share one connection.
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        infer = service.GRPCInferenceServiceStub(grpc.insecure_channel(address, options)).ModelInfer

        def ask() -> None:
            assert infer(next(messages), timeout=60).raw_output_contents

        return ask

    return client


def load(
    client: Callable[[], Callable[[], None]], clients: int, seconds: float
) -> dict[str, float]:
    """Ask with so many clients, each of which waits for its answer."""
    times: list[list[float]] = [[] for _ in range(clients)]
    gate = threading.Barrier(clients + 1)
    end = [0.0]

    def work(mine: list[float]) -> None:
        ask = client()
        ask()
        gate.wait()
        while (start := time.perf_counter()) < end[0]:
            ask()
            mine.append(time.perf_counter() - start)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in times]
    for thread in threads:
        thread.start()
    end[0] = float("inf")  # until all have asked once
    gate.wait()
    start = time.perf_counter()
    end[0] = start + seconds
    for thread in threads:
        thread.join()
    taken = time.perf_counter() - start
    found = sorted(each for mine in times for each in mine)
    return {
        "rate": len(found) / taken,
        "p50": found[len(found) // 2] * 1000,
        "p99": found[int(len(found) * 0.99)] * 1000,
        "all": len(found) + clients,
    }


def alone(package: str, rows: int) -> float:
    """CPU milliseconds of the model itself for so many rows."""
    model = import_module(f"{package}.__main__").load_model()
    data = columns(rows)
    model.predict_columns(data)
    start, count = time.process_time(), 50
    for n in range(count):  # other rows each time: it may know the last ones
        model.predict_columns({**data, "body_mass_g": data["body_mass_g"] + n})
    return (time.process_time() - start) * 1000 / count


def main(form: str, *words: str) -> None:
    """Print what was seen as JSON."""
    if form == "model":
        print(alone(words[0], int(words[1])))
        return
    url, address, model, clients, rows, seconds = words
    if form == "grpc":
        client = over_grpc(address, model, int(rows))
    else:
        client = over_http(form, url, model, int(rows))
    print(json.dumps(load(client, int(clients), float(seconds))))


if __name__ == "__main__":
    main(*sys.argv[1:])
