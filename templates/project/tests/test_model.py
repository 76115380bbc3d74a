"""The model predicts its own examples the same way from Python, from the command line and from files.

Nothing here names a field: all of it follows from Model.examples and the annotations of `predict`.
"""

import csv
import io
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from example_model import Manifest, ProjectError, artifacts_dir, manifest, package
from example_model.__main__ import main
from example_model.models.model import Model


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


@pytest.fixture(scope="module")
def rows(model: Model) -> list[Any]:
    """The model's examples as JSON has them."""
    if not len(getattr(model, "examples", ())):
        pytest.skip("Model.examples is empty: give it a few rows, for these tests and for the page")
    return plain(model.examples)


def plain(value: Any) -> Any:
    """What JSON makes of a value; of numpy's and pandas', too."""
    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=listed))


def listed(value: Any) -> Any:
    return value.to_dict("records") if hasattr(value, "columns") else value.tolist()


def run(*words: str, text: str | None = None) -> str:
    result = CliRunner().invoke(main, words, input=text, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_there_is_a_prediction_for_each_example(model, rows):
    assert len(model.predict(model.examples)) == len(rows)


def test_the_command_line_predicts_what_python_predicts(model, rows):
    expected = plain(model.predict(model.examples))
    text = msgspec.json.encode(rows).decode()
    assert msgspec.json.decode(run("predict", text)) == expected
    assert msgspec.json.decode(run("predict", "-", text=text)) == expected
    assert msgspec.json.decode(run("predict", "--example")) == expected


def test_json_lines_give_a_prediction_a_line(model, rows, tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    lines = run("predict", str(path)).splitlines()
    assert [msgspec.json.decode(line) for line in lines] == plain(model.predict(model.examples))


def test_a_csv_file_comes_back_with_predictions(model, rows, tmp_path: Path):
    if not all(isinstance(row, dict) and is_flat(row.values()) for row in rows):
        pytest.skip("a row of this model is not a line of a table")
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, {name: None for row in rows for name in row})
        writer.writeheader()
        writer.writerows(rows)
    scored = list(csv.DictReader(io.StringIO(run("predict", str(path)))))
    answers = plain(model.predict(model.examples))
    assert len(scored) == len(answers)
    for line, answer in zip(scored, answers, strict=True):
        if isinstance(answer, dict):
            texts = {k: v for k, v in answer.items() if isinstance(v, str)}
            assert {name: line[f"prediction.{name}"] for name in texts} == texts


def is_flat(values: Any) -> bool:
    return not any(isinstance(value, list | dict) for value in values)


def test_the_training_left_its_record():
    run_record = manifest.read().run
    assert run_record["metrics"], "train the model: its record has no metrics"
    assert manifest.verify() == []


def test_a_changed_artifact_is_refused(tmp_path: Path):
    shutil.copytree(artifacts_dir, tmp_path, dirs_exist_ok=True)
    name, entry = next(iter(manifest.read().artifacts.items()))
    content = bytearray((tmp_path / name).read_bytes())
    content[entry.size // 2] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ProjectError, match="differs from its manifest"):
        Manifest(package, tmp_path).load(name)


def test_the_notebooks_run_where_their_libraries_are_installed():
    nbclient = pytest.importorskip("nbclient", reason='run "poetry ml add notebook" first')
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    for path in (Path(__file__).parents[1] / "notebooks").glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
