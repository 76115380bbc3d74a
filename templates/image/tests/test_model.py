"""The model predicts well, and refuses what it should."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from example_model import data, manifest
from example_model.__main__ import main
from example_model.models.model import Image, Model


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


def test_reads_what_was_drawn(model):
    assert [prediction.digit for prediction in model.predict(model.examples)] == [0, 1]


def test_probabilities_add_up_to_one_even_for_an_empty_image(model):
    (prediction,) = model.predict([Image([0.0] * 64)])
    assert sum(prediction.probabilities.values()) == pytest.approx(1)


def test_accuracy_is_what_the_project_promises():
    assert manifest.read().run["metrics"]["accuracy"] > 0.95


def test_the_data_is_as_the_model_expects_it():
    images, digits = data.read()
    assert images.shape == (1797, 64)
    assert (images.min(), images.max()) == (0, 16)
    assert set(digits) == set(range(10))


def test_command_line_predicts_what_python_predicts(model):
    rows = msgspec.json.encode(model.examples).decode()
    result = CliRunner().invoke(main, ["predict", rows], catch_exceptions=False)
    assert msgspec.json.decode(result.output) == msgspec.to_builtins(model.predict(model.examples))


@pytest.mark.parametrize("pixels", [[0] * 63, [0] * 63 + [17], [0] * 63 + ["x"], "0" * 64])
def test_a_wrong_image_is_named(pixels):
    rows = msgspec.json.encode([{"pixels": [0] * 64}, {"pixels": pixels}]).decode()
    result = CliRunner().invoke(main, ["predict", rows])
    assert result.exit_code == 1
    assert "row 2, pixels" in result.output


def test_the_notebook_runs_where_its_group_is_installed():
    nbclient = pytest.importorskip("nbclient", reason='run "poetry install --with notebook" first')
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebooks = Path(__file__).parents[1] / "notebooks"
    notebook = nbformat.read(notebooks / "getting_started.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
