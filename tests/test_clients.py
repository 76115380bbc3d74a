"""Clients of the Open Inference Protocol that others wrote."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import ROWS, kept_environment, run
from serving import Service

TRITON = """
import sys, numpy as np, tritonclient.http as triton
client = triton.InferenceServerClient(sys.argv[1])
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("churn")
def infer(**form):
    inputs = []
    for name, kind, value in [("island", "BYTES", np.array([["Dream"]], object)),
                              ("bill_length_mm", "FP64", np.array([[49.5]])),
                              ("body_mass_g", "FP64", np.array([[3800.0]]))]:
        tensor = triton.InferInput(name, [1, 1], kind)
        tensor.set_data_from_numpy(value, **form)
        inputs.append(tensor)
    outputs = [triton.InferRequestedOutput("species", **form)] if form else None
    return client.infer("churn", inputs, outputs=outputs).as_numpy("species")[0]
assert infer(binary_data=False) == infer(binary_data=True).decode() == infer().decode()
print(infer())
"""
KSERVE = """
import asyncio, sys
from kserve import InferInput, InferRequest, InferenceRESTClient, RESTConfig
async def main():
    client = InferenceRESTClient(RESTConfig(protocol="v2", timeout=30))
    url = "http://" + sys.argv[1]
    assert await client.is_server_live(url) and await client.is_model_ready(url, "churn")
    inputs = [InferInput("island", [1], "BYTES", ["Dream"]),
              InferInput("bill_length_mm", [1], "FP64", [49.5]),
              InferInput("body_mass_g", [1], "FP64", [3800.0])]
    answer = await client.infer(url, InferRequest("churn", inputs), model_name="churn")
    print(answer.outputs[0].data[0])
asyncio.run(main())
"""


def test_triton_and_kserve_clients_get_the_right_answer(served: Service, tmp_path: Path) -> None:
    answer = served.post("/predict", f'{{"data": {ROWS}}}'.encode())[1]
    expected = answer["predictions"][0]["species"]
    python = kept_environment("tritonclient[http]", "kserve")
    address = served.url.removeprefix("http://")
    for script in (TRITON, KSERVE):
        said = run(python, "-c", script, address, cwd=tmp_path).stdout.split()
        assert said[-1].strip("b'") == expected, json.dumps(said)
