"""The generated project: it passes its own checks, and says clearly what is wrong with what it is given."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from conftest import ROWS, Churn, run


def test_its_own_tests_pass(churn: Churn) -> None:
    done = run(churn.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=churn.root)
    assert "passed" in done.stdout


def test_it_lints_and_is_formatted(churn: Churn) -> None:
    run(churn.python, "-m", "ruff", "check", "--no-cache", cwd=churn.root)
    run(churn.python, "-m", "ruff", "format", "--check", "--no-cache", cwd=churn.root)


def test_it_type_checks(churn: Churn, tmp_path: Path) -> None:
    options = ["--python-executable", str(churn.python), "--cache-dir", str(tmp_path)]
    run(sys.executable, "-m", "mypy", *options, cwd=churn.root)


def test_runtime_dependencies_carry_no_training_library(churn: Churn) -> None:
    text = (churn.root / "pyproject.toml").read_text()
    runtime = text[text.index("dependencies = [") : text.index("]\n\n[project.scripts]")]
    assert not re.search("scikit|skl2onnx|pandas", runtime)


def test_no_line_of_it_knows_the_plugin(churn: Churn) -> None:
    for path in churn.root.rglob("*.py"):
        assert "poetry_ml_plugin" not in path.read_text(), path


def test_two_trainings_give_the_same_model(churn: Churn, copy: Path) -> None:
    name = "src/churn/artifacts/model.onnx"
    churn.verb("train", cwd=copy)
    assert (copy / name).read_bytes() == (churn.root / name).read_bytes()


def test_metrics_are_in_the_report_and_in_the_manifest(churn: Churn) -> None:
    metrics = json.loads((churn.root / "reports/metrics.json").read_text())
    manifest = json.loads((churn.root / "src/churn/artifacts/manifest.json").read_text())
    assert manifest["run"]["metrics"] == metrics
    assert metrics["accuracy"] > 0.95


def test_an_evaluation_leaves_the_record_of_the_training_alone(churn: Churn, copy: Path) -> None:
    path = copy / "src/churn/artifacts/manifest.json"
    before = path.read_bytes()
    said = churn.verb("evaluate", cwd=copy).stdout
    assert path.read_bytes() == before
    evaluated = json.loads((copy / "reports/evaluation.json").read_text())
    assert evaluated["metrics"] == json.loads(before)["run"]["metrics"]
    assert evaluated["seen"] == 0
    assert f"accuracy {evaluated['metrics']['accuracy']:.4g}" in said


def test_other_rows_are_evaluated_and_those_of_the_training_counted(
    churn: Churn, copy: Path
) -> None:
    lines = (copy / "data/raw/penguins.csv").read_text().splitlines(keepends=True)
    (copy / "new.csv").write_text("".join(lines[:201]))
    done = churn.verb("evaluate", "--data", "new.csv", cwd=copy)
    evaluated = json.loads((copy / "reports/evaluation.json").read_text())
    assert evaluated["metrics"]["rows"] == 200
    assert 100 < evaluated["seen"] < 200
    assert f"the training saw {evaluated['seen']} of these 200 rows" in done.stderr
    assert list(evaluated["data"]) == ["new.csv"]


def test_a_model_is_evaluated_on_the_rows_that_its_own_training_held_out(
    churn: Churn, copy: Path
) -> None:
    path = copy / "src/churn/artifacts/manifest.json"
    churn.verb("train", "--set", "seed=3", "--set", "test_size=0.5", "--set", "trees=2", cwd=copy)
    trained = json.loads(path.read_text())["run"]["metrics"]
    done = churn.verb("evaluate", cwd=copy)  # by a file that says otherwise
    assert "Warning" not in done.stderr
    assert json.loads(path.read_text())["run"]["metrics"] == trained
    with (copy / "data/raw/penguins.csv").open("a") as file:
        file.write("Adelie,Dream,40.0,18.0,190,3500,male,2009\n")
    assert "Warning: data/raw/penguins.csv has changed" in churn.verb("evaluate", cwd=copy).stderr
    said = churn.verb("evaluate", "--set", "seed=20", cwd=copy, code=1).stderr
    assert "those that the training held out, with seed = 3" in said
    assert json.loads(path.read_text())["run"]["metrics"] == trained


def test_the_manifest_says_where_the_model_comes_from(churn: Churn) -> None:
    run_of = json.loads((churn.root / "src/churn/artifacts/manifest.json").read_text())["run"]
    assert set(run_of["data"]) == {"data/raw/penguins.csv"}
    assert run_of["config"]["seed"] == 20


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["predict", '[{"island": "Atlantis"}]'],
            r"row 1, island: \"Atlantis\" is not one of Biscoe",
        ),
        (
            ["predict", '[{"island": "Dream"}, {"island": "Dream", "sex": 3}]'],
            "row 2, sex: 3 is not one of female, male",
        ),
        (["predict", "[{"], "truncated"),
        (["predict", "no-such.csv"], "no-such.csv cannot be read"),
        (["predict", "README.md"], 'there is no column "island"'),
        (["train", "--set", "tres=3"], 'unknown key "tres". Did you mean "trees"'),
        (["train", "--set", "trees=many"], "trees"),
        (["train", "--set", "trees=0"], "trees"),
        (["train", "--set", "data=raw/none.csv"], "none.csv is missing"),
        (["train", "--set", "data=../README.md"], "README.md is not a table. Give a .csv"),
        (["train", "--set", "data=raw"], "raw cannot be read"),
        (["train", "--set", "test_size=0.999"], "cannot be split by configs/train.yaml"),
        (["serve", "--port", "99999"], "port"),
    ],
    ids=[
        "unknown category",
        "wrong type",
        "broken JSON",
        "no such file",
        "no table",
        "unknown setting",
        "no number",
        "too small",
        "no such data",
        "data of another kind",
        "data is a folder",
        "too few rows",
        "port out of range",
    ],
)
def test_bad_input_is_one_sentence(churn: Churn, copy: Path, words: list[str], said: str) -> None:
    before = (copy / "src/churn/artifacts/manifest.json").read_bytes()
    done = churn.verb(*words, cwd=copy, code=1)
    assert done.stderr.startswith("Error: ")
    assert done.stderr.strip().count("\n") == 0
    assert re.search(said, done.stderr)
    assert (copy / "src/churn/artifacts/manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("tres: 3", 'train.yaml: unknown key "tres". Did you mean "trees"'),
        ("seed: many", "train.yaml.*seed"),
        ("data: [", "train.yaml cannot be read"),
    ],
    ids=["unknown key", "wrong type", "broken YAML"],
)
def test_a_wrong_configuration_names_file_and_key(
    churn: Churn, copy: Path, line: str, said: str
) -> None:
    with (copy / "configs/train.yaml").open("a") as file:
        file.write(f"{line}\n")
    assert re.search(said, churn.verb("train", cwd=copy, code=1).stderr, re.DOTALL)


def test_the_environment_wins_over_the_file_and_names_itself(churn: Churn, copy: Path) -> None:
    env = {"PYTHONPATH": str(copy / "src"), "CHURN_TRAIN_TREES": "three"}
    done = run(churn.python, "-m", "churn", "train", cwd=copy, code=1, env=env)
    assert "$CHURN_TRAIN_TREES" in done.stderr
    run(churn.python, "-m", "churn", "train", cwd=copy, env={**env, "CHURN_TRAIN_TREES": "3"})
    manifest = json.loads((copy / "src/churn/artifacts/manifest.json").read_text())
    assert manifest["run"]["config"]["trees"] == 3


def test_what_a_file_lacks_another_source_may_give(churn: Churn, copy: Path) -> None:
    path = copy / "configs/train.yaml"
    text = path.read_text().replace("seed: 20\n", "")
    path.write_text(text.replace("trees: 100", "trees: 3").replace("0.00001", "1e-5"))
    said = churn.verb("train", cwd=copy, code=1).stderr
    assert "configs/train.yaml: Object missing required field `seed`" in said
    churn.verb("train", "--set", "seed=7", cwd=copy)
    env = {"PYTHONPATH": str(copy / "src"), "CHURN_TRAIN_SEED": "8"}
    run(churn.python, "-m", "churn", "train", cwd=copy, env=env)
    manifest = json.loads((copy / "src/churn/artifacts/manifest.json").read_text())
    assert manifest["run"]["config"]["seed"] == 8
    assert manifest["run"]["config"]["tolerance"] == 1e-5  # not text, as in YAML 1.1


def test_defaults_of_the_service_are_those_of_its_file(churn: Churn) -> None:
    ask = (
        "from churn import config as c; from churn._runtime.service import ServeConfig as S;"
        "assert c.load('serve', S, environ={}) == S(); print(sorted(S.__struct_fields__)); import yaml;"
        "print(sorted(yaml.safe_load(open('configs/serve.yaml'))))"
    )
    fields, keys = run(churn.python, "-c", ask, cwd=churn.root).stdout.splitlines()
    assert fields == keys


def test_a_missing_artifact_says_how_to_get_it(churn: Churn, copy: Path) -> None:
    (copy / "src/churn/artifacts/model.onnx").unlink()
    said = churn.verb("predict", ROWS, cwd=copy, code=1).stderr
    assert "Run: poetry run python -m churn train" in said
    assert "model.onnx is missing" in churn.verb("verify", cwd=copy, code=1).stderr
    shutil.rmtree(copy / "src/churn/artifacts")
    (copy / "src/churn/artifacts.dvc").write_text("outs:\n- md5: 0123.dir\n  path: artifacts\n")
    said = churn.verb("predict", ROWS, cwd=copy, code=1).stderr
    assert "no trained model" in said
    assert "Run: poetry ml data pull" in said
    (copy / "src/churn/artifacts.dvc").unlink()
    assert "no trained model" in churn.verb("serve", cwd=copy, code=1).stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<<<<<<< HEAD\n", "cannot be read: JSON is malformed"),
        (
            "version https://git-lfs.github.com/spec/v1\n",
            "a Git LFS pointer, not the file itself. Run: git lfs pull",
        ),
    ],
    ids=["merge conflict", "LFS pointer"],
)
def test_training_mends_a_manifest_that_cannot_be_read(
    churn: Churn, copy: Path, content: str, said: str
) -> None:
    (copy / "src/churn/artifacts/manifest.json").write_text(content)
    assert said in churn.verb("verify", cwd=copy, code=1).stderr
    churn.verb("train", "--set", "trees=3", cwd=copy)
    assert churn.verb("verify", cwd=copy).stdout.startswith("Verified 1 artifact")


def test_verify_names_every_violation_at_once(churn: Churn, copy: Path, tmp_path: Path) -> None:
    artifacts = copy / "src/churn/artifacts"
    manifest = json.loads((artifacts / "manifest.json").read_bytes())
    entry = manifest["artifacts"]["model.onnx"]
    lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    dvc = b"outs:\n- md5: 0123\n  path: dvc.onnx\n"
    files = {
        "empty.onnx": b"",
        "lfs.onnx": lfs,
        "short.onnx": b"[",
        "dvc.onnx": dvc,
        "pulled.onnx": b"",
        "out.onnx": b"",
    }
    manifest["artifacts"] |= dict.fromkeys(files, entry)
    (artifacts / "manifest.json").write_text(json.dumps(manifest))
    for name, content in files.items():
        (artifacts / name).write_bytes(content)
    (artifacts / "pulled.onnx").rename(artifacts / "pulled.onnx.dvc")
    (artifacts / "out.onnx").unlink()
    (artifacts / "out.onnx").symlink_to(shutil.copy(artifacts / "model.onnx", tmp_path))
    (artifacts / "folder").symlink_to(tmp_path)
    (artifacts / "model.onnx").write_bytes(
        (artifacts / "model.onnx").read_bytes()[:-7] + b"changed"
    )
    (artifacts / "more.onnx").write_bytes(b"unlisted")
    said = churn.verb("verify", cwd=copy, code=1).stderr
    for line in (
        "model.onnx differs from its manifest. Run: poetry run python -m churn train",
        "short.onnx is truncated: 1 of ",
        "empty.onnx is empty. Run: poetry run python -m churn train",
        "lfs.onnx is a Git LFS pointer, not the file itself. Run: git lfs pull",
        "dvc.onnx is a DVC pointer, not the file itself. Run: poetry ml data pull",
        "pulled.onnx is missing. Run: poetry ml data pull",
        f"out.onnx is a link out of {artifacts}. Put the file itself there.",
        "more.onnx is not in the manifest. Delete it, or save it in a training.",
        f"folder is a link out of {artifacts}. Put the file itself there.",
        f"9 problems in {artifacts}.",
    ):
        assert line in said, line


def test_rows_come_from_files_and_standard_input(churn: Churn, tmp_path: Path) -> None:
    table = "id,island,body_mass_g,sex\n7,Dream,3800,\n8,Biscoe,5000,male\n"
    (tmp_path / "rows.csv").write_text(table)
    words = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm"]
    absent = [part for word in words for part in ("--missing", word)]
    scored = churn.verb("predict", str(tmp_path / "rows.csv"), *absent).stdout
    assert scored.startswith("id,island,body_mass_g,sex,prediction.species,prediction.prob")
    assert [line.split(",")[0] for line in scored.splitlines()[1:]] == ["7", "8"]
    assert churn.verb("predict", "-", *absent, text=table).stdout == scored
    (tmp_path / "rows.json").write_text(ROWS)
    assert (
        churn.verb("predict", str(tmp_path / "rows.json")).stdout
        == churn.verb("predict", ROWS).stdout
    )


def test_whisks_untyped_model_is_taken(churn: Churn, copy: Path) -> None:
    (copy / "src/churn/models/model.py").write_text(
        "class Model:\n    def predict(self, data):\n        return [sum(row) for row in data]\n"
    )
    assert json.loads(churn.verb("predict", "[[0, 1], [2, 3]]", cwd=copy).stdout) == [1, 5]


def test_data_that_did_not_travel_is_named_as_such(churn: Churn, tmp_path: Path) -> None:
    shutil.copytree(churn.root / "src/churn", tmp_path / "churn")  # as in site-packages
    ask = "from churn import data, data_dir; assert data_dir is None; data.path('raw/penguins.csv')"
    env = {"PYTHONPATH": str(tmp_path)}
    said = run(churn.python, "-c", ask, cwd=tmp_path, env=env, code=1).stderr
    assert "data/ is not part of the installed package" in said
