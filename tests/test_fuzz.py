"""Bodies that nobody would write by hand: none may be the service's undoing."""

from __future__ import annotations

import http.client
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY, Churn, run
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from serving import Service

PENGUIN = {
    "island": st.sampled_from(["Dream", "Biscoe", "Torgersen"]),
    "bill_length_mm": st.none() | st.floats(1, 999) | st.integers(1, 999),
    "body_mass_g": st.none() | st.floats(1, 9999),
    "sex": st.sampled_from([None, "male", "female"]),
}
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from([1e308, -1, 2**64, "NaN", "1", "\x00", "\ud83d", "../../etc/passwd"])
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=8) | st.sampled_from([*PENGUIN, "data"]), inner, max_size=5
        )
    ),
    max_leaves=12,
)
ROW = st.fixed_dictionaries({}, optional={k: v | SCALARS for k, v in PENGUIN.items()}) | ANYTHING
REQUEST = st.fixed_dictionaries({"data": st.lists(ROW, max_size=3) | ANYTHING}) | ANYTHING
BODY = st.binary(max_size=100) | REQUEST.map(lambda value: json.dumps(value).encode())
TENSOR = st.fixed_dictionaries(
    {
        "name": st.sampled_from([*PENGUIN, "other"]),
        "shape": st.lists(st.integers(-1, 3), max_size=3),
        "datatype": st.sampled_from(["BOOL", "INT8", "UINT64", "FP32", "BYTES", "X"]),
        "data": st.lists(SCALARS | st.lists(SCALARS, max_size=2), max_size=3),
    }
)
INFERENCE = st.fixed_dictionaries(
    {"inputs": st.lists(TENSOR, max_size=3) | ANYTHING},
    optional={"id": SCALARS, "outputs": ANYTHING},
)


class Client:
    """One connection, opened again whenever the service closes it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        self._connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        return response.status, response.read()


def sound(status: int, content: bytes) -> Any:
    """The answer: valid JSON, no 5xx, and a message where it is a 4xx."""
    assert status < 500, content
    answer = json.loads(content, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    if status >= 400:
        assert len(answer.get("detail") or answer.get("error")) > 10
    return answer


# The same bodies each time, so that a failure is a change's own fault; FUZZ=new looks for others.
FIXED = os.environ.get("FUZZ") != "new"
HARD = settings(
    deadline=None,
    database=None,
    derandomize=FIXED,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
# A list above the limit of rows may be above that of bytes first.
ANSWERS = """
[checks.negative_data_rejection]
expected-statuses = [400, 405, 413, 415]
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 413]
"""


def test_10_000_bodies_are_answered_soundly(served: Service) -> None:
    client = Client(served.port)
    seen: set[int] = set()

    @settings(HARD, max_examples=9_000)
    @given(BODY)
    def predict(body: bytes) -> None:
        status, content = client.post("/predict", body)
        sound(status, content)
        seen.add(status)

    @settings(HARD, max_examples=500)
    @given(st.lists(st.fixed_dictionaries(PENGUIN), min_size=1, max_size=5))
    def predict_well(rows: Any) -> None:
        status, content = client.post("/predict", json.dumps({"data": rows}).encode())
        assert status == 200
        assert len(sound(status, content)["predictions"]) == len(rows)

    @settings(HARD, max_examples=500)
    @given(INFERENCE)
    def infer(body: Any) -> None:
        sound(*client.post("/v2/models/churn/infer", json.dumps(body).encode()))

    predict()
    predict_well()
    infer()
    assert seen == {200, 400}


@settings(HARD, max_examples=300)
@given(rows=st.lists(st.fixed_dictionaries(PENGUIN), min_size=1, max_size=4))
def check_both_protocols_agree(client: Client, rows: Any) -> None:
    inputs = []
    for name, kind in (("island", "BYTES"), ("sex", "BYTES"), ("body_mass_g", "FP64")):
        data = [row[name] for row in rows]
        inputs.append({"name": name, "datatype": kind, "shape": [len(rows), 1], "data": data})
    kept = [{k: row[k] for k in ("island", "sex", "body_mass_g")} for row in rows]
    one = sound(*client.post("/predict", json.dumps({"data": kept}).encode()))
    body = json.dumps({"inputs": inputs}).encode()
    other = sound(*client.post("/v2/models/churn/infer", body))
    assert other["outputs"][0]["data"] == [p["species"] for p in one["predictions"]]


def test_both_protocols_agree_on_generated_rows(served: Service) -> None:
    check_both_protocols_agree(Client(served.port))


def schemathesis(folder: Path, *words: str) -> str:
    (folder / "schemathesis.toml").write_text(ANSWERS)
    options = ["--max-examples", "500", "--no-color", "--suppress-health-check", "all"]
    options += ["--generation-deterministic"] if FIXED else []
    command = [sys.executable, "-m", "schemathesis.cli", "run", *words, *options]
    return run(*command, cwd=folder).stdout


def test_schemathesis_finds_nothing_in_our_document(served: Service, tmp_path: Path) -> None:
    said = schemathesis(tmp_path, f"{served.url}/openapi.json", "--checks", "all")
    assert "No issues found" in said


def test_schemathesis_finds_nothing_with_the_protocols_own_document(
    served: Service, tmp_path: Path
) -> None:
    shared = Path(os.environ.get("POETRY_ML_SHARED", REPOSITORY.parent / "shared"))
    document = shared / "oip/open_inference_rest.yaml"
    if not document.exists():
        pytest.skip(f"the protocol's OpenAPI document is not at {document}")
    text = (
        document.read_text().replace("${MODEL_NAME}", "churn").replace("${MODEL_VERSION}", "0.1.0")
    )
    (tmp_path / "oip.yaml").write_text(text)
    checks = "not_a_server_error,response_schema_conformance,content_type_conformance"
    said = schemathesis(tmp_path, "oip.yaml", "--url", served.url, "--checks", checks)
    assert "passed" in said


def test_generated_bodies_on_every_route_are_answered_soundly(
    wired: Churn, served_wide: Service
) -> None:
    number = os.environ.get("FUZZ_BODIES", "300")
    script, addresses = Path(__file__).with_name("bodies.py"), (served_wide.url, served_wide.grpc)
    seed = "1" if FIXED else os.urandom(8).hex()
    done = run(wired.python, script, *addresses, "churn", number, seed, cwd=wired.root)
    print(done.stdout)
    counts = json.loads(done.stdout)
    assert {sum(outcomes.values()) for outcomes in counts.values()} == {int(number)}
    read = counts.pop("all that is read")
    assert set(read) <= {"404", "405"}
    assert all(outcomes.get("200", 0) + outcomes.get("OK", 0) for outcomes in counts.values())
