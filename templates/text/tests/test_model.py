"""The model predicts well, and refuses what it should."""

import csv

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from example_model import data_dir, manifest
from example_model.__main__ import main
from example_model.models.model import Model, Tweet, count, words


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


def run(*words: str) -> str:
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_tells_joy_from_anger(model):
    sentiments = [prediction.sentiment for prediction in model.predict(model.examples)]
    assert sentiments == ["positive", "negative"]


def test_a_text_without_a_known_word_is_no_error(model):
    (prediction,) = model.predict([Tweet("Xyzzy 123")])
    assert sum(prediction.probabilities.values()) == pytest.approx(1)


def test_accuracy_is_what_the_project_promises():
    assert manifest.read().run["metrics"]["accuracy"] > 0.8


def test_words_keep_what_carries_a_mood():
    assert words("Don't! <3 I'm SO happy :)") == ["don't", "!", "<", "i'm", "so", "happy", ":)"]
    assert np.array_equal(count(["so so happy", ""], ["happy", "so"]), [[1, 2], [0, 0]])


def test_command_line_predicts_what_python_predicts(model):
    rows = msgspec.json.encode(model.examples).decode()
    expected = msgspec.to_builtins(model.predict(model.examples))
    assert msgspec.json.decode(run("predict", rows)) == expected


def test_a_csv_file_comes_back_with_predictions():
    assert data_dir is not None
    scored = list(csv.DictReader(run("predict", str(data_dir / "raw/tweets.csv")).splitlines()))
    right = [
        (float(row["rating"]) > 0) == (row["prediction.sentiment"] == "positive") for row in scored
    ]
    assert sum(right) / len(right) > 0.8


def test_a_wrong_row_is_named():
    result = CliRunner().invoke(main, ["predict", '[{"text": "Nice."}, {"text": ""}]'])
    assert result.exit_code == 1
    assert "row 2, text" in result.output


def test_the_notebook_runs_where_its_group_is_installed():
    nbclient = pytest.importorskip("nbclient", reason='run "poetry install --with notebook" first')
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    assert data_dir is not None
    notebook = data_dir.parent / "notebooks" / "getting_started.ipynb"
    nbclient.NotebookClient(
        nbformat.read(notebook, as_version=4), timeout=120, kernel_name="python3"
    ).execute()
