"""What is served: the models, the generated projects around them, and the row that is sent."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import venvs
from formats import Answer
from servers import LIMIT, Server
from venvs import InstallError, Venv

from poetry_ml_plugin.project import names, pyproject
from poetry_ml_plugin.template import render, scaffold

APPS = Path(__file__).resolve().parent / "apps"
MODELS = ("forest", "logistic")
KINDS = ("onnx", "sklearn")
PYTHON = "3.11"  # what the generated project asks for at least


@dataclass(frozen=True)
class Material:
    """A folder with everything that a run needs, and what could not be had."""

    folder: Path
    missing: dict[str, str]  # a stack, and why it is not there
    notes: dict[str, str]  # a stack, and how it differs from the others

    def venv(self, name: str) -> Venv:
        """The virtual environment of a stack."""
        return Venv(name, self.folder / "venvs" / name)

    def estimator(self, model: str) -> Path:
        """The fitted estimator."""
        return self.folder / f"{model}.joblib"

    def constant(self, model: str) -> Path:
        """What is right to answer, as JSON."""
        return self.folder / f"{model}.answer.json"

    def answer(self, model: str) -> Answer:
        """What is right to answer."""
        said = json.loads(self.constant(model).read_text())
        return Answer(said["label"], tuple(said["probabilities"]))

    def row(self, model: str) -> list[float]:
        """The row that is sent."""
        row: list[float] = json.loads((self.folder / f"{model}.row.json").read_text())
        return row


def prepare(folder: Path, servers: Iterable[Server]) -> Material:
    """Make what is missing; the projects anew, for the template may have changed."""
    material = Material(folder, {}, {})
    folder.mkdir(parents=True, exist_ok=True)
    for model in MODELS:
        for kind in KINDS:
            write_project(folder / "projects" / f"{kind}-{model}", kind)
    ours = material.venv("ours")
    make_ours(ours, folder / "projects" / "onnx-forest")
    for model in MODELS:
        for kind in KINDS:
            train(ours, model, folder / "projects" / f"{kind}-{model}" / "src", folder)
    scikit_learn = ours.versions()[venvs.SCIKIT_LEARN]
    for name in dict.fromkeys(server.of.venv for server in servers if server.of.venv != "ours"):
        try:
            if note := venvs.make_peer(material.venv(name), scikit_learn):
                material.notes[name] = note
            if name == "mlflow":
                save_mlflow(material)
        except InstallError as error:
            material.missing[name] = f"does not install: {error}"
            print(f"{name} {material.missing[name]}", flush=True)
    return material


def write_project(target: Path, kind: str) -> None:
    """A project as `poetry ml new` makes it, with the model of the benchmark in it."""
    shutil.rmtree(target, ignore_errors=True)
    scaffold.write(render.plan(names.Names("bench", "bench"), PYTHON), target)
    shutil.copyfile(APPS / f"ours_{kind}.py", target / "src" / "bench" / "models" / "model.py")


def make_ours(venv: Venv, target: Path) -> None:
    """The environment of the generated projects: their own dependencies, and what trains here."""
    content = pyproject.load(target / "pyproject.toml").unwrap()
    wishes = [re.sub(r"[ ()]", "", wish) for wish in content["project"]["dependencies"]]
    try:
        venvs.make(venv, [*wishes, *venvs.OURS])
    except InstallError as error:
        raise SystemExit(f"The generated project does not install: {error}") from error
    # The service asks for its own version. Which project's code runs, PYTHONPATH says.
    pip = [str(venv.python), "-m", "pip", "install", "--quiet", "--no-deps", "--editable"]
    if not (venv.folder / "installed").exists():
        subprocess.run([*pip, str(target)], check=True)
        (venv.folder / "installed").touch()


def train(ours: Venv, model: str, source: Path, folder: Path) -> None:
    """Fit a model for one project, and compile the project as pip would have."""
    python = str(ours.python)
    env = {**os.environ, "PYTHONPATH": str(source)}
    subprocess.run([python, str(APPS / "train.py"), model, str(folder)], check=True, env=env)
    subprocess.run([python, "-m", "compileall", "-q", str(source)], check=True)


def save_mlflow(material: Material) -> None:
    """The estimators in MLflow's format."""
    python = str(material.venv("mlflow").python)
    for model in MODELS:
        target = material.folder / f"mlflow-{model}"
        shutil.rmtree(target, ignore_errors=True)
        env = {
            **os.environ,
            "BENCH_ESTIMATOR": str(material.estimator(model)),
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        command = [python, str(APPS / "mlflow_save.py"), str(target)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise InstallError(f"cannot save the model: {done.stderr.strip().splitlines()[-1]}")


def versions(material: Material, servers: Iterable[Server]) -> dict[str, dict[str, str]]:
    """What is installed, by stack."""
    wanted = ["ours", *(server.of.venv for server in servers), LIMIT]
    return {
        name: material.venv(name).versions()
        for name in dict.fromkeys(wanted)
        if (material.venv(name).folder / "stamp.json").exists()
    }
