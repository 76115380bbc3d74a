"""The service answers as the model does, and says what is wrong with a request."""

from typing import Any

import msgspec
import pytest
from falcon import testing

from example_model.__main__ import app
from example_model.models.model import Model


@pytest.fixture(scope="module")
def client() -> testing.TestClient:
    return testing.TestClient(app(max_rows=10))


@pytest.fixture(scope="module")
def rows() -> list[Any]:
    """The model's examples as JSON has them."""
    if not len(getattr(Model, "examples", ())):
        pytest.skip("Model.examples is empty: give it a few rows, for these tests and for the page")
    return plain(Model.examples)


def plain(value: Any) -> Any:
    """What JSON makes of a value; of numpy's and pandas', too."""
    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=listed))


def listed(value: Any) -> Any:
    return value.to_dict("records") if hasattr(value, "columns") else value.tolist()


def test_predicts_what_python_predicts(client, rows):
    model = Model()
    expected = plain(model.predict(model.examples))
    answer = client.simulate_post("/predict", json={"data": rows})
    assert answer.status_code == 200, answer.text
    assert answer.json == {"predictions": expected}


@pytest.mark.parametrize("body", ["{", "[]", '{"rows": []}', '{"data": NaN}'])
def test_a_body_that_holds_no_rows_is_refused(client, body):
    headers = {"Content-Type": "application/json"}
    answer = client.simulate_post("/predict", body=body, headers=headers)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_an_unknown_field_is_refused_by_name(client, rows):
    known = client.simulate_get("/openapi.json").json["components"]["schemas"]["Request"]
    if "$ref" not in known["properties"]["data"].get("items", ()):
        pytest.skip("the rows of this model have no fields")
    answer = client.simulate_post("/predict", json={"data": [rows[0] | {"no_such_field": 1}]})
    assert answer.status_code == 400
    assert "no_such_field" in answer.json["detail"]


def test_too_many_rows_are_refused(client, rows):
    answer = client.simulate_post("/predict", json={"data": rows[:1] * 11})
    assert answer.status_code == 400


def test_only_json_is_accepted(client):
    assert client.simulate_post("/predict", body="rows=1").status_code == 415


def test_is_live_and_ready(client):
    assert client.simulate_get("/health/live").status_code == 200
    assert client.simulate_get("/health/ready").status_code == 200


def test_openapi_gives_rows_that_the_service_predicts(client, rows):
    document = client.simulate_get("/openapi.json").json
    request = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert request["example"] == {"data": rows}
    assert client.simulate_post("/predict", json=request["example"]).status_code == 200
