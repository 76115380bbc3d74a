"""What a model's annotations say is how it is served: in JSON, JSON lines, CSV and tensors, or not at all."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd  # type: ignore[import-untyped]
import pytest
from falcon import App, testing
from machinery import load
from msgspec import Meta

exchange, signature, errors = load("exchange"), load("signature"), load("errors")
oip, resources = load("service.oip"), load("service.resources")

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"


class Asked:
    """A model at the service's addresses, without a server and without batches."""

    def __init__(self, predict: Callable[..., Any]) -> None:
        class Model:
            pass

        Model.predict = staticmethod(predict)  # type: ignore[attr-defined]
        schema = signature.Schema.of(Model(), max_rows=5)
        bound = schema.bind(predict)
        protocol = oip.Protocol("m", "1", schema, bound, resources.Status())
        app: Any = App()
        app.add_route("/invocations", resources.Prediction(schema, bound, exchange.KINDS))
        app.add_error_handler(errors.ProjectError, _failed)
        for address, resource in protocol.routes().items():
            app.add_route(address, resource)
        self.client = testing.TestClient(app)

    def ask(self, body: str | bytes, kind: str = JSON, missing: str = "") -> Any:
        """The answer: text, or JSON where that was asked with."""
        params = {"missing": missing} if missing else {}
        answer = self.client.simulate_post(
            "/invocations", body=body, content_type=kind, params=params
        )
        return answer.json if answer.headers["Content-Type"] == JSON else answer.text

    def infer(self, **tensors: Any) -> Any:
        """The outputs for tensors, each a datatype, a shape and data."""
        inputs = [
            {"name": name, "datatype": kind, "shape": shape, "data": data}
            for name, (kind, shape, data) in tensors.items()
        ]
        answer = self.client.simulate_post("/v2/models/m/infer", json={"inputs": inputs})
        return answer.json.get("outputs", answer.json)

    def about(self, which: str) -> Any:
        found = self.client.simulate_get("/v2/models/m").json[which]
        return [(each["name"], each["datatype"], each["shape"]) for each in found]

    def refusal(self, body: str | bytes, kind: str = JSON) -> str:
        answer = self.client.simulate_post("/invocations", body=body, content_type=kind)
        assert answer.status_code == 400, answer.text
        found: str = answer.json["description"]
        assert "$." not in found and "$[" not in found and "`" not in found
        return found


def _failed(request: Any, response: Any, error: Exception, params: Any) -> None:
    response.status_code, response.media = 500, {"failed": str(error)}


# Which parameter is taken for the rows, and what it may be.


def with_threshold(data, threshold: float = 0.5):  # type: ignore[no-untyped-def]
    return [float(row[0]) > threshold for row in data]


def test_the_first_parameter_is_the_rows_though_a_later_one_is_annotated() -> None:
    model = Asked(with_threshold)
    assert model.ask("[[0], [1]]") == [False, True]
    assert model.ask("0\n1\n", CSV) == "column 1,prediction\n0,False\n1,True\n"
    assert model.ask("[0]\n[1]\n", LINES) == "false\ntrue\n"
    (output,) = model.infer(x=("FP64", [2, 1], [0, 1]))
    assert (output["datatype"], output["data"]) == ("BOOL", [False, True])


def total(data: pd.DataFrame) -> pd.Series:
    assert isinstance(data, pd.DataFrame)
    return data.sum(axis=1, numeric_only=True)


def doubled(data: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"twice": (data * 2).iloc[:, 0].astype("float32"), "when": pd.NaT})


def test_a_model_of_data_frames_is_given_them() -> None:
    model = Asked(total)
    assert model.ask('[{"a": 1, "b": 2.5}, {"a": 3, "b": null}]') == [3.5, 3.0]
    assert model.ask("[[1, 2], [3, 4]]") == [3, 7]
    assert model.ask("a,b,c\n1,2.5,x\n3,,y\n", CSV) == "a,b,c,prediction\n1,2.5,x,3.5\n3,,y,3.0\n"
    assert model.ask('{"a": 1}\n{"a": 2}\n', LINES) == "1\n2\n"
    (output,) = model.infer(a=("INT64", [2], [1, 2]), b=("FP64", [2, 1], [0.5, 1]))
    assert output["data"] == [1.5, 3.0]
    assert Asked(doubled).ask('[{"a": 1}]') == [{"twice": 2.0, "when": None}]


def summed(data: np.ndarray) -> np.ndarray:
    assert isinstance(data, np.ndarray)
    return np.asarray(data.sum(axis=1))


def typed(data: npt.NDArray[np.float32]) -> list[str]:
    return [str(data.dtype)] * len(data)


def test_a_model_of_arrays_is_given_them() -> None:
    model = Asked(summed)
    assert model.ask("[[1, 2], [3, 4]]") == [3, 7]
    assert model.ask("1,2\n3,4\n", CSV) == "column 1,column 2,prediction\n1,2,3\n3,4,7\n"
    assert model.ask("a,b\n1,2\n", CSV) == "a,b,prediction\n1,2,3\n"
    assert model.infer(input=("FP32", [2, 2], [1, 2, 3, 4]))[0]["data"] == [3, 7]
    assert model.about("inputs") == [("input", "FP64", [-1, -1])]
    assert "is not a list" in model.refusal("[1, 2]")
    assert "the rows do not form an array" in model.refusal("[[1], [1, 2]]")
    assert Asked(typed).ask("[[1]]") == ["float32"]
    assert "the rows do not form an array" in Asked(typed).refusal('[["a"]]')


def lengths(data: list[str]) -> list[int]:
    return [len(text) for text in data]


def test_rows_may_be_single_values() -> None:
    model = Asked(lengths)
    assert model.ask('["a", "bb"]') == [1, 2]
    assert model.ask('"a"\n"bb"\n', LINES) == "1\n2\n"
    assert model.ask('id,input\n1,"a,b"\n', CSV) == 'id,input,prediction\n1,"a,b",3\n'
    assert 'no column "input"' in model.refusal("hello\nyou\n", CSV)
    assert model.infer(input=("BYTES", [2], ["a", "bb"]))[0]["data"] == [1, 2]
    assert model.refusal('["a", 3]') == "row 2: 3 is not text"


def sums(data: list[list[float]]) -> list[float]:
    return [sum(row) for row in data]


def test_rows_may_be_lists() -> None:
    model = Asked(sums)
    assert model.ask("[[1, 2], [3.5]]") == [3.0, 3.5]
    assert model.ask("1,2\n3,4\n", CSV) == "column 1,column 2,prediction\n1,2,3.0\n3,4,7.0\n"
    assert model.infer(input=("FP64", [1, 2], [1, 2]))[0]["data"] == [3.0]
    assert model.refusal('[[1], [1, "a"]]') == 'row 2, [1]: "a" is not a number'
    assert model.refusal("1,2\n3,x\n", CSV) == 'row 2, column 2: "x" is not a number'
    assert model.refusal("1,\n", CSV) == "row 1, column 2 is missing"


@dataclasses.dataclass
class Person:
    age: int
    plan: Literal["basic", "premium"] = "basic"
    since: datetime.date | None = None


class Measured(TypedDict):
    size: float
    note: NotRequired[str]


def years(data: list[Person]) -> list[int]:
    return [person.since.year if person.since else person.age for person in data]


def sizes(data: Sequence[Measured]) -> list[str]:
    return [f"{row['size']:g} {row.get('note')}" for row in data]


def test_rows_may_be_dataclasses_and_typed_dicts() -> None:
    model = Asked(years)
    assert model.ask('[{"age": 3, "since": "2024-05-06"}, {"age": 4.0}]') == [2024, 4]
    table = "age,plan,since,id\n3,premium,2024-05-06,a\n4,,,b\n"
    assert model.ask(table, CSV).splitlines()[1:] == ["3,premium,2024-05-06,a,2024", "4,,,b,4"]
    assert model.infer(age=("INT64", [1], [7]))[0]["data"] == [7]
    assert model.refusal('[{"age": 3, "plam": "basic"}]') == (
        'row 1, plam: unknown field. Did you mean "plan"?'
    )
    model = Asked(sizes)
    assert model.ask('[{"size": 1}, {"size": 2, "note": "x"}]') == ["1 None", "2 x"]
    assert model.ask("size\n1.5\n", CSV, missing="note") == "size,prediction\n1.5,1.5 None\n"
    assert "unknown field" in model.refusal('[{"size": 1, "other": 2}]')


def test_a_whole_number_may_be_written_as_3_0_in_tensors_as_in_json() -> None:
    model = Asked(years)
    assert model.infer(age=("INT64", [2], [7.0, 8]))[0]["data"] == [7, 8]
    assert "not INT64" in model.infer(age=("INT64", [1], [7.5]))["description"]


class Foreign:
    """Nothing that JSON could be read into."""


def of_foreign(data: list[Foreign]) -> None:
    raise AssertionError


def of_two(data: Any, other: Any) -> None:
    raise AssertionError


def of_none() -> None:
    raise AssertionError


def of_one(*, data: Any) -> None:
    raise AssertionError


def of_unknown(data: "list[Nowhere]") -> None:  # type: ignore[name-defined]  # noqa: F821, UP037
    raise AssertionError


@pytest.mark.parametrize(
    ("predict", "said"),
    [
        pytest.param(of_foreign, "Foreign cannot be read from JSON", id="a class of its own"),
        pytest.param(of_two, "give its parameter other a default", id="two parameters"),
        pytest.param(of_none, "takes no rows", id="no parameter"),
        pytest.param(of_one, "takes no rows", id="a keyword"),
        pytest.param(of_unknown, "'Nowhere' is not defined", id="a name that is not there"),
    ],
)
def test_what_cannot_be_served_is_refused_at_the_start_in_one_sentence(
    predict: Callable[..., Any], said: str
) -> None:
    with pytest.raises(errors.ProjectError, match=said):
        Asked(predict)


# Names, and what is said of faults.


def price(data: Person) -> float:
    return float(data.age)


def test_rows_may_be_one_object_in_json() -> None:
    model = Asked(price)
    assert model.ask('{"data": {"age": 3.0}}') == 3.0
    assert model.refusal('{"data": {"age": "x", "b": 1}}') == (
        'b: unknown field; age: "x" is not a whole number'
    )
    assert "do not fit a table: send them as JSON" in model.refusal("age\n3\n", CSV)


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Address(msgspec.Struct):
    city: str
    floors: list[int] = []


class Wine(msgspec.Struct, rename="camel"):
    acidity: Annotated[float, Meta(ge=0, le=20)] = msgspec.field(name="fixed acidity")
    wine_color: Color = Color.RED
    bottled_on: datetime.date | None = None
    cellar: Address | None = None


class Judged(msgspec.Struct, rename="camel"):
    is_good: bool
    bottled_in: int | None
    where: str


def judge(data: list[Wine]) -> list[Judged]:
    return [
        Judged(
            wine.acidity < 8,
            wine.bottled_on.year if wine.bottled_on else None,
            f"{wine.wine_color.value} {wine.cellar.city if wine.cellar else '-'}",
        )
        for wine in data
    ]


WINE = {"fixed acidity": 7.4, "wineColor": "green", "bottledOn": "2019-02-03", "cellar": {"city": "Bonn"}}  # fmt: skip


def test_the_names_of_json_are_the_names_everywhere() -> None:
    model = Asked(judge)
    expected = {"isGood": True, "bottledIn": 2019, "where": "green Bonn"}
    assert model.ask(json.dumps([WINE])) == [expected]
    assert json.loads(model.ask(json.dumps(WINE), LINES)) == expected
    table = (
        'fixed acidity,wineColor,bottledOn,cellar\n7.4,green,2019-02-03,"{""city"": ""Bonn""}"\n'
    )
    said = model.ask(table, CSV).splitlines()
    assert said[0].endswith("prediction.isGood,prediction.bottledIn,prediction.where")
    assert said[1].endswith("True,2019,green Bonn")
    assert [name for name, _, _ in model.about("inputs")] == list(WINE)
    assert model.about("outputs") == [
        ("isGood", "BOOL", [-1]),
        ("bottledIn", "INT64", [-1]),
        ("where", "BYTES", [-1]),
    ]
    outputs = model.infer(
        **{"fixed acidity": ("FP64", [1], [7.4])},
        wineColor=("BYTES", [1], ["green"]),
        bottledOn=("BYTES", [1], ["2019-02-03"]),
        cellar=("BYTES", [1], ['{"city": "Bonn"}']),
    )
    assert [output["data"] for output in outputs] == [[True], [2019], ["green Bonn"]]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('[{"acidity": 1}]', 'row 1, acidity: unknown field. Did you mean "fixed acidity"?'),
        ('[{"Fixed_Acidity": 1}]', 'Did you mean "fixed acidity"?'),
        ('[{"fixed acidity": 1}, {}]', "row 2, fixed acidity is missing"),
        ('[{"fixed acidity": null}]', "row 1, fixed acidity is missing"),
        ('[{"fixed acidity": -1}]', "-1 is not a number of at least 0 and at most 20"),
        ('[{"fixed acidity": 1, "wineColor": "blue"}]', '"blue" is not one of red, green'),
        ('[{"fixed acidity": 1, "bottledOn": "3.2.19"}]', '"3.2.19" is not a date such as 2024-'),
        ('[{"fixed acidity": 1, "cellar": {"city": 3}}]', "row 1, cellar.city: 3 is not text"),
        ('[{"fixed acidity": 1, "cellar": {"city": "a", "floors": [1, "b"]}}]', "cellar.floors[1]"),
        ('[{"fixed acidity": 1, "cellar": {"city": "a", "town": 1}}]', "cellar.town: unknown"),
        ("[3]", "row 1: 3 is not an object with the fields fixed acidity, wineColor"),
        ("[]", "there are no rows"),
        pytest.param(
            json.dumps([WINE] * 6), "there are 6 rows, and a request may hold 5", id="too many"
        ),
        ('{"dta": []}', 'unknown key "dta". Did you mean "data"?'),
        ("{}", 'the request has no "data"'),
        ('[{"fixed acidity": 1},]', "byte 22"),
        ('[{"fixed acidity": NaN}]', "malformed"),
    ],
)
def test_a_fault_is_said_in_the_words_of_the_request(body: str, said: str) -> None:
    assert said in Asked(judge).refusal(body)


def test_ten_faults_are_named_at_once() -> None:
    model = Asked(judge)
    said = model.refusal('[{"fixed acidity": "x", "wineColor": 1, "cellar": 2}, {}, {"a": 1}]')
    assert said.count(";") == 5
    many = model.refusal(json.dumps([dict.fromkeys("abcdefghi", 1)] * 2))
    assert many.count(";") == 10
    assert many.endswith("; and more")


# Answers.


class Mixed(msgspec.Struct):
    label: str
    score: float
    sure: bool
    day: datetime.date | None
    vector: list[float]
    shares: dict[str, float]


def of_numpy(data: list[list[float]]) -> list[Mixed]:
    return [
        Mixed(
            np.str_("a"),
            np.float32(0.5),  # type: ignore[arg-type]
            np.bool_(True),  # type: ignore[arg-type]
            np.datetime64("2024-01-02"),  # type: ignore[arg-type]
            np.arange(2.0),  # type: ignore[arg-type]
            {np.str_("b"): np.float64(row[0])},
        )
        for row in data
    ]


def test_answers_of_numpy_are_the_same_in_every_format() -> None:
    model = Asked(of_numpy)
    expected = {
        "label": "a",
        "score": 0.5,
        "sure": True,
        "day": "2024-01-02",
        "vector": [0.0, 1.0],
        "shares": {"b": 2.0},
    }
    assert model.ask("[[2]]") == [expected]
    assert json.loads(model.ask("[2]\n", LINES)) == expected
    assert model.ask("2\n", CSV).splitlines()[1] == '2,a,0.5,True,2024-01-02,"[0.0,1.0]",2.0'
    data = {each["name"]: each["data"] for each in model.infer(input=("FP64", [1, 1], [2]))}
    assert data == {key: v if isinstance(v, list) else [v] for key, v in expected.items()} | {
        "shares": [2.0]
    }


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(np.array([1.5, 2.5], np.float32), id="array"),
        pytest.param(np.array([1.5, 2.5], object), id="array of objects"),
        pytest.param(pd.Series([1.5, 2.5], index=[7, 3]), id="Series"),
        pytest.param((1.5, 2.5), id="tuple"),
        pytest.param([np.float64(1.5), np.array(2.5)], id="scalars"),
        pytest.param(iter([1.5, 2.5]), id="iterator"),
    ],
)
def test_answers_may_be_of_any_kind_of_list(answer: Any) -> None:
    def predict(data: list[list[float]]) -> list[float]:
        return answer  # type: ignore[no-any-return]

    assert Asked(predict).ask("[[1], [2]]") == [1.5, 2.5]


class Optional(msgspec.Struct):
    score: float
    spread: float | None = None


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([Optional(1.0, float("nan"))], None),
        ([Optional(float("nan"))], "Answer 1, score: nan is not a finite number."),
        ([Optional(1.0, float("inf"))], "Answer 1, spread: inf is not a finite number."),
        ([Optional(1.0), Optional(2.0)], "predict gave 2 answers for 1 rows."),
        ([], "predict gave 0 answers for 1 rows."),
        (None, "predict gave a NoneType, not a list of 1 answers."),
        ([Optional(Foreign())], "A prediction holds a Foreign, which is not JSON serializable."),  # type: ignore[arg-type]
    ],
    ids=["NaN for None", "NaN", "infinite", "too many", "too few", "none", "foreign"],
)
@pytest.mark.parametrize(
    ("kind", "body"), [(JSON, "[[1]]"), (LINES, "[1]"), (CSV, "1\n")], ids=["json", "lines", "csv"]
)
def test_what_is_no_answer_for_each_row_is_an_error_that_says_so(
    kind: str, body: str, answers: Any, said: str | None
) -> None:
    def predict(data: list[list[float]]) -> list[Optional]:
        return answers  # type: ignore[no-any-return]

    model = Asked(predict)
    found = model.client.simulate_post("/invocations", body=body, content_type=kind)
    if said is None:
        assert found.status_code == 200
        assert "nan" not in found.text.lower()
    else:
        assert (found.status_code, found.json["failed"]) == (500, said)


def test_tensors_keep_labels_in_order_and_refuse_what_is_no_tensor() -> None:
    def predict(data: list[list[float]]) -> list[dict[str, float]]:
        return [{"a": 1.0, "b": 2.0}, {"b": 4.0, "a": 3.0}]

    (output,) = Asked(predict).infer(input=("FP64", [2, 1], [1, 2]))
    assert output["parameters"] == {"labels": "a,b"}
    assert (output["shape"], output["data"]) == ([2, 2], [1.0, 2.0, 3.0, 4.0])

    def ragged(data: list[list[float]]) -> list[list[float]]:
        return [[1.0], [1.0, 2.0]]

    found = Asked(ragged).infer(input=("FP64", [2, 1], [1, 2]))
    assert "lists of different lengths" in found["failed"]


def picky(data: list[Wine]) -> list[bool]:
    for number, wine in enumerate(data):
        if wine.acidity > 10:
            raise errors.InvalidRow("more than the model has seen", number, "fixed acidity")
    return [True] * len(data)


def test_a_row_that_the_model_refuses_is_named() -> None:
    model = Asked(picky)
    said = "row 2, fixed acidity: more than the model has seen"
    assert model.refusal('[{"fixed acidity": 1}, {"fixed acidity": 11}]') == said
    assert model.refusal("fixed acidity,wineColor,bottledOn,cellar\n1,,,\n11,,,\n", CSV) == said
    found = model.infer(**{"fixed acidity": ("FP64", [2], [1, 11])})
    assert found["description"] == said
