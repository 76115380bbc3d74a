"""The service answers as the model does, and says what is wrong with a request."""

import msgspec
import pytest
from falcon import testing

from example_model import package
from example_model.models.model import Model
from example_model._runtime.service import ServeConfig
from example_model._runtime.service.app import Service


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


@pytest.fixture(scope="module")
def client(model) -> testing.TestClient:
    return testing.TestClient(Service(package, model, ServeConfig(max_rows=10, log="off")).app)


def test_predicts_what_python_predicts(client, model):
    rows = msgspec.to_builtins(model.examples)
    answer = client.simulate_post("/predict", json={"data": rows})
    assert answer.status_code == 200
    assert answer.json == {"predictions": msgspec.to_builtins(model.predict(model.examples))}


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("{", "truncated"),
        ('{"data": []}', "no rows"),
        ('{"data": [{"text": "Nice."}, {}]}', "row 2, text is missing"),
        ('{"data": [{"text": ""}]}', "row 1, text"),
        ('{"data": [{"text": 1}]}', "row 1, text"),
        ('{"data": [{"text": "Nice.", "stars": 5}]}', "stars"),
    ],
)
def test_a_wrong_body_is_refused_with_the_place_of_the_error(client, body, word):
    headers = {"Content-Type": "application/json"}
    answer = client.simulate_post("/predict", body=body, headers=headers)
    assert answer.status_code == 400
    assert word in answer.json["detail"]


def test_the_open_inference_protocol_is_spoken(client, model):
    texts = [tweet.text for tweet in model.examples]
    tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": texts}
    answer = client.simulate_post("/v2/models/example-model/infer", json={"inputs": [tensor]})
    assert answer.json["outputs"][0]["data"] == ["positive", "negative"]


def test_is_ready(client):
    assert client.simulate_get("/health/ready").status_code == 200


def test_openapi_describes_every_field_and_gives_a_real_row(client):
    document = client.simulate_get("/openapi.json").json
    assert set(document["components"]["schemas"]["Tweet"]["properties"]) == {"text"}
    request = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert client.simulate_post("/predict", json=request["example"]).status_code == 200
