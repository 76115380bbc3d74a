"""The service answers as the model does, and says what is wrong with a request."""

import msgspec
import pytest
from falcon import testing

from example_model import package
from example_model._runtime.service import ServeConfig
from example_model._runtime.service.app import Service
from example_model.models.model import Model


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
        ("[]", "object"),
        ('{"data": []}', "no rows"),
        ('{"data": [{"island": "Dream"}, {}]}', "row 2, island is missing"),
        ('{"data": [{"island": "Atlantis"}]}', 'row 1, island: "Atlantis" is not one of'),
        ('{"data": [{"island": "Dream", "body_mass_g": "heavy"}]}', "row 1, body_mass_g"),
        ('{"data": [{"island": "Dream", "body_mass_g": NaN}]}', "malformed"),
        ('{"data": [{"island": "Dream", "wings": 2}]}', "wings"),
    ],
)
def test_a_wrong_body_is_refused_with_the_place_of_the_error(client, body, word):
    headers = {"Content-Type": "application/json"}
    answer = client.simulate_post("/predict", body=body, headers=headers)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert word in answer.json["detail"]


def test_too_many_rows_are_refused(client):
    answer = client.simulate_post("/predict", json={"data": [{"island": "Dream"}] * 11})
    assert answer.status_code == 400


def test_only_json_is_taken(client):
    assert client.simulate_post("/predict", body="island=Dream").status_code == 415


def test_is_live_and_ready(client):
    assert client.simulate_get("/health/live").status_code == 200
    assert client.simulate_get("/health/ready").status_code == 200


def test_openapi_describes_every_field_and_gives_a_real_row(client, model):
    document = client.simulate_get("/openapi.json").json
    assert set(document["components"]["schemas"]["Penguin"]["properties"]) == set(
        model.examples[0].__struct_fields__
    )
    request = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert client.simulate_post("/predict", json=request["example"]).status_code == 200
