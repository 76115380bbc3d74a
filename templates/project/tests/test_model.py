"""The model predicts well, and refuses what it should."""

import csv
import shutil
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from example_model import ProjectError, artifacts_dir, data_dir, manifest, package
from example_model.__main__ import main
from example_model.models.model import Model, Penguin


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


def run(*words: str, text: str | None = None) -> str:
    result = CliRunner().invoke(main, words, input=text, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_predicts_known_penguins(model):
    species = [prediction.species for prediction in model.predict(model.examples)]
    assert species == ["Adelie", "Gentoo"]


def test_probabilities_add_up_to_one_even_where_all_measurements_are_missing(model):
    (prediction,) = model.predict([Penguin("Dream")])
    assert sum(prediction.probabilities.values()) == pytest.approx(1)


def test_accuracy_is_what_the_project_promises():
    assert manifest.read().run["metrics"]["accuracy"] > 0.95


def test_command_line_predicts_what_python_predicts(model):
    rows = msgspec.json.encode(model.examples).decode()
    expected = msgspec.to_builtins(model.predict(model.examples))
    assert msgspec.json.decode(run("predict", rows)) == expected
    assert msgspec.json.decode(run("predict", "-", text=rows)) == expected
    assert msgspec.json.decode(run("predict", "--example")) == expected


def test_a_csv_file_comes_back_with_predictions(model):
    assert data_dir is not None
    scored = list(csv.DictReader(run("predict", str(data_dir / "raw/penguins.csv")).splitlines()))
    right = [row["species"] == row["prediction.species"] for row in scored]
    assert len(right) == 344
    assert sum(right) / len(right) > 0.95


def test_a_wrong_row_is_named():
    result = CliRunner().invoke(main, ["predict", '[{"island": "Dream"}, {"island": "Atlantis"}]'])
    assert result.exit_code == 1
    assert "Atlantis" in result.output
    assert "row 2, island" in result.output


def test_a_changed_artifact_is_refused(tmp_path: Path):
    shutil.copytree(artifacts_dir, tmp_path, dirs_exist_ok=True)
    (model,) = tmp_path.glob("model.*")
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    with pytest.raises(ProjectError, match="differs from its manifest"):
        type(manifest)(package, tmp_path).load(model.name)


def test_the_notebook_runs_where_its_group_is_installed():
    nbclient = pytest.importorskip("nbclient", reason='run "poetry install --with notebook" first')
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebooks = Path(__file__).parents[1] / "notebooks"
    notebook = nbformat.read(notebooks / "getting_started.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
