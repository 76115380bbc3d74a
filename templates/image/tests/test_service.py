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
    ("row", "word"),
    [
        ({}, "row 1, pixels is missing"),
        ({"pixels": [1, 2, 3]}, "exactly 64 items"),
        ({"pixels": [0] * 63 + [-1]}, "row 1, pixels[63]"),
        ({"pixels": [0] * 64, "colour": "red"}, "colour"),
    ],
)
def test_a_wrong_row_is_refused_with_the_place_of_the_error(client, row, word):
    answer = client.simulate_post("/predict", json={"data": [row]})
    assert answer.status_code == 400
    assert word in answer.json["detail"]


def test_is_ready(client):
    assert client.simulate_get("/health/ready").status_code == 200


def test_openapi_says_how_long_an_image_is_and_gives_real_ones(client):
    document = client.simulate_get("/openapi.json").json
    pixels = document["components"]["schemas"]["Image"]["properties"]["pixels"]
    assert (pixels["minItems"], pixels["maxItems"]) == (64, 64)
    request = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert client.simulate_post("/predict", json=request["example"]).status_code == 200
