"""Formats of artifacts: what was saved comes back equal, or is refused with what differs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import Churn, run

SAVED = """
import collections, datetime, decimal, enum, json, warnings
from pathlib import Path
import msgspec, numpy as np, onnx, pandas as pd
from onnx import helper, numpy_helper
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from churn import ProjectError, formats
warnings.simplefilter("ignore")
Colour = enum.Enum("Colour", "red")
Point = collections.namedtuple("Point", "x y")
Struct = msgspec.defstruct("Struct", [("a", int)])
grid = np.arange(12.0).reshape(3, 4)
pca = PCA(2).fit(np.random.default_rng(7).normal(size=(30, 4)))
fitted = LogisticRegression().fit(grid, [0, 1, 1])
nan = float("nan")

def network(external):
    weights = numpy_helper.from_array(np.eye(64, dtype=np.float32), "weights")
    x, y = (helper.make_tensor_value_info(name, 1, [None, 64]) for name in "xy")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "weights"], ["y"])], "g", [x], [y], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if external:
        Path("there.data").unlink(missing_ok=True)
        onnx.save_model(model, "there.onnx", save_as_external_data=True, location="there.data", size_threshold=0)
        model = onnx.load("there.onnx", load_external_data=False)
    return model

cases = {
    "plain": ("p.json", {"a": [1, 2.5, None, True, "x", {}]}),
    "numbers of numpy": ("p.json", {"a": np.float64(1.5), "b": [np.int64(3)], "c": np.str_("x"), "d": np.bool_(True)}),
    "a large integer": ("p.json", 2**70),
    "an integer as a key": ("parameters.json", {3: 1}),
    "an integer as an inner key": ("parameters.json", {"layers": [{"sizes": {3: 1}}]}),
    "a tuple": ("p.json", {"a": [(1, 2)]}),
    "a named tuple": ("p.json", Point(1, 2)),
    "a set": ("p.json", {"a": {1}}),
    "NaN": ("p.json", {"a": nan}),
    "infinity": ("p.json", [1.0, float("-inf")]),
    "NaN of numpy": ("p.json", {"a": np.float32("nan")}),
    "an array": ("p.json", {"a": np.arange(3)}),
    "bytes": ("p.json", b"x"),
    "a date": ("p.json", datetime.date(2020, 1, 1)),
    "a decimal": ("p.json", decimal.Decimal("1.2")),
    "an enumeration": ("p.json", Colour.red),
    "a struct": ("p.json", Struct(1)),
    "half a character": ("p.json", "\\ud800"),
    "text": ("p.txt", "a\\r\\nb \\u00e9"),
    "no text": ("p.txt", 3),
    "bytes as they are": ("p.bin", b"x"),
    "a number for bytes": ("p.bin", 5),
    "a list for bytes": ("p.bin", [1, 2]),
    "transposed": ("p.safetensors", {"a": grid.T}),
    "every second column": ("p.safetensors", {"a": grid[:, ::2]}),
    "reversed": ("p.safetensors", {"a": grid[::-1]}),
    "by columns": ("p.safetensors", {"a": np.asfortranarray(grid)}),
    "repeated": ("p.safetensors", {"a": np.broadcast_to(np.float32([1, 2]), (3, 2))}),
    "coefficients": ("p.safetensors", {"a": pca.components_.T, "b": fitted.coef_.T}),
    "no dimension": ("p.safetensors", {"a": np.array(3.0)}),
    "no rows": ("p.safetensors", {"a": np.zeros((0, 3))}),
    "with NaN": ("p.safetensors", {"a": np.array([nan, 1.0])}),
    "big-endian": ("p.safetensors", {"a": grid.astype(">f8")}),
    "masked": ("p.safetensors", {"a": np.ma.array(grid, mask=grid > 3)}),
    "a list of numbers": ("p.safetensors", {"a": [1, 2]}),
    "an array alone": ("p.safetensors", grid),
    "texts": ("p.safetensors", {"a": np.array(["x"])}),
    "a pickled table": ("p.pkl", pd.DataFrame({"a": [1, nan], "b": ["x", None]})),
    "a function without a name": ("p.pkl", lambda: 1),
    "keys of skops": ("p.skops", {"a": (1, 2), "b": grid.T}),
    "a tuple as a key": ("p.skops", {(1, 2): 3}),
    "a network": ("p.onnx", network(external=False)),
    "weights elsewhere": ("p.onnx", network(external=True)),
    "weights elsewhere, as bytes": ("p.onnx", network(external=True).SerializeToString()),
    "no network": ("p.onnx", b"junk"),
    "no suffix that is known": ("p.exe", b"x"),
}
said = {}
for name, (file, value) in cases.items():
    try:
        packed = formats.pack(file, value, "churn")
        back = formats.unpack(file, packed.content, packed.trusted)
    except ProjectError as error:
        said[name] = str(error)
    else:
        kept = file == "p.onnx" or formats.difference(value, back) is None
        again = formats.pack(file, value, "churn").content == packed.content
        said[name] = [kept, again, packed.needs]
print(json.dumps(said))
"""

REFUSED = {
    "an integer as a key": "parameters.json: key 3 is an int; JSON keys are text",
    "an integer as an inner key": "parameters.json: key 3 in layers[0].sizes is an int;",
    "a tuple": "p.json: a[0] is a tuple; JSON has only objects, lists,",
    "a named tuple": "p.json: the value is a Point; JSON has only",
    "a set": "p.json: a is a set; JSON has only",
    "NaN": "p.json: a is nan; JSON has no such number",
    "infinity": "p.json: [1] is -inf; JSON has no such number",
    "NaN of numpy": "p.json: a is nan; JSON has no such number",
    "an array": "p.json: a is a ndarray; JSON has only",
    "bytes": "p.json: the value is a bytes; JSON has only",
    "a date": "p.json: the value is a date; JSON has only",
    "a decimal": "p.json: the value is a Decimal; JSON has only",
    "an enumeration": "p.json: the value is a Colour; JSON has only",
    "a struct": "p.json: the value is a Struct; JSON has only",
    "half a character": "p.json: json cannot save a value of type str: ",
    "no text": "p.txt: text cannot save a value of type int: ",
    "a number for bytes": "p.bin: the value was an int and came back as a bytes.",
    "a list for bytes": "p.bin: the value was a list and came back as a bytes.",
    "masked": "p.safetensors: a is a value of type MaskedArray. Save numpy.asarray of it.",
    "a list of numbers": "p.safetensors: a is a value of type list. Save numpy.asarray of it.",
    "an array alone": "p.safetensors: a value of type ndarray is not a dict of numpy arrays",
    "texts": "p.safetensors: safetensors cannot save a value of type dict: ",
    "a function without a name": "p.pkl: pickle cannot save a value of type function: ",
    "a tuple as a key": "p.skops: skops cannot save a value of type dict: ",
    "weights elsewhere": "p.onnx: its weights are in other files. ",
    "weights elsewhere, as bytes": "p.onnx: its weights are in other files. ",
    "no network": "p.onnx: onnxruntime cannot read it: ",
    "no suffix that is known": "p.exe: no format for this suffix. Known are .onnx, .skops,",
}

KEPT = {
    "plain": [],
    "numbers of numpy": [],
    "a large integer": [],
    "text": [],
    "bytes as they are": [],
    "transposed": ["safetensors"],
    "every second column": ["safetensors"],
    "reversed": ["safetensors"],
    "by columns": ["safetensors"],
    "repeated": ["safetensors"],
    "coefficients": ["safetensors"],
    "no dimension": ["safetensors"],
    "no rows": ["safetensors"],
    "with NaN": ["safetensors"],
    "big-endian": ["safetensors"],
    "keys of skops": ["scikit-learn", "skops"],
    "a network": ["onnxruntime"],
}


@pytest.fixture(scope="module")
def said(extended: Churn, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What became of each value, saved in a folder that holds the weights of a network."""
    env = {"PYTHONPATH": str(extended.root / "src")}
    folder = tmp_path_factory.mktemp("formats")
    return json.loads(run(extended.python, "-c", SAVED, cwd=folder, env=env).stdout)


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_not_come_back_equal_is_refused_with_the_key(said: Any, name: str) -> None:
    assert isinstance(said[name], str)
    assert said[name].startswith(REFUSED[name])


@pytest.mark.parametrize("name", KEPT)
def test_what_comes_back_equal_is_kept_in_the_same_bytes_each_time(said: Any, name: str) -> None:
    assert said[name] == [True, True, KEPT[name]]


def test_a_pickled_table_needs_its_library(said: Any) -> None:
    kept, _, needs = said["a pickled table"]
    assert kept is True
    assert "pandas" in needs


def test_every_case_is_looked_at(said: Any) -> None:
    assert said.keys() == {*REFUSED, *KEPT, "a pickled table"}
