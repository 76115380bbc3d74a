"""The Open Inference Protocol over gRPC, asked by Triton's client and by gRPC's own."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conftest import ROWS, Churn, kept_environment, run
from serving import Service, service, until
from test_limits import SLEEPY

TRITON = """
import sys, numpy as np, tritonclient.grpc as triton
client = triton.InferenceServerClient(sys.argv[1])
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("churn")
assert client.get_server_metadata().version == client.get_model_metadata("churn").versions[0]
assert client.get_model_metadata("churn").inputs[0].datatype == "BYTES"
def infer(islands, model="churn"):
    inputs = []
    for name, kind, value in [("island", "BYTES", np.array([islands], object)),
                              ("bill_length_mm", "FP64", np.array([[49.5]])),
                              ("body_mass_g", "FP64", np.array([[3800.0]]))]:
        tensor = triton.InferInput(name, [1, 1], kind)
        tensor.set_data_from_numpy(value)
        inputs.append(tensor)
    return client.infer(model, inputs, request_id="mine-1")
answer = infer(["Dream"])
assert answer.get_response().id == "mine-1"
assert answer.as_numpy("probabilities").shape == (1, 3)
for island, model, code, said in [("Mars", "churn", "INVALID_ARGUMENT", "row 1, island"),
                                  ("Dream", "other", "NOT_FOUND", "only churn")]:
    try:
        infer([island], model)
    except triton.InferenceServerException as error:
        assert code in error.status() and said in error.message(), error
    else:
        raise AssertionError("no error")
print(answer.as_numpy("species")[0].decode())
"""
# A client of gRPC's own in the environment of the project: `ask` gives the name of the status and what
# was said, `message` a request for penguins on these islands, or for the rows of test_limits.SLEEPY.
CLIENT = """
import json, sys, time, grpc
from open_inference.grpc import protocol as p
channel = grpc.insecure_channel(sys.argv[1])
def ask(method, message, service="inference.GRPCInferenceService", **options):
    content = message if isinstance(message, bytes) else message.SerializeToString()
    try:
        answer = channel.unary_unary(f"/{service}/{method}")(content, **{"timeout": 30, **options})
    except grpc.RpcError as error:
        return error.code().name, error.details()
    return "OK", answer
def message(*islands, model="churn"):
    asked = p.ModelInferRequest(model_name=model)
    asked.inputs.add(name="island", datatype="BYTES", shape=[len(islands)])
    asked.inputs[0].contents.bytes_contents.extend(island.encode() for island in islands)
    return asked
def seconds(number):
    asked = p.ModelInferRequest(model_name="churn")
    asked.inputs.add(name="input", datatype="FP64", shape=[1]).contents.fp64_contents.append(number)
    return asked
"""


def calls(wired: Churn, running: Service, script: str, *words: str) -> Any:
    """What a script in the client prints, as JSON."""
    command = [str(wired.python), "-c", CLIENT + script, running.grpc, *words]
    return json.loads(run(*command, cwd=wired.root).stdout)


@contextmanager
def sleepy(wired: Churn, folder: Path, *settings: str) -> Iterator[Service]:
    """A service whose predictions take as long as their row says, or until a file `go` is there."""
    command = [str(wired.python), "-c", SLEEPY, "grpc_port=0", *settings]
    with service(command, folder) as running:
        yield running


def test_tritons_client_gets_the_right_answer(served_wide: Service, tmp_path: Path) -> None:
    answer = served_wide.post("/predict", f'{{"data": {ROWS}}}'.encode())[1]
    python = kept_environment("tritonclient[grpc]")
    said = run(python, "-c", TRITON, served_wide.grpc, cwd=tmp_path).stdout.split()
    assert said == [answer["predictions"][0]["species"]]


def test_typed_contents_are_answered_with_typed_contents(
    wired: Churn, served_wide: Service
) -> None:
    script = """
code, content = ask("ModelInfer", message("Dream", "Biscoe"))
answer = p.ModelInferResponse.FromString(content)
labels = answer.outputs[1].parameters["labels"].string_param.split(",")
print(json.dumps([[word.decode() for word in answer.outputs[0].contents.bytes_contents], labels,
                  list(answer.outputs[1].contents.fp64_contents), len(answer.raw_output_contents)]))
"""
    species, labels, probabilities, raw = calls(wired, served_wide, script)
    rows = [{"island": "Dream"}, {"island": "Biscoe"}]
    _, expected = served_wide.post("/predict", json.dumps({"data": rows}).encode())
    assert species == [each["species"] for each in expected["predictions"]]
    assert raw == 0
    assert probabilities == [
        each["probabilities"][label] for each in expected["predictions"] for label in labels
    ]


def test_what_cannot_be_read_is_an_invalid_argument(wired: Churn, served_wide: Service) -> None:
    script = """
found = [ask("ModelInfer", b"\\xff\\xff"), ask("ModelInfer", p.ModelInferRequest(model_name="churn")),
         ask("ModelInfer", message())]
def changed(**fields):
    asked = message("Dream")
    for name, value in fields.items():
        if isinstance(value, list):
            del getattr(asked.inputs[0], name)[:]
            getattr(asked.inputs[0], name).extend(value)
        else:
            setattr(asked.inputs[0], name, value)
    return asked
found += [ask("ModelInfer", changed(**fields)) for fields in (
    {"shape": [2**62]}, {"shape": [-1]}, {"shape": []}, {"shape": [1] * 9}, {"datatype": "FP16"},
    {"datatype": "TEXT"}, {"datatype": "INT64"}, {"name": "wings"})]
raw = message("Dream")
raw.raw_input_contents.append(b"\\xff\\xff\\xff\\xff")
found.append(ask("ModelInfer", raw))
raw.inputs[0].ClearField("contents")
found.append(ask("ModelInfer", raw))
raw.raw_input_contents.append(b"")
found.append(ask("ModelInfer", raw))
byte = message("Dream")
byte.inputs[0].contents.bytes_contents[0] = b"\\xff"
found.append(ask("ModelInfer", byte))
print(json.dumps(found))
"""
    found = calls(wired, served_wide, script)
    assert {code for code, _ in found} == {"INVALID_ARGUMENT"}
    for (_, said), words in zip(
        found,
        [
            *("no ModelInferRequest", "no inputs", "no rows", "1 values", "the shape [-1]"),
            *("the shape []", "the shape", "raw_input_contents", "one of BOOL", "0 values"),
            *("'wings'", "both contents", "past the end", "2 raw contents", "UTF-8"),
        ],
        strict=True,
    ):
        assert words in said


def test_reflection_and_the_standard_health_service_answer(
    wired: Churn, served_wide: Service
) -> None:
    script = """
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase)
database = ProtoReflectionDescriptorDatabase(channel)
service = DescriptorPool(database).FindServiceByName("inference.GRPCInferenceService")
health = [ask("Check", health_pb2.HealthCheckRequest(service=name), "grpc.health.v1.Health")
          for name in ("", "inference.GRPCInferenceService", "other")]
health = [health_pb2.HealthCheckResponse.FromString(s).status if c == "OK" else c for c, s in health]
print(json.dumps([list(database.get_services()), list(service.methods_by_name), health]))
"""
    services, methods, health = calls(wired, served_wide, script)
    assert {"grpc.health.v1.Health", "inference.GRPCInferenceService"} <= {*services}
    assert "ModelInfer" in methods
    assert health == [1, 1, "NOT_FOUND"]


def test_calls_are_counted_and_logged_as_requests_are(wired: Churn, served_wide: Service) -> None:
    script = """
for n in range(5):
    ask("ModelInfer", message("Dream"), metadata=[("x-request-id", f"mine-{n}")])
print(json.dumps(ask("ModelInfer", message("Mars"))))
"""

    def count(status: int) -> float:
        name = rf'_count\{{route="/inference.GRPCInferenceService/ModelInfer",status="{status}"\}} (\S+)'
        found = re.search(name, served_wide.request("GET", "/metrics")[2].decode())
        return float(found[1]) if found else 0

    before = count(200), count(400)
    assert calls(wired, served_wide, script)[0] == "INVALID_ARGUMENT"
    assert (count(200), count(400)) == (before[0] + 5, before[1] + 1)
    until(lambda: sum('"id":"mine-' in line for line in served_wide.log) == 5)
    (line,) = [json.loads(line) for line in served_wide.log if '"id":"mine-3"' in line]
    assert (line["method"], line["status"]) == ("gRPC", 200)


def test_keys_are_asked_for_as_metadata(wired: Churn) -> None:
    script = """
from grpc_health.v1 import health_pb2
def keyed(method, asked, service="inference.GRPCInferenceService", **metadata):
    return ask(method, asked, service, metadata=list(metadata.items()))[0]
print(json.dumps([
    keyed("ModelInfer", message("Dream")), keyed("ModelInfer", message("Dream"), authorization="Bearer x"),
    keyed("ServerMetadata", b""), keyed("ModelReady", b""), keyed("Nothing", b""),
    keyed("ServerReflectionInfo", b"", "grpc.reflection.v1alpha.ServerReflection"),
    keyed("ModelInfer", message("Dream"), authorization="Bearer k-1"),
    ask("ModelInfer", message("Dream"), metadata=[("x-api-key", "k-2")])[0],
    keyed("ServerLive", b""), keyed("Check", b"", "grpc.health.v1.Health")]))
"""
    command = [str(wired.python), "-m", "churn", "serve", "--port", "0", "--grpc-port", "0"]
    keys = ("--workers", "1", "--set", "api_keys=${env:KEYS}")
    with service([*command, *keys], wired.root, {"KEYS": "k-1,k-2"}) as running:
        assert calls(wired, running, script) == ["UNAUTHENTICATED"] * 6 + ["OK"] * 4


def test_a_call_ends_at_its_deadline_or_that_of_the_service(wired: Churn, tmp_path: Path) -> None:
    script = """
start = time.monotonic()
mine = ask("ModelInfer", seconds(60), timeout=0.5)[0]
its = ask("ModelInfer", seconds(60))
print(json.dumps([mine, *its, time.monotonic() - start, ask("ServerLive", b"")[0]]))
"""
    with sleepy(wired, tmp_path, "predict_seconds=1") as running:
        mine, its, said, took, live = calls(wired, running, script)
        (tmp_path / "go").touch()
    assert (mine, its, live) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "OK")
    assert said == "The prediction took too long."
    assert took < 20


def test_messages_and_waiting_calls_are_limited(wired: Churn, tmp_path: Path) -> None:
    script = """
call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
running = [call.future(seconds(60).SerializeToString()) for _ in range(6)]
while sum(each.done() for each in running) < 3:
    time.sleep(0.01)
refused = [each for each in running if each.done()]
large = ask("ModelInfer", b"x" * 2_000)
open("go", "w").close()
print(json.dumps([[each.code().name for each in refused], refused[0].details(), large,
                  [bool(each.result()) for each in running if each not in refused]]))
"""
    limits = ("threads=2", "queue_limit=1", "grpc_max_bytes=1000")
    with sleepy(wired, tmp_path, *limits) as running:
        command = [str(wired.python), "-c", CLIENT + script, running.grpc]
        refused, said, large, answered = json.loads(run(*command, cwd=tmp_path).stdout)
    assert refused == ["UNAVAILABLE"] * 3
    assert "at capacity" in said
    assert (large[0], "2000 vs. 1000" in large[1]) == ("RESOURCE_EXHAUSTED", True)
    assert answered == [True] * 3


def test_a_stop_finishes_what_is_asked_and_no_watcher_holds_it_up(
    wired: Churn, tmp_path: Path
) -> None:
    script = """
from grpc_health.v1 import health_pb2
watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
states = [health_pb2.HealthCheckResponse.FromString(next(watch)).status]
call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
running = call.future(seconds(60).SerializeToString())
open("asked", "w").close()
states.append(health_pb2.HealthCheckResponse.FromString(next(watch)).status)
open("go", "w").close()
print(json.dumps([bool(running.result()), states]))
"""
    with sleepy(wired, tmp_path) as running:
        command = [str(wired.python), "-c", CLIENT + script, running.grpc]
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as client:
            until((tmp_path / "asked").exists)
            time.sleep(0.5)  # until the call has arrived, of which nothing is to be seen
            assert running.stop() == 0
            said = client.communicate(timeout=60)[0]
    assert json.loads(said) == [True, [1, 2]]


def test_a_new_generation_takes_over_without_a_lost_call(wired: Churn) -> None:
    script = """
from collections import Counter
outcomes = Counter()
while outcomes["OK"] < 20 or sys.stdin.readline().strip() != "end":
    for _ in range(20):
        outcomes[ask("ModelInfer", message("Dream"), wait_for_ready=True)[0]] += 1
    print(json.dumps(outcomes), flush=True)
"""
    command = [str(wired.python), "-m", "churn", "serve", "--port", "0", "--grpc-port", "0"]
    with service([*command, "--workers", "2"], wired.root) as running:
        former = running.workers()
        client = subprocess.Popen(
            [str(wired.python), "-c", CLIENT + script, running.grpc],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert client.stdin is not None
        assert client.stdout is not None
        with client:
            client.stdout.readline()
            running.process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 60
            while {*former} & {*running.workers()}:
                assert time.monotonic() < deadline
                print("on", file=client.stdin, flush=True)
                outcomes = json.loads(client.stdout.readline())
            print("on", file=client.stdin, flush=True)
            outcomes = json.loads(client.stdout.readline())
            print("end", file=client.stdin, flush=True)
    assert list(outcomes) == ["OK"]


def test_grpc_that_cannot_be_served_is_said_in_a_sentence(churn: Churn, wired: Churn) -> None:
    said = churn.verb("serve", "--port", "0", "--grpc-port", "0", code=1).stderr
    assert "gRPC needs grpc" in said
    assert "Run: poetry ml add grpc" in said
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [str(wired.python), "-m", "churn", "serve", "--port", "0", "--grpc-port", port]
        said = run(*command, cwd=wired.root, code=1).stderr
    assert f"Cannot listen on 127.0.0.1, port {port}" in said
    command[-1] = "70000"
    assert "grpc_port" in run(*command, cwd=wired.root, code=1).stderr
