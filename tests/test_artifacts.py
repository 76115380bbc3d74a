"""Artifacts: what differs from what was saved is refused before anything interprets it, in every format."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from conftest import ROWS, Churn, poetry, run
from serving import service

FORMATS = """
import json, random, sys, warnings
from pathlib import Path
import joblib, numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from churn import ProjectError, artifacts_dir, formats, manifest, package

warnings.simplefilter("ignore")
folder, said = Path(sys.argv[1]), {}
manifest = type(manifest)(package, folder)

def refusal(name):
    try:
        manifest.load(name)
    except ProjectError as error:
        return str(error)

# Every format gives back what it was given, and a line adds one.
table = pd.DataFrame({"word": ["x", "y"] * 20})
pipeline = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(table, [0, 1] * 20)
answers = pipeline.predict_proba(table)
formats.FORMATS[".npy"] = formats.Format("npy", lambda a: a.tobytes(), np.frombuffer)
values = {
    "m.onnx": (artifacts_dir / "model.onnx").read_bytes(),
    "m.skops": pipeline,
    "m.safetensors": {"weights": np.eye(9)},
    "m.json": {"answer": 42},
    "m.txt": "forty-two",
    "m.bin": bytes(range(256)),
    "m.pkl": pipeline,
    "m.joblib": pipeline,
    "m.npy": np.arange(3.0),
}
same = {
    "m.onnx": lambda session: session.get_inputs()[0].shape == [None, 1],
    "m.safetensors": lambda arrays: np.array_equal(arrays["weights"], np.eye(9)),
    "m.npy": lambda array: array.tolist() == [0, 1, 2],
    **dict.fromkeys(
        ["m.skops", "m.pkl", "m.joblib"], lambda p: np.array_equal(p.predict_proba(table), answers)
    ),
}
for name, value in values.items():
    manifest.save(name, value)
    first = (folder / name).read_bytes()
    manifest.save(name, value)
    assert (folder / name).read_bytes() == first, name
said["back"] = [n for n in values if same.get(n, values[n].__eq__)(manifest.load(n))]

# What names code is loaded by the versions that made it.
for entry in (other := manifest.read()).artifacts.values():
    entry.libraries = {name: "0.1" for name in entry.libraries}
manifest._write(other)
said["versions"] = {name: why for name in values if (why := refusal(name))}
said["verified"] = manifest.verify()

# Damage is refused before anything interprets it.
for name, value in values.items():
    manifest.save(name, value)
calls = []
for suffix, kind in formats.FORMATS.items():
    formats.FORMATS[suffix] = kind._replace(load=lambda *words: calls.append(words))
said["undamaged"] = [refusal(name) for name in values].count(None), len(calls)
chance, refused = random.Random(7), 0

def damaged(kind, content, other):
    a, b = sorted(chance.sample(range(1, len(content)), 2))
    if kind == 0:
        flipped = bytearray(content)
        flipped[a] ^= 1 << chance.randrange(8)
        return bytes(flipped)
    return [content[:a], content[b:] + content[a:b] + content[:a], other][kind - 1]

for n in range(1000):
    name, other = chance.sample(list(values), 2)
    path = folder / name
    content = got = path.read_bytes()
    while got == content:  # two parts that were swapped may have been equal
        got = damaged(n % 4, content, (folder / other).read_bytes())
    path.write_bytes(got)
    refused += any(words in str(refusal(name)) for words in ("differs from", "is truncated"))
    path.write_bytes(content)
said["damaged"] = refused, len(calls)
print(json.dumps(said))
"""


def ask(project: Churn, script: str, *words: str | Path, cwd: Path | None = None) -> str:
    """What a script prints that runs beside the project's code."""
    cwd = cwd or project.root
    done = run(project.python, "-c", script, *words, cwd=cwd, env={"PYTHONPATH": str(cwd / "src")})
    return done.stdout


@pytest.fixture(scope="module")
def said(extended: Churn, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What became of artifacts of every format: saved, loaded, tampered with."""
    return json.loads(ask(extended, FORMATS, tmp_path_factory.mktemp("artifacts")))


NAMES = [
    "m.onnx",
    "m.skops",
    "m.safetensors",
    "m.json",
    "m.txt",
    "m.bin",
    "m.pkl",
    "m.joblib",
    "m.npy",
]


def test_every_format_gives_back_what_it_was_given_and_a_line_adds_one(said: Any) -> None:
    assert said["back"] == NAMES


def test_1000_damages_are_refused_before_anything_is_interpreted(said: Any) -> None:
    assert said["undamaged"] == [len(NAMES), len(NAMES)]
    assert said["damaged"] == [1000, len(NAMES)]


def test_what_names_code_is_loaded_by_the_libraries_that_made_it(said: Any) -> None:
    assert set(said["versions"]) == {"m.skops", "m.pkl", "m.joblib"}
    for name, why in said["versions"].items():
        assert f"{name}: it was saved with " in why
        assert re.search('Run: poetry add ".*scikit-learn==0.1"', why)
        told = rf"{re.escape(name)}: (.*; )?it was saved with scikit-learn 0\.1, and here is "
        assert any(re.match(told, line) for line in said["verified"])


def test_a_format_whose_library_is_missing_says_how_to_get_it(churn: Churn, tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from churn import manifest, package; "
        "type(manifest)(package, Path('.')).save('m.safetensors', {})"
    )
    env = {"PYTHONPATH": str(churn.root / "src")}
    said = run(churn.python, "-c", script, cwd=tmp_path, code=1, env=env).stderr
    assert 'safetensors is not installed. Run: poetry add "safetensors"' in said


def test_a_disagreement_is_said_and_trainings_differ_in_time_alone(
    churn: Churn, copy: Path
) -> None:
    for words in (["init", "--quiet"], ["add", "--all"]):
        run("git", *words, cwd=copy)
    run("git", "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "All", cwd=copy)
    said = churn.verb("train", "--set", "tolerance=1e-12", cwd=copy).stdout
    why = r"ONNX export failed \(predict_proba differs by \S+ from scikit-learn's.*\); saved with skops"
    assert re.search(why, said)
    assert (copy / "src/churn/artifacts/model.skops").exists()
    path = copy / "src/churn/artifacts/manifest.json"
    trained = []
    for _ in range(2):
        churn.verb("train", cwd=copy)
        trained.append(json.loads(path.read_text()))
        for when in ("created", "seconds"):
            assert trained[-1]["run"].pop(when)
    assert trained[0] == trained[1]
    assert trained[0]["run"]["clean"] is True
    assert trained[0]["run"]["seed"] == 20
    assert list(trained[0]["artifacts"]) == ["model.onnx"]
    assert churn.verb("verify", cwd=copy).stdout.startswith("Verified 1 artifact")


@pytest.fixture(scope="module")
def boosted(churn: Churn, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The project trained with an estimator that does not become ONNX, and what was said."""
    copy = tmp_path_factory.mktemp("boosted") / "churn"
    shutil.copytree(churn.root, copy, ignore=shutil.ignore_patterns(".git", "dist"))
    path = copy / "src/churn/models/train.py"
    text = path.read_text().replace("RandomForestClassifier", "HistGradientBoostingClassifier")
    path.write_text(text.replace("n_estimators=settings.trees", "max_iter=settings.trees"))
    return copy, churn.verb("train", cwd=copy).stdout


def test_what_does_not_become_onnx_is_kept_and_served_by_skops(
    churn: Churn, boosted: tuple[Path, str]
) -> None:
    root, said = boosted
    assert "ONNX export failed (" in said
    assert "); saved with skops instead." in said
    files = {path.name for path in (root / "src/churn/artifacts").iterdir()}
    assert files - {".gitkeep"} == {"manifest.json", "model.skops"}
    expected = json.loads(churn.verb("predict", ROWS, cwd=root).stdout)
    assert sum(expected[0]["probabilities"].values()) == pytest.approx(1)
    env = {"PYTHONPATH": str(root / "src")}
    with service([churn.python, "-m", "churn", "serve", "--port", "0"], root, env) as running:
        answer = running.post("/predict", f'{{"data": {ROWS}}}'.encode())
        assert answer == (200, {"predictions": expected})
        assert running.stop() == 0
    run(churn.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=root, env=env)


def test_what_training_advises_makes_a_wheel_that_serves_by_skops(
    churn: Churn, boosted: tuple[Path, str], tmp_path: Path
) -> None:
    root, said = boosted
    (advice,) = re.findall(r"run: poetry add (.*)", said)
    poetry("add", "--lock", *shlex.split(advice), cwd=root)
    poetry("build", "--format", "wheel", "--output", tmp_path, cwd=root)
    (built,) = tmp_path.glob("*.whl")
    unpacked = tmp_path / "site-packages"
    zipfile.ZipFile(built).extractall(unpacked)
    (metadata,) = unpacked.glob("*.dist-info/METADATA")
    for package in shlex.split(advice):
        name, _, version = package.partition("==")
        assert f"Requires-Dist: {name} ({'==' if version else ''}{version}" in metadata.read_text()
    env = {"PYTHONPATH": str(unpacked)}
    command = (churn.python, "-m", "churn", "predict", ROWS)
    expected = churn.verb("predict", ROWS, cwd=root).stdout
    assert run(*command, cwd=tmp_path, env=env).stdout == expected

    manifest = unpacked / "churn/artifacts/manifest.json"
    text = re.sub('"scikit-learn": ".*?"', '"scikit-learn": "0.1"', manifest.read_text())
    manifest.write_text(text)
    refusal = run(*command, cwd=tmp_path, env=env, code=1).stderr
    assert re.search('pip install .*"scikit-learn==0.1" "skops==', refusal)
    assert "Traceback" not in refusal


CONVERTED = """
import warnings
import lightgbm, numpy as np, pandas as pd, xgboost
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder
from churn import data, formats
from churn._runtime import estimators
from churn.models.model import features

warnings.simplefilter("ignore")
rows = data.read("raw/penguins.csv")
table, species = pd.DataFrame(features(rows.columns)), pd.Series(rows.target)
assert table["body_mass_g"].isna().any()
table["note"] = ["A %s bird, from %s. Weighs %s!" % row for row in zip(table.sex, table.island, species)]
codes = species.astype("category").cat.codes
numbers, words = ["bill_length_mm", "body_mass_g"], ["island", "sex"]
median = ("numbers", SimpleImputer(strategy="median"), numbers)
kept = ("numbers", "passthrough", numbers)
one_hot = ("words", OneHotEncoder(handle_unknown="ignore"), words)
cases = {
    "missing numbers and words": (RandomForestClassifier(9), [median, one_hot], species),
    "text by tf-idf": (LogisticRegression(max_iter=999), [median, one_hot, ("t", TfidfVectorizer(), "note")], species),
    "text by counts": (LogisticRegression(max_iter=999), [("t", CountVectorizer(stop_words=["bird"]), "note")], species),
    "a regression": (RandomForestRegressor(9), [median, one_hot], codes),
    "LightGBM": (lightgbm.LGBMClassifier(n_estimators=9, verbose=-1), [kept, one_hot], species),
    "XGBoost": (xgboost.XGBClassifier(n_estimators=9), [kept, one_hot], codes),
    "XGBoost, a regression": (xgboost.XGBRegressor(n_estimators=9), [kept, one_hot], codes),
}
for name, (estimator, parts, target) in cases.items():
    columns = [c for _, _, part in parts for c in ([part] if isinstance(part, str) else part)]
    train, held_out = table[columns].iloc[::2], table[columns].iloc[1::2]
    pipeline = Pipeline([("prepare", ColumnTransformer(parts)), ("estimator", estimator)])
    pipeline.fit(train, target.iloc[::2])
    made = estimators.export(pipeline, held_out, 1e-4)
    loaded = estimators.load(formats.unpack("model.onnx", made.value))
    method = "predict_proba" if hasattr(pipeline, "predict_proba") else "predict"
    got, expected = (getattr(one, method)(held_out) for one in (loaded, pipeline))
    print(name, made.suffix == ".onnx", np.abs(got - expected).max() < 1e-4, got.shape == expected.shape)
"""


def test_pipelines_of_numbers_words_and_text_and_boosters_become_onnx(extended: Churn) -> None:
    said = ask(extended, CONVERTED).splitlines()
    assert len(said) == 7
    assert all(line.endswith(" True True True") for line in said), said


def test_the_readmes_way_from_pytorch(extended: Churn, copy: Path) -> None:
    paths = os.pathsep.join([str(copy / "src"), os.environ.get("PYTHONPATH", "")])
    try:
        run(extended.python, "-c", "import torch, onnxscript", cwd=copy, env={"PYTHONPATH": paths})
    except AssertionError:
        pytest.skip("torch and onnxscript are not installed, and too large to fetch for one test")
    readme = (copy / "README.md").read_text()
    (snippet,) = re.findall(r"```python\n(import torch.*?)```", readme, re.DOTALL)
    check = "print(abs(predicted - net(rows).detach().numpy()).max() < 1e-5, predicted.shape)"
    done = run(extended.python, "-c", f"{snippet}\n{check}", cwd=copy, env={"PYTHONPATH": paths})
    assert done.stdout.splitlines()[-1] == "True (5, 3)"
