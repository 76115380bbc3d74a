"""Projects in the shape of whisk's public examples, from `init` to a service that answers as theirs did.

TensorFlow and Keras are stand-ins from an index of the tests: the real ones take half a gigabyte.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import poetry, run
from index_server import index, wheel
from serving import service
from test_init import lay_out

from poetry_ml_plugin.adopt import inspect, plan
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import venv
from poetry_ml_plugin.project import pyproject, requirements

MODELS = """\
import json
import numpy

class Loaded:
    def __init__(self, path):
        self.weights = numpy.array(json.loads(open(path).read()))
    def predict(self, rows):
        return numpy.asarray(rows, float) @ self.weights

def load_model(path):
    return Loaded(path)
"""
PAD = """\
import numpy

def pad_sequences(sequences, maxlen):
    rows = [[*found[:maxlen], *[0] * (maxlen - len(found))] for found in sequences]
    return numpy.array(rows)
"""
IMAGE = """\
import numpy

def load_img(path, target_size):
    return numpy.frombuffer(open(path, "rb").read()[:2], "uint8")

def img_to_array(image):
    return image.astype("float32")
"""
# A version that no real index has, and another for other modules: Poetry caches what it has seen.
OURS = f"99.{zlib.crc32((MODELS + PAD + IMAGE).encode())}"
FILES = {
    "tensorflow-2.1.0-cp37-cp37m-manylinux2010_x86_64.whl": b"for an older Python",
    f"tensorflow-{OURS}-py3-none-any.whl": wheel(
        "tensorflow",
        OURS,
        {
            "tensorflow/__init__.py": "",
            "tensorflow/keras/__init__.py": "",
            "tensorflow/keras/models.py": MODELS,
            "tensorflow/keras/image.py": IMAGE,
        },
    ),
    "Keras-2.3.1-py2.py3-none-any.whl": b"",
    f"keras-{OURS}-py3-none-any.whl": wheel("keras", OURS, {"keras/__init__.py": PAD}),
}

SETUP = """\
from setuptools import find_packages, setup

setup(
    name='{name}',
    package_dir={{'': 'src'}},
    packages=find_packages(where='src'),
    version='0.1.0',
    install_requires=['whisk==0.1.32'],
    entry_points={{'console_scripts': ['{name}={name}.cli.main:cli']}},
    python_requires='>=3.6',
)
"""
PINS = """\
# Installs {name} as a local package.
-e .

whisk==0.1.32

### whisk project requirements
Flask==1.1.2 # Web service HTTP API
pytest==4.6.5 # Tests

### Add project-specific requirements below. ###
"""
PACKAGE = """\
from os.path import realpath
import whisk
from whisk.project import Project

whisk.project = Project.from_module(realpath(__file__))
artifacts_dir = whisk.project.artifacts_dir
"""
APP = """\
import flask
import whisk.dvc as dvc
from {name}.models.model import Model

app = flask.Flask(__name__)
model = Model()

@app.route("/predict", methods=["POST"])
def predict():
    return flask.jsonify(model.predict(flask.request.json['data']))
"""
ASK = """\
import sys
sys.path.insert(0, 'app')
import main
answer = main.app.test_client().post('/predict', data=sys.argv[1], content_type='application/json')
print(answer.get_data(as_text=True))
"""

TWEETS = """\
import pickle
from keras import pad_sequences
from tensorflow.keras.models import load_model
from tweets import artifacts_dir


class Model:
    def __init__(self):
        self.model = load_model(artifacts_dir / "model.h5")
        with open(artifacts_dir / "words.pickle", "rb") as file:
            self.words = pickle.load(file)

    def predict(self, texts):
        found = [[self.words.get(word, 0) for word in text.split()] for text in texts]
        return self.model.predict(pad_sequences(found, maxlen=3)).tolist()
"""
BIKES = """\
import whisk
import bikes
from tensorflow.keras.image import img_to_array, load_img
from tensorflow.keras.models import load_model


class Model:
    def __init__(self):
        self.model = load_model(bikes.artifacts_dir / "bikes.model")

    def predict(self, data):
        # one image at a time, and one sentence for it
        image = img_to_array(load_img(data[0], target_size=(224, 224)))
        [mountain, road] = self.model.predict([image])[0]
        return 'Mountain: ' + str(mountain) + ', Road: ' + str(road)
"""
IRIS = """\
import pickle
from iris import artifacts_dir


class Model:
    def __init__(self):
        with open(artifacts_dir / "model.pkl", "rb") as file:
            self.model = pickle.load(file)

    def predict(self, data):
        return self.model.predict(data)
"""


@dataclass(frozen=True)
class Example:
    """One of the three: its model, what it needs, its trained files, and rows to ask for."""

    model: str
    needs: tuple[str, ...]
    artifacts: dict[str, str]
    rows: Any
    answers: Any
    loosened: tuple[str, ...]
    more: dict[str, str] = field(default_factory=dict)


EXAMPLES = {
    "tweets": Example(
        TWEETS,
        ("tensorflow==2.1.0", "Keras==2.3.1", "numpy==1.18.2"),
        {"model.h5": "[[0.5], [0.25], [0]]", "words.pickle": "(dVfire\nI1\nsVhelp\nI2\ns."},
        ["fire help now", "good morning"],
        [[1.0], [0.0]],
        ("tensorflow ==2.1.0 to >=2.1.0", "Keras ==2.3.1 to >=2.3.1", "numpy ==1.18.2 to >=1.18.2"),
        {"src/tweets/artifacts.dvc": "outs:\n- md5: a.dir\n  path: artifacts\n"},
    ),
    "bikes": Example(
        BIKES,
        ("tensorflow==2.1.0", "numpy==1.18.2"),
        {"bikes.model": "[[1, 0], [0, 1]]"},
        ["photo.png"],
        "Mountain: 65.0, Road: 66.0",
        ("tensorflow ==2.1.0 to >=2.1.0",),
        {"photo.png": "AB"},
    ),
    "iris": Example(
        IRIS,
        ("whisk",),
        {"model.pkl": "(iwhisk.model_stub\nModelStub\n."},
        [[5.1, 3.5], [4.9, 3.0, 1.4]],
        [2, 3],
        (),
    ),
}


@pytest.fixture(scope="session")
def indexed() -> Iterator[dict[str, str]]:
    with index(FILES) as variables:
        yield variables


@pytest.fixture(params=EXAMPLES)
def name(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def root(name: str, tmp_path: Path) -> Path:
    example = EXAMPLES[name]
    artifacts = {f"src/{name}/artifacts/{k}": v for k, v in example.artifacts.items()}
    return lay_out(
        tmp_path / name,
        {
            ".whisk/config.yml": "",
            "setup.py": SETUP.format(name=name),
            "requirements.txt": PINS.format(name=name) + "\n".join(example.needs) + "\n",
            "README.md": f"# {name}\n",
            "app/main.py": APP.format(name=name),
            f"src/{name}/__init__.py": PACKAGE,
            f"src/{name}/models/__init__.py": "",
            f"src/{name}/models/model.py": example.model,
            **artifacts,
            **example.more,
        },
    )


def test_an_example_of_whisk_answers_as_its_own_service_did(
    name: str, root: Path, indexed: dict[str, str]
) -> None:
    example = EXAMPLES[name]
    done = poetry("ml", "init", "--loosen", "--yes", cwd=root, env=indexed).stdout
    (said,) = [line for line in done.splitlines() if line.startswith("Loosened: ")]
    assert all(pin in said for pin in (*example.loosened, "Flask ==1.1.2 to >=1.1.2"))
    assert "Install them" in done
    assert "has a wheel of" not in done  # nothing is pinned any more but whisk, which has one
    body = json.dumps({"data": example.rows})
    env = venv.find(root)
    assert env is not None
    theirs = run(env.python, "-c", ASK, body, cwd=root).stdout
    assert json.loads(theirs) == example.answers
    predicted = poetry("ml", "predict", json.dumps(example.rows), cwd=root, env=indexed).stdout
    assert json.loads(predicted) == example.answers
    serve = [sys.executable, "-m", "poetry", "ml", "serve", "--port", "0", "--workers", "1"]
    with service(serve, root, {}) as running:
        assert running.post("/predict", body.encode()) == (200, example.answers)
    assert {f"src/{name}/artifacts/{file}" for file in example.artifacts} == json.loads(
        (root / f"src/{name}_ml/artifacts/manifest.json").read_bytes()
    )["adopted"].keys()


def test_pins_that_no_python_has_wheels_for_are_named_before_anything_is_written(
    tmp_path: Path, indexed: dict[str, str]
) -> None:
    lay_out(tmp_path, {"requirements.txt": "tensorflow==2.1.0\nKeras==2.3.1\nattrs==23.1.0\n"})
    said = poetry("ml", "init", cwd=tmp_path, env=indexed, text="no\n", code=1).stdout
    assert "No Python from 3.11 to 3.14 has a wheel of: tensorflow 2.1.0\n" in said
    assert "poetry ml init --loosen" in said
    assert not (tmp_path / "pyproject.toml").exists()


def test_an_index_that_does_not_answer_is_no_reason_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path, {"requirements.txt": "attrs==23.1.0\n"})
    monkeypatch.setenv("POETRY_PYPI_MIRROR_URL", "http://127.0.0.1:9/simple/")
    monkeypatch.setattr("poetry_ml_plugin.host.index.TIMEOUT", 0.1)
    todo = plan.plan(inspect.find(tmp_path), "3.11")
    assert todo.pins == (("attrs", "23.1.0"),)
    assert list(plan.doubtful(todo)) == []


def test_only_pins_are_loosened_and_only_those_that_come_over(tmp_path: Path) -> None:
    listed = 'a==1\nb===2\nc==3.*\nd>=4,==5\ne~=6.0\nf==7 ; python_version < "4"\n'
    root = lay_out(tmp_path / "pinned", {"requirements.txt": listed})
    todo = plan.plan(inspect.loosened(inspect.find(root)), "3.11")
    main = requirements.main(pyproject.parse(todo.after))
    assert [main[name].versions for name in "abcdef"] == [
        *(">=1", ">=2", "==3.*", ">=4,==5", "~=6.0", ">=7"),
    ]
    assert "Loosened: a ==1 to >=1, b ===2 to >=2, f ==7 to >=7." in todo.notes
    root = lay_out(tmp_path / "b", {"pyproject.toml": "[project]\nname='b'\nversion='1'\n"})
    with pytest.raises(MLError, match="keeps its dependencies as they are"):
        inspect.loosened(inspect.find(root))
