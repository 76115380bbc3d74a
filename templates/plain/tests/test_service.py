"""The service answers as the model does, and says what is wrong with a request."""

import pytest
from falcon import testing

from example_model import package
from example_model.models.model import Model
from example_model._runtime.service import ServeConfig
from example_model._runtime.service.app import Service


@pytest.fixture(scope="module")
def client() -> testing.TestClient:
    return testing.TestClient(Service(Model(), ServeConfig(log="off")).app)


def test_predicts_any_json(client):
    answer = client.simulate_post("/predict", json={"data": [[0, 1], [2, 3]]})
    assert answer.json == {"predictions": [1, 5]}


@pytest.mark.parametrize("body", ["{", "[]", "{}"])
def test_what_is_no_request_is_refused(client, body):
    headers = {"Content-Type": "application/json"}
    answer = client.simulate_post("/predict", body=body, headers=headers)
    assert answer.status_code == 400


def test_the_open_inference_protocol_is_spoken(client):
    tensor = {"name": "input", "shape": [2, 2], "datatype": "FP64", "data": [0, 1, 2, 3]}
    answer = client.simulate_post("/v2/models/example-model/infer", json={"inputs": [tensor]})
    assert answer.json["outputs"][0]["data"] == [1, 5]


def test_is_ready(client):
    assert client.simulate_get("/health/ready").status_code == 200


def test_openapi_gives_an_example_that_works(client):
    document = client.simulate_get("/openapi.json").json
    request = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert client.simulate_post("/predict", json=request["example"]).status_code == 200
