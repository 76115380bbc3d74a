"""The model predicts what it should, from Python and from the command line."""

import msgspec
import pytest
from click.testing import CliRunner

from example_model.__main__ import main
from example_model.models.model import Model


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


def test_predicts(model):
    assert model.predict(model.examples) == [1, 5]


@pytest.mark.parametrize("words", [["[[0, 1], [2, 3]]"], ["--example"]])
def test_command_line_predicts_what_python_predicts(model, words):
    result = CliRunner().invoke(main, ["predict", *words], catch_exceptions=False)
    assert msgspec.json.decode(result.output) == model.predict(model.examples)
