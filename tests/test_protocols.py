"""The addresses of the service: the Open Inference Protocol, SageMaker, Prometheus, and the doors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import ROWS, Churn, run
from openapi_spec_validator import validate
from serving import Service, service

INFER = "/v2/models/churn/infer"


def tensor(name: str, datatype: str, data: list[Any], shape: list[int] | None = None) -> Any:
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}


def infer(served: Service, body: Any, path: str = INFER) -> tuple[int, Any]:
    return served.post(path, json.dumps(body).encode())


def predicted(served: Service, rows: Any) -> Any:
    status, answer = served.post("/predict", json.dumps({"data": rows}).encode())
    assert status == 200, answer
    return answer["predictions"]


def test_openapi_is_valid_and_its_example_is_predicted(served: Service) -> None:
    document = served.get("/openapi.json")
    validate(document)
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]
    status, answer = served.post(
        "/predict", json.dumps(content["application/json"]["example"]).encode()
    )
    assert (status, len(answer["predictions"])) == (200, 2)


def test_oip_says_what_it_serves(served: Service) -> None:
    for path in ("/v2", "/v2/"):
        assert served.get(path) == {
            "name": "churn",
            "version": "0.1.0",
            "extensions": ["binary_tensor_data"],
        }
    assert served.get("/v2/health/live") == {"live": True}
    assert served.get("/v2/health/ready") == {"ready": True}
    for path in ("/v2/models/churn", "/v2/models/churn/versions/0.1.0"):
        assert served.get(f"{path}/ready") == {"name": "churn", "ready": True}
        about = served.get(path)
        assert about["versions"] == ["0.1.0"]
        assert about["inputs"][0] == {"name": "island", "datatype": "BYTES", "shape": [-1]}
        assert about["outputs"][1] == {
            "name": "probabilities",
            "datatype": "FP64",
            "shape": [-1, -1],
        }


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("path", [INFER, "/v2/models/churn/versions/0.1.0/infer"])
def test_oip_predicts_what_predict_predicts(served: Service, nested: bool, path: str) -> None:
    rows = [{"island": "Dream", "body_mass_g": 3800}, {"island": "Biscoe", "body_mass_g": None}]
    expected = predicted(served, rows)
    islands: list[Any] = ["Dream", "Biscoe"]
    inputs = [
        tensor("island", "BYTES", [[i] for i in islands] if nested else islands, [2, 1]),
        tensor("body_mass_g", "FP64", [3800, None]),
    ]
    status, answer = infer(served, {"id": "a-7", "parameters": {"x": 1}, "inputs": inputs}, path)
    assert status == 200
    assert (answer["id"], answer["model_name"], answer["model_version"]) == (
        "a-7",
        "churn",
        "0.1.0",
    )
    species, probabilities = answer["outputs"]
    assert species == tensor("species", "BYTES", [p["species"] for p in expected])
    assert probabilities["shape"] == [2, 3]
    labels = probabilities["parameters"]["labels"].split(",")
    assert probabilities["data"] == [p["probabilities"][name] for p in expected for name in labels]


@pytest.mark.parametrize(
    "datatype", ["UINT16", "UINT32", "UINT64", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64"]
)
def test_oip_takes_numbers_of_every_datatype(served: Service, datatype: str) -> None:
    inputs = [tensor("island", "BYTES", ["Dream"]), tensor("body_mass_g", datatype, [3800])]
    status, answer = infer(served, {"inputs": inputs, "outputs": [{"name": "species"}]})
    assert status == 200, answer
    assert [output["name"] for output in answer["outputs"]] == ["species"]


@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [
        ([], [], "inputs"),
        ([tensor("island", "TEXT", ["Dream"])], [], "datatype"),
        ([tensor("island", "BYTES", ["Dream"], [2])], [], "'island' has 1 values, not [2]"),
        ([tensor("island", "BYTES", ["Dream"], [])], [{"name": "x"}], "'x'"),
        ([tensor("wings", "INT8", [2])], [], "'wings' is not a field"),
        ([tensor("island", "BYTES", ["Dream"])] * 2, [], "comes twice"),
        ([tensor("body_mass_g", "FP32", [1.0])], [], "island"),
        ([tensor("island", "BYTES", ["Atlantis"])], [], "row 1, island"),
        ([tensor("island", "INT8", [300])], [], "'island' is not INT8"),
        ([tensor("island", "UINT8", [-1])], [], "'island' is not UINT8"),
        ([tensor("island", "BOOL", [1])], [], "'island' is not BOOL"),
        ([tensor("island", "BYTES", ["Dream"]), tensor("sex", "BYTES", [])], [], "different"),
        ([tensor("island", "BYTES", ["Dream"] * 4, [2, 2])], [], "shape"),
    ],
    ids=[
        "no inputs",
        "unknown datatype",
        "wrong shape",
        "unknown output",
        "unknown input",
        "input twice",
        "input missing",
        "unknown category",
        "not INT8",
        "not UINT8",
        "not BOOL",
        "different lengths",
        "two dimensions",
    ],
)
def test_oip_errors_have_its_own_form(
    served: Service, inputs: Any, outputs: Any, said: str
) -> None:
    status, answer = infer(served, {"inputs": inputs, "outputs": outputs})
    assert status == 400
    assert list(answer) == ["error"]
    assert said in answer["error"]


def test_oip_knows_one_model_and_one_version(served: Service) -> None:
    for path in ("/v2/models/other", "/v2/models/churn/versions/9", "/v2/models/other/ready"):
        status, _, body = served.request("GET", path)
        assert status == 404
        assert list(json.loads(body)) == ["error"]


def test_oip_refuses_in_its_own_form_what_it_does_not_read(served: Service) -> None:
    asked = {"Content_Type": "application/json", "X_Request_ID": "mine-3"}
    status, headers, body = served.request("POST", INFER, b" " * 1_048_577, **asked)
    assert (status, headers["Content-Type"]) == (413, "application/json")
    assert list(json.loads(body)) == ["error"]
    assert headers["X-Request-Id"] == "mine-3"


def test_oip_takes_a_matrix_as_one_tensor(churn: Churn, copy: Path) -> None:
    (copy / "src/churn/models/model.py").write_text(
        "class Model:\n"
        "    def predict(self, data: list[list[float]]) -> list[float]:\n"
        "        return [sum(row) for row in data]\n"
    )
    command = [churn.python, "-m", "churn", "serve", "--port", "0", "--workers", "1"]
    with service(command, copy, {"PYTHONPATH": str(copy / "src")}) as running:
        body = {"inputs": [tensor("x", "FP32", [1, 2, 3, 4, 5, 6], [2, 3])]}
        assert infer(running, body)[1]["outputs"] == [tensor("output", "FP64", [6.0, 15.0])]
        assert predicted(running, [[1, 2], [3.5]]) == [3.0, 3.5]
        assert running.get("/v2/models/churn")["inputs"] == [
            {"name": "input", "datatype": "FP64", "shape": [-1, -1]}
        ]


def test_a_field_may_be_a_list(churn: Churn, copy: Path) -> None:
    (copy / "src/churn/models/model.py").write_text(
        "import msgspec\n"
        "class Image(msgspec.Struct):\n    pixels: list[float] = []\n    name: str = ''\n"
        "    scale: float | None = None\n"
        "class Model:\n"
        "    def predict(self, data: list[Image]) -> list[float]:\n"
        "        return [sum(image.pixels) for image in data]\n"
    )
    command = [churn.python, "-m", "churn", "serve", "--port", "0", "--workers", "1"]
    with service(command, copy, {"PYTHONPATH": str(copy / "src")}) as running:
        shape = running.get("/v2/models/churn")["inputs"][0]
        assert shape == {"name": "pixels", "datatype": "FP64", "shape": [-1, -1]}
        names = tensor("name", "BYTES", ["a", "b"], [2])
        body = {"inputs": [tensor("pixels", "FP32", [1, 2, 3, 4], [2, 2]), names]}
        assert infer(running, body)[1]["outputs"] == [tensor("output", "FP64", [3.0, 7.0])]
        for cell in ("inf", "-Infinity", "NAN"):
            table = f"pixels,name,scale\n,,{cell}\n".encode()
            status, answer = running.post("/invocations", table, "text/csv")
            assert (status, answer["detail"]) == (400, f'row 1, scale: "{cell}" is not a number')
        cells = b'pixels,name\n"[1, 2.5]","[x"\n'
        _, _, table = running.request(
            "POST", "/invocations?missing=scale", cells, Content_Type="text/csv"
        )
        assert table == b'pixels,name,prediction\n"[1, 2.5]",[x,3.5\n'


def test_whisks_untyped_model_is_served(churn: Churn, copy: Path) -> None:
    (copy / "src/churn/models/model.py").write_text(
        "import numpy as np\nclass Model:\n    def predict(self, data):\n"
        "        return np.array(data).sum(axis=1)\n"
    )
    command = [churn.python, "-m", "churn", "serve", "--port", "0", "--workers", "1"]
    with service(command, copy, {"PYTHONPATH": str(copy / "src")}) as running:
        assert predicted(running, [[0, 1], [2, 3]]) == [1, 5]
        status, answer = running.post("/predict", b'{"data": "x"}')
        assert status == 500
        assert "ndim" not in str(answer)
        validate(running.get("/openapi.json"))


def test_sagemaker_is_answered_in_kind(served: Service) -> None:
    assert served.get("/ping") == {"status": "ready"}
    (expected,) = predicted(served, json.loads(ROWS))
    assert served.post("/invocations", ROWS.encode()) == (200, [expected])
    line = json.dumps(json.loads(ROWS)[0]).encode()
    kind = {"Content_Type": "application/jsonlines"}
    status, headers, body = served.request("POST", "/invocations", line + b"\n" + line, **kind)
    assert (status, headers["Content-Type"]) == (200, "application/jsonlines")
    assert [json.loads(part) for part in body.splitlines()] == [expected, expected]
    table = b"island,bill_length_mm,body_mass_g\nDream,49.5,3800\n"
    absent = "missing=bill_depth_mm&missing=flipper_length_mm&missing=sex"
    address = f"/invocations?{absent}"
    status, _, body = served.request("POST", address, table, Content_Type="text/csv")
    assert body.decode().splitlines()[1].startswith(f"Dream,49.5,3800,{expected['species']},")
    status, answer = served.post("/invocations", table, "text/csv")
    assert (status, 'there is no column "sex"' in answer["detail"]) == (400, True)
    bare = b"Dream,49.5,,,3800,\n"
    status, answer = served.post("/invocations", bare + bare, "text/csv")
    assert (status, 'there is no column "island"' in answer["detail"]) == (400, True)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/csv", b""),
        ("text/csv", b"island\nAtlantis\n"),
        ("text/csv", b"island,sex\nDream\n"),
        ("text/csv", b"\xff\xfe\xff"),
        ("text/csv", b"island,bill_length_mm\nDream,NAN\n"),
        ("application/jsonlines", b'{"island": "Dream"}\n{'),
        ("application/json", b"[]"),
        ("application/json", b"[" * 100_000),
    ],
    ids=[
        "empty CSV",
        "unknown category",
        "ragged CSV",
        "no UTF-8",
        "no number",
        "broken JSON line",
        "no object",
        "deep JSON",
    ],
)
def test_what_cannot_be_read_is_a_400(served: Service, kind: str, body: bytes) -> None:
    status, answer = served.post("/invocations", body, kind)
    assert status == 400
    assert answer["title"] == "Invalid request"


def test_metrics_count_across_workers(served: Service) -> None:
    def count() -> float:
        text = served.request("GET", "/metrics")[2].decode()
        name = r'http_request_duration_seconds_count\{route="/predict",status="200"\} (\S+)'
        found = re.search(name, text)
        return float(found[1]) if found else 0

    before = count()
    for _ in range(40):
        predicted(served, json.loads(ROWS))
    assert count() == before + 40
    text = served.request("GET", "/metrics")[2].decode()
    for name in ("model_batch_rows_bucket", "model_queue_depth", 'model_predictions_total{label="'):
        assert name in text
    assert 'model_info{name="churn",version="0.1.0"} 1.0' in text


def test_predictions_are_counted_by_the_labels_that_are_known(churn: Churn) -> None:
    ask = """
import enum
from typing import Annotated, Any, Literal
import msgspec
from churn._runtime.service import labels
from churn._runtime.service.metrics import Metrics
class Size(enum.Enum):
    SMALL = "s"
class Answer(msgspec.Struct):
    size: Size
    text: str = ""
class Risk(msgspec.Struct):
    level: Annotated[Literal["low", "high"], msgspec.Meta(description="x")] | None
class Text(msgspec.Struct):
    summary: str
class Known:
    classes = ["a", "b", "x" * 100]
for kind, model, answers in (
    (Answer, None, [Answer(Size.SMALL), Answer(Size.SMALL)]),
    (Risk, None, [Risk("low"), Risk(None)]),
    (bool, None, [True]),
    (str, Known(), ["a", "Ann Smith has", "x" * 100]),
    (Text, None, [Text("Ann Smith has")]),
    (Any, None, ["Ann Smith has", 7, 0.5, [1]]),
    (list[Size], None, [[Size.SMALL]]),
):
    metrics = Metrics("churn", "1")
    metrics.know(labels.of(kind, model))
    metrics.predictions(answers)
    print(metrics.render().decode())
"""
    said = run(churn.python, "-c", ask, cwd=churn.root).stdout
    counted = re.findall(r'model_predictions_total\{label="(.*?)"\} (\S+)', said)
    assert counted == [
        ("s", "2.0"),
        *[("low", "1.0"), ("other", "1.0")],
        ("True", "1.0"),
        *[("a", "1.0"), ("other", "1.0"), ("x" * 64, "1.0")],
    ]
    assert "Ann" not in said


@pytest.mark.parametrize("path", ["/", "/health/live", "/openapi.json", "/v2", "/metrics"])
def test_head_is_get_without_the_body(served: Service, path: str) -> None:
    status, headers, body = served.request("HEAD", path)
    assert (status, body) == (200, b"")
    assert headers["Content-Type"] == served.request("GET", path)[1]["Content-Type"]


def test_every_answer_has_a_request_id(served: Service) -> None:
    ids = {
        served.request("GET", path)[1]["X-Request-Id"] for path in ("/ping", "/nope", "/predict")
    }
    assert len(ids) == 3
    assert served.request("GET", "/ping", X_Request_ID="mine-1")[1]["X-Request-Id"] == "mine-1"


def test_each_request_is_one_line_of_json_in_the_log(churn: Churn) -> None:
    command = [churn.python, "-m", "churn", "serve", "--port", "0", "--workers", "1"]
    with service(command, churn.root) as running:
        running.request("GET", "/nope%0Ainjected", X_Request_ID="mine-2")
        running.stop()
    (line,) = [json.loads(line) for line in running.log if "mine-2" in line]
    assert (line["method"], line["path"], line["status"]) == ("GET", "/nope\ninjected", 404)


def test_the_page_may_load_nothing_but_itself(served: Service) -> None:
    status, headers, body = served.request("GET", "/")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert b"http://" not in body.replace(b"http://www.w3.org", b"")
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_errors_are_problems_without_paths_or_traces(served: Service) -> None:
    for method, path, status in [("GET", "/nope", 404), ("GET", "/predict", 405)]:
        got, headers, body = served.request(method, path)
        assert got == status
        assert headers["Content-Type"] == "application/problem+json"
        assert json.loads(body)["status"] == status
        assert len(json.loads(body)["detail"]) > 10
        assert b"Traceback" not in body and b"/src/" not in body


def test_keys_are_asked_for_and_may_change_while_it_runs(churn: Churn, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("first\nsecond\n")
    command = [churn.python, "-m", "churn", "serve", "--port", "0", "--workers", "1"]
    env = {"CHURN_SERVE_API_KEYS": "canary-a, canary-b", "CHURN_SERVE_API_KEYS_FILE": str(keys)}
    with service(command, churn.root, env) as running:

        def status(**headers: str) -> int:
            headers = {"Content_Type": "application/json", **headers}
            return running.request("POST", "/predict", f'{{"data": {ROWS}}}'.encode(), **headers)[0]

        assert status() == status(X_API_Key="wrong") == status(X_API_Key="") == 401
        assert status(X_API_Key="first") == status(Authorization="Bearer second") == 200
        assert status(Authorization="bearer canary-b") == 200
        for path in ("/health/live", "/health/ready", "/v2/health/ready", "/ping", "/"):
            assert running.request("GET", path)[0] == 200
        for path in ("/metrics", "/openapi.json", "/v2", "/v2/models/churn"):
            assert running.request("GET", path)[0] == 401
        keys.write_text("third\n")
        assert status(X_API_Key="first") == 401
        assert status(X_API_Key="third") == 200
        running.stop()
    assert "canary" not in "".join(running.log)


def test_pages_of_other_origins_may_call_only_if_told_so(churn: Churn, served: Service) -> None:
    asked = {"Origin": "https://app.example", "Content_Type": "application/json"}
    body = f'{{"data": {ROWS}}}'.encode()
    assert "Access-Control-Allow-Origin" not in served.request("POST", "/predict", body, **asked)[1]
    command = [churn.python, "-m", "churn", "serve", "--port", "0", "--workers", "1"]
    origins = {"CHURN_SERVE_CORS_ORIGINS": "https://app.example"}
    with service(command, churn.root, origins) as running:
        headers = running.request("POST", "/predict", body, **asked)[1]
        assert headers["Access-Control-Allow-Origin"] == "https://app.example"
        asked["Origin"] = "https://evil.example"
        headers = running.request("POST", "/predict", body, **asked)[1]
        assert "Access-Control-Allow-Origin" not in headers
