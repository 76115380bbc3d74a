"""Tensors in bytes: the Open Inference Protocol's binary extension, and what breaks it."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Churn
from serving import Service, service

INFER = "/v2/models/churn/infer"
LENGTH = "Inference-Header-Content-Length"
ROWS: list[dict[str, Any]] = [
    {"island": "Dream", "bill_length_mm": 49.5, "body_mass_g": 3800, "sex": None},
    {"island": "Biscoe", "bill_length_mm": None, "body_mass_g": 4500, "sex": "male"},
    {"island": "Torgersen", "bill_length_mm": 39.1, "body_mass_g": 3750, "sex": "female"},
]


def words(values: Sequence[str]) -> bytes:
    return b"".join(len(w).to_bytes(4, "little") + w for w in (text.encode() for text in values))


def body(
    inputs: Sequence[tuple[str, str, list[int], bytes]], **more: Any
) -> tuple[bytes, dict[str, str]]:
    """A request with all its tensors in bytes, and its headers."""
    described = [
        {"name": n, "datatype": d, "shape": s, "parameters": {"binary_data_size": len(b)}}
        for n, d, s, b in inputs
    ]
    head = json.dumps({"inputs": described, **more}).encode()
    content = head + b"".join(part for *_, part in inputs)
    return content, {LENGTH: str(len(head)), "Content-Type": "application/octet-stream"}


def ask(served: Service, content: bytes, headers: dict[str, str]) -> tuple[int, Any, bytes]:
    """The status, the JSON and the bytes after it."""
    status, given, said = served.request(
        "POST", INFER, content, **{name.replace("-", "_"): text for name, text in headers.items()}
    )
    length = int(given.get(LENGTH, len(said)))
    return status, json.loads(said[:length]), said[length:]


def penguins() -> list[tuple[str, str, list[int], bytes]]:
    lengths = [row["bill_length_mm"] for row in ROWS]
    return [
        ("island", "BYTES", [3], words([str(row["island"]) for row in ROWS])),
        ("bill_length_mm", "FP64", [3, 1], np.array(lengths, float).tobytes()),
        ("body_mass_g", "UINT16", [3], np.array([3800, 4500, 3750], np.uint16).tobytes()),
        ("sex", "BYTES", [3], words([str(row["sex"] or "") for row in ROWS])),
    ]


def test_tensors_in_bytes_get_the_answers_that_json_gets(served: Service) -> None:
    _, expected = served.post("/predict", json.dumps({"data": ROWS}).encode())
    asked = {"id": "b-1", "parameters": {"binary_data_output": True}}
    status, answer, content = ask(served, *body(penguins(), **asked))
    assert (status, answer["id"]) == (200, "b-1")
    species, probabilities = answer["outputs"]
    assert species["parameters"] == {"binary_data_size": len(content) - 72}
    assert content[:-72] == words([p["species"] for p in expected["predictions"]])
    labels = probabilities["parameters"]["labels"].split(",")
    assert (probabilities["shape"], probabilities["datatype"]) == ([3, 3], "FP64")
    assert np.frombuffer(content[-72:]).tolist() == [
        p["probabilities"][label] for p in expected["predictions"] for label in labels
    ]


def test_each_output_is_in_the_form_that_it_is_asked_for(served: Service) -> None:
    outputs = [
        {"name": "probabilities", "parameters": {"binary_data": True}},
        {"name": "species", "parameters": {"binary_data": False}},
    ]
    status, answer, content = ask(served, *body(penguins(), outputs=outputs))
    assert (status, len(content)) == (200, 72)
    assert [output["name"] for output in answer["outputs"]] == ["probabilities", "species"]
    assert len(answer["outputs"][1]["data"]) == 3
    assert "data" not in answer["outputs"][0]


def test_a_request_in_json_may_ask_for_bytes_and_mix_them(served: Service) -> None:
    island = {"name": "island", "datatype": "BYTES", "shape": [1], "data": ["Dream"]}
    mass = ("body_mass_g", "FP32", [1], np.array([3800], np.float32).tobytes())
    content, headers = body([mass])
    head = json.loads(content[: int(headers[LENGTH])])
    head = json.dumps({**head, "inputs": [island, *head["inputs"]]}).encode()
    status, answer, _ = ask(served, head + mass[3], {**headers, LENGTH: str(len(head))})
    row = [{"island": "Dream", "body_mass_g": 3800}]
    _, expected = served.post("/predict", json.dumps({"data": row}).encode())
    assert (status, answer["outputs"][0]["data"]) == (
        200,
        [expected["predictions"][0]["species"]],
    )


@pytest.mark.parametrize(
    ("datatype", "kind"),
    [
        *[(f"INT{bits}", f"i{bits // 8}") for bits in (16, 32, 64)],
        *[(f"UINT{bits}", f"u{bits // 8}") for bits in (16, 32, 64)],
        *[(f"FP{bits}", f"f{bits // 8}") for bits in (16, 32, 64)],
    ],
)
def test_numbers_of_every_datatype_are_taken(served: Service, datatype: str, kind: str) -> None:
    mass = np.array([3800], f"<{kind}").tobytes()
    inputs = [("island", "BYTES", [1], words(["Dream"])), ("body_mass_g", datatype, [1], mass)]
    status, answer, _ = ask(served, *body(inputs))
    assert status == 200, answer


def replaced(index: int, *tensor: Any) -> list[tuple[str, str, list[int], bytes]]:
    return [tensor if n == index else each for n, each in enumerate(penguins())]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (replaced(1, "bill_length_mm", "FP64", [3], b"x" * 23), "23 bytes, where 3 values of FP64"),
        (replaced(1, "bill_length_mm", "FP64", [2**62], b"x" * 24), "4,611,686,018,427,387,904"),
        (replaced(0, "island", "BYTES", [2**62], words(["Dream"])), "too few for"),
        (replaced(0, "island", "BYTES", [3], b"\xff\xff\xff\xff" * 3), "past the end"),
        (replaced(0, "island", "BYTES", [1], words(["Dream", "Dream"])), "after its last word"),
        (replaced(0, "island", "BYTES", [3], words(["a"] * 2) + b"\x01\0\0\0\xff"), "not text"),
        (replaced(1, "bill_length_mm", "BOOL", [3], b"\x02\0\0"), "neither 0 nor 1"),
        (replaced(1, "bill_length_mm", "FP64", [3], np.full(3, np.inf).tobytes()), "row 1, bill"),
        (replaced(1, "bill_length_mm", "FP64", [3], np.full(3, -1.0).tobytes()), "row 1, bill"),
        (replaced(0, "island", "BYTES", [3], words(["Dream", "", "Dream"])), "row 2, island"),
        (replaced(3, "sex", "BYTES", [3], words(["male", "", "other"])), "row 3, sex"),
        (replaced(3, "wings", "BYTES", [3], words(["", "", ""])), "'wings' is not a field"),
        (replaced(3, "island", "BYTES", [3], words(["Dream"] * 3)), "comes twice"),
        (replaced(3, "sex", "BYTES", [2], words(["male", "male"])), "different numbers of rows"),
        (replaced(0, "island", "BYTES", [0], b"")[:1], "there are no rows"),
    ],
    ids=[
        "too few bytes",
        "a shape beyond all memory",
        "words beyond all memory",
        "a word past the end",
        "a word too many",
        "no UTF-8",
        "no BOOL",
        "infinite",
        "below its bound",
        "no choice",
        "another choice",
        "unknown field",
        "twice",
        "different lengths",
        "no rows",
    ],
)
def test_a_tensor_that_does_not_fit_is_a_400(served: Service, inputs: Any, said: str) -> None:
    status, answer, _ = ask(served, *body(inputs))
    assert (status, list(answer)) == (400, ["error"])
    assert said in answer["error"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({LENGTH: "9999999"}, "give the length of its JSON"),
        ({LENGTH: "-1"}, "give the length of its JSON"),
        ({LENGTH: "1e2"}, "give the length of its JSON"),
        ({LENGTH: "9" * 5_000}, "give the length of its JSON"),
        ({LENGTH: "0"}, "malformed"),
    ],
    ids=["too long", "negative", "no number", "a number of 5,000 digits", "nothing"],
)
def test_a_length_of_the_json_that_is_wrong_is_a_400(
    served: Service, change: dict[str, str], said: str
) -> None:
    content, headers = body(penguins())
    status, answer, _ = ask(served, content, headers | change)
    assert status == 400
    assert said in answer["error"] or "truncated" in answer["error"]


@pytest.mark.parametrize("size", [-1, 10**30, 2.5, True, "24", None], ids=str)
def test_a_size_of_a_tensor_that_is_wrong_is_a_400(served: Service, size: Any) -> None:
    content, headers = body(penguins())
    length = int(headers[LENGTH])
    head = json.loads(content[:length])
    head["inputs"][1]["parameters"]["binary_data_size"] = size
    changed = json.dumps(head).encode()
    status, answer, _ = ask(served, changed + content[length:], {LENGTH: str(len(changed))})
    assert (status, "bill_length_mm" in answer["error"]) == (400, True)
    content, headers = body(penguins())
    status, answer, _ = ask(served, content + b"x", headers)
    assert (status, answer["error"]) == (400, "1 bytes follow the last tensor.")


def test_lengths_that_lie_take_no_memory(served: Service) -> None:
    def peak() -> int:
        lines = [Path(f"/proc/{pid}/status").read_text() for pid in served.workers()]
        return max(int(text.partition("VmHWM:")[2].split()[0]) for text in lines)

    ask(served, *body(penguins()))
    before = peak()
    for shape in ([2**40], [2**20, 2**20], [1, 2**62]):
        for datatype in ("FP64", "BYTES", "BOOL"):
            content = words(["Dream"]) * 1_000
            assert ask(served, *body([("island", datatype, shape, content)]))[0] == 400
    assert peak() - before < 20_000, "kilobytes"


def test_models_of_every_shape_take_bytes(churn: Churn, copy: Path) -> None:
    command = [churn.python, "-m", "churn", "serve", "--port", "0", "--workers", "1"]
    model = copy / "src/churn/models/model.py"
    numbers = np.arange(6, dtype=np.float32)
    model.write_text(
        "class Model:\n"
        "    def predict(self, data: list[list[float]]) -> list[float]:\n"
        "        return [sum(row) for row in data]\n"
    )
    outputs = [{"name": "output", "parameters": {"binary_data": True}}]
    with service(command, copy, {"PYTHONPATH": str(copy / "src")}) as running:
        inputs = [("x", "FP32", [2, 3], numbers.tobytes())]
        status, _, content = ask(running, *body(inputs, outputs=outputs))
        assert (status, np.frombuffer(content).tolist()) == (200, [3.0, 12.0])
    model.write_text(
        "import datetime, enum, msgspec\n"
        "from typing import Annotated\n"
        "class Size(enum.Enum):\n    SMALL = 's'\n    LARGE = 'l'\n"
        "class Row(msgspec.Struct):\n"
        "    pixels: Annotated[list[float], msgspec.Meta(min_length=3, max_length=3)]\n"
        "    size: Size\n    day: datetime.date | None = None\n    count: int | None = None\n"
        "    flag: bool = False\n"
        "class Answer(msgspec.Struct):\n    total: int\n    odd: bool\n    word: str | None\n"
        "class Model:\n"
        "    def predict(self, data: list[Row]) -> list[Answer]:\n"
        "        return [Answer(int(sum(r.pixels)), r.flag, r.day and str(r.day)) for r in data]\n"
        "    def predict_columns(self, columns):\n"
        "        columns['pixels'] += 0\n"  # its own to change
        "        columns['count'][:] = 0\n"
        "        return {'total': columns['pixels'].sum(axis=1).astype(int), 'odd': columns['flag'],\n"
        "                'word': [None if d != d else str(d) for d in columns['day']]}\n"
    )
    with service(command, copy, {"PYTHONPATH": str(copy / "src")}) as running:
        inputs = [
            ("pixels", "FP32", [2, 3], numbers.tobytes()),
            ("size", "BYTES", [2], words(["s", "l"])),
            ("day", "BYTES", [2], words(["2024-05-06", "2024-05-07"])),
            ("count", "INT8", [2], b"\x01\x02"),
            ("flag", "BOOL", [2], b"\x01\0"),
        ]
        for wanted in (inputs, inputs[:2], [*inputs[:2], *inputs[3:]]):
            asked = {"parameters": {"binary_data_output": True}}
            status, answer, content = ask(running, *body(wanted, **asked))
            assert status == 200, answer
            assert np.frombuffer(content[:16], np.int64).tolist() == [3, 12]
            assert content[16:18] == (b"\x01\0" if len(wanted) > 2 else b"\0\0")
            given = ["2024-05-06", "2024-05-07"] if len(wanted) == 5 else ["", ""]
            assert content[18:] == words(given)


def test_bytes_and_json_at_once_each_get_their_own_answers(served: Service) -> None:
    masses = range(3_000, 6_000, 100)
    rows = {mass: {"island": "Biscoe", "body_mass_g": mass} for mass in masses}
    expected = {
        mass: served.post("/predict", json.dumps({"data": [row]}).encode())[1]["predictions"][0]
        for mass, row in rows.items()
    }
    wrong: list[Any] = []

    def work(start: int) -> None:
        for mass in [*masses][start:] + [*masses][:start]:
            if start % 2:
                answer = served.post("/predict", json.dumps({"data": [rows[mass]]}).encode())[1]
                found = answer["predictions"][0]["probabilities"]
            else:
                tensor = ("body_mass_g", "FP64", [1], np.array([mass], float).tobytes())
                inputs = [("island", "BYTES", [1], words(["Biscoe"])), tensor]
                outputs = [{"name": "probabilities"}]
                answer = ask(served, *body(inputs, outputs=outputs))[1]["outputs"][0]
                found = dict(
                    zip(answer["parameters"]["labels"].split(","), answer["data"], strict=True)
                )
            if found != expected[mass]["probabilities"]:
                wrong.append((mass, found))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
