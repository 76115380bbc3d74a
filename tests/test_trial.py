"""An image is started and asked to predict before it is pushed, with rows that tell models apart."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import Churn, poetry, run
from serving import service

from poetry_ml_plugin.deploy import smoke_test
from poetry_ml_plugin.project import pyproject

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what runs is asked of /proc")


@dataclass
class Docker:
    """The stand-in for docker, and what it runs."""

    state: Path
    root: Path
    python: Path
    command: tuple[str, ...] = ("-m", "churn", "serve")

    def env(self) -> dict[str, str]:
        return {
            "PATH": f"{self.state / 'bin'}:/usr/bin:/bin",
            "DOCKER_STATE": str(self.state),
            "DOCKER_RUNS": json.dumps([str(self.root), str(self.python), self.command]),
            "VIRTUAL_ENV": str(self.python.parents[1]),
        }

    def asked(self, verb: str) -> list[list[str]]:
        path = self.state / "asked.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [words for line in lines if (words := json.loads(line))[0] == verb]

    def running(self) -> list[Path]:
        return list(self.state.glob("c*.json"))


@pytest.fixture
def docker(churn: Churn, copy: Path, tmp_path: Path) -> Iterator[Docker]:
    """A docker whose images run the test's own copy of the project."""
    state = tmp_path / "docker"
    (state / "bin").mkdir(parents=True)
    program = state / "bin/docker"
    source = (Path(__file__).parent / "fake_docker.py").read_text()
    program.write_text(source.replace("#!/usr/bin/env python3", f"#!{sys.executable}"))
    program.chmod(0o755)
    made = Docker(state, copy, churn.python)
    yield made
    assert made.running() == []


def deploy(docker: Docker, cwd: Path, *words: str, code: int = 0) -> str:
    env = {**docker.env(), "PYTHONPATH": str(cwd / "src")}
    done = poetry("ml", "deploy", "docker", *words, cwd=cwd, code=code, env=env)
    return done.stdout + done.stderr


def test_an_image_is_asked_to_predict_before_it_is_pushed(docker: Docker, copy: Path) -> None:
    said = deploy(docker, copy, "--image", "a.b/churn", "--push", "--platform", "linux/amd64")
    assert "started here: same predictions as the local model" in said
    (build,), (run_,), (push,) = docker.asked("build"), docker.asked("run"), docker.asked("push")
    assert build[build.index("--platform") + 1] == "linux/amd64"
    assert run_[run_.index("--platform") + 1] == "linux/amd64"
    assert run_[-1] == push[-1]
    assert run_[run_.index("--publish") + 1] == "127.0.0.1::8080"


def test_an_image_that_does_not_start_is_not_pushed_and_its_log_is_shown(
    docker: Docker, copy: Path
) -> None:
    docker.command = ("-c", "raise SystemExit('no libgomp.so.1 here')")
    said = deploy(docker, copy, "--image", "a.b/churn", "--push", code=1)
    assert "The image does not start:" in said
    assert "no libgomp.so.1 here" in said
    assert docker.asked("push") == []
    deploy(docker, copy, "--push", "--no-check")
    assert len(docker.asked("push")) == 1


def test_models_that_agree_on_their_examples_are_told_apart(
    docker: Docker, churn: Churn, copy: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(copy, other)
    train = other / "configs/train.yaml"
    train.write_text(train.read_text().replace("trees: 100", "trees: 80"))
    churn.verb("train", cwd=other)
    one, two = (
        json.loads(churn.verb("predict", "--example", cwd=root).stdout) for root in (copy, other)
    )
    local = smoke_test.here(pyproject.find(copy), env_of(churn))
    assert smoke_test.alike(local.prediction[: len(one)], one)
    answers = [row["probabilities"].values() for row in local.prediction[len(one) :]]
    assert any(0.02 < value < 0.98 for values in answers for value in values)
    docker.root = other
    said = deploy(docker, copy, "--image", "a.b/churn", "--push", code=1)
    assert "Predictions differ from the local model" in said
    assert docker.asked("push") == []
    assert smoke_test.alike(one, two)  # which a check by examples alone would not tell apart


def env_of(churn: Churn) -> Any:
    from poetry.utils.env import VirtualEnv

    return VirtualEnv(churn.python.parents[1])


def test_rows_in_between_are_of_the_types_of_the_examples() -> None:
    rows = [
        {"n": 1, "x": 0.5, "word": "a", "yes": True, "vector": [0.0, 1.0], "none": None},
        {"n": 9, "x": 2.5, "word": "b", "yes": False, "vector": [4.0, 1.0], "none": 3},
    ]
    made = smoke_test.between(rows)
    assert [row["n"] for row in made] == [3, 5, 7]
    assert [row["x"] for row in made] == [1.0, 1.5, 2.0]
    assert {row["word"] for row in made} == {"a", "b"}
    assert {type(row["yes"]) for row in made} == {bool}
    assert [row["vector"] for row in made] == [[1.0, 1.0], [2.0, 1.0], [3.0, 1.0]]
    assert smoke_test.between(rows[:1]) == []
    assert smoke_test.between([[1], [2]]) == []


def test_sagemaker_may_choose_the_port(churn: Churn) -> None:
    env = {"SAGEMAKER_BIND_TO_PORT": "0", "PORT": "1", "PYTHONPATH": str(churn.root / "src")}
    command = [churn.python, "-m", "churn", "serve", "--host", "127.0.0.1"]
    with service(command, churn.root, env) as served:
        assert served.request("GET", "/ping")[0] == 200


# Render


def test_in_a_repository_of_several_projects_render_gets_the_folder(
    churn: Churn, tmp_path: Path
) -> None:
    top = tmp_path / "several"
    root = top / "models/churn"
    shutil.copytree(churn.root, root, ignore=shutil.ignore_patterns(".git", ".venv", "dist"))
    run("git", "init", "--quiet", cwd=top)
    said = poetry("ml", "deploy", "render", cwd=root).stdout
    assert not (root / "render.yaml").exists()
    assert "    rootDir: models/churn\n" in (top / "render.yaml").read_text()
    assert "git add Dockerfile .dockerignore :/render.yaml" in said
    assert (root / "Dockerfile").exists()
    (top / "render.yaml").write_text("services:\n  - type: web\n    name: shop\n")
    done = poetry("ml", "deploy", "render", "--overwrite", cwd=root, code=1)
    assert "render.yaml is about other services" in done.stderr
    assert "rootDir: models/churn" in done.stderr
    assert "name: shop" in (top / "render.yaml").read_text()
