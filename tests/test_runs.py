"""Trainings as a project records them: compared, listed, merged, and sent to a tracking server."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import Churn, kept_environment, packages, run
from serving import until
from test_update import git

IDENTITY = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
# MLflow with what its server needs, and without the libraries of its models.
MLFLOW = (
    *("mlflow-skinny>=3.1,<4", "aiohttp", "alembic", "flask", "flask-cors", "graphene"),
    *("numpy", "pandas", "sqlalchemy"),
)


def lines(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "reports/runs.jsonl").read_text().splitlines()]


def train(churn: Churn, root: Path, trees: int) -> str:
    return churn.verb("train", "--set", f"trees={trees}", cwd=root).stdout


@pytest.fixture(scope="module")
def trained(churn: Churn, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A project in git that was trained three times, and what the last two said: read it."""
    root = tmp_path_factory.mktemp("runs") / "churn"
    shutil.copytree(churn.root, root, ignore=shutil.ignore_patterns("dist"))
    return root, [train(churn, root, trees) for trees in (1, 3)]


def test_every_training_adds_a_line_and_says_the_difference(
    trained: tuple[Path, list[str]],
) -> None:
    root, said = trained
    recorded = lines(root)
    assert [run["config"]["trees"] for run in recorded] == [100, 1, 3]
    manifest = json.loads((root / "src/churn/artifacts/manifest.json").read_text())["run"]
    for key in ("commit", "clean", "config", "created", "data", "metrics", "python", "seconds"):
        assert recorded[-1][key] == manifest[key]
    assert recorded[-1]["libraries"]["scikit-learn"]
    now, before = (run["metrics"]["accuracy"] for run in (recorded[2], recorded[1]))
    assert f": accuracy {now:.4g}, {now - before:+.3g};" in said[1].splitlines()[-1]


def test_runs_are_filtered_sorted_and_drawn(churn: Churn, trained: tuple[Path, list[str]]) -> None:
    root, _ = trained

    def trees(*words: str) -> list[int]:
        said = churn.verb("runs", "--json", *words, cwd=root).stdout
        return [run["config"]["trees"] for run in json.loads(said)]

    assert trees() == [100, 1, 3]
    assert trees("--where", "trees < 50 and seed == 20") == [1, 3]
    assert trees("--last", "2") == [1, 3]
    assert trees("--sort", "trees") == [100, 3, 1]
    assert trees("--sort", "-trees", "--last", "2") == [1, 3]
    header, *rows = churn.verb("runs", cwd=root).stdout.splitlines()
    assert "trees" in header.split() and "seed" not in header.split()  # the same in all of them
    assert len(rows) == 3
    drawn = churn.verb("runs", "--plot", "accuracy", cwd=root).stdout.splitlines()
    values = [run["metrics"]["accuracy"] for run in lines(root)]
    assert [line.split()[-1] for line in drawn[:3]] == [f"{value:.4g}" for value in values]
    longest = max(range(3), key=lambda n: drawn[n].count("#"))
    assert values[longest] == max(values)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["runs", "--where", "tres > 3"], "'tres' is not defined.*The columns are created,"),
        (["runs", "--where", "trees >"], "The columns are created,"),
        (["runs", "--sort", "tres"], "tres.*The columns are created,"),
        (["runs", "--plot", "tres"], '"tres" is no metric. The columns are created,'),
        (["evaluate", "--compare", "0" * 40], '"0{40}" is no commit of this repository'),
        (["evaluate", "--compare", "--all"], '"--all" is no commit of this repository'),
        (["train", "--set", "tracking=mlflow"], "mlflow is not installed. Run: poetry ml add"),
    ],
    ids=[
        "no such column",
        "no expression",
        "nothing to sort by",
        "no metric",
        "a commit that is gone",
        "an option of git",
        "no MLflow",
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(
    churn: Churn, trained: tuple[Path, list[str]], words: list[str], said: str
) -> None:
    root, _ = trained
    before = lines(root)
    done = churn.verb(*words, cwd=root, code=1)
    assert re.search(said, done.stderr)
    assert done.stderr.startswith("Error: ") and done.stderr.strip().count("\n") == 0
    assert lines(root) == before


def test_a_run_is_set_beside_that_of_a_commit(
    churn: Churn, trained: tuple[Path, list[str]]
) -> None:
    root, _ = trained
    said = churn.verb("evaluate", "--compare", "HEAD", "--markdown", cwd=root).stdout
    first, before, now = (run["metrics"]["accuracy"] for run in lines(root))
    naive = r"0\.\d+"
    row = rf"\| accuracy \| {now:.4g} \| {before:.4g} \| {first:.4g} \| {first:.4g} \| {naive} \|"
    assert said.startswith("|  | now | run before | last commit | HEAD | naive |\n| --- | --: ")
    assert re.search(row, said)
    assert "| trees | 3 | 100 |" in said
    assert "reports" not in said  # it goes into a pull request


def test_a_broken_line_is_named_and_left_out(
    churn: Churn, trained: tuple[Path, list[str]], tmp_path: Path
) -> None:
    root = tmp_path / "churn"
    shutil.copytree(trained[0], root)
    path = root / "reports/runs.jsonl"
    whole = path.read_text().splitlines()
    path.write_text("\n".join([whole[0], "<<<<<<< HEAD", whole[1], '{"created": 3}', whole[2]]))
    done = churn.verb("runs", "--json", cwd=root)
    assert len(json.loads(done.stdout)) == 3
    assert "reports/runs.jsonl, line 2 is left out" in done.stderr
    assert "reports/runs.jsonl, line 4 is left out" in done.stderr
    train(churn, root, 2)
    assert len(path.read_text().splitlines()) == 6  # nobody's line was thrown away
    path.unlink()
    assert "Run: poetry run python -m churn train" in churn.verb("runs", cwd=root, code=1).stderr


def test_the_runs_of_two_branches_are_merged_without_a_conflict(
    churn: Churn, tmp_path: Path
) -> None:
    root = tmp_path / "churn"
    shutil.copytree(churn.root, root, ignore=shutil.ignore_patterns("dist"))

    def trained_on(branch: str, trees: int) -> None:
        git("checkout", "--quiet", "-b", branch, "HEAD" if branch == "one" else "one~1", cwd=root)
        train(churn, root, trees)
        git("checkout", "--quiet", "--", "src", "README.md", "reports/metrics.json", cwd=root)
        git(*IDENTITY, "commit", "--quiet", "-am", branch, cwd=root)

    trained_on("one", 1)
    trained_on("two", 2)
    git(*IDENTITY, "merge", "--quiet", "-m", "Merge", "one", cwd=root)
    assert sorted(run["config"]["trees"] for run in lines(root)) == [1, 2, 100]
    said = json.loads(churn.verb("runs", "--json", cwd=root).stdout)
    assert [run["config"]["trees"] for run in said] == [100, 1, 2]  # in the order of their time


@pytest.fixture(scope="module")
def tracked(churn: Churn) -> Path:
    """The Python of an environment with MLflow."""
    try:
        return kept_environment(*MLFLOW)
    except AssertionError as error:
        pytest.skip(f"MLflow cannot be installed here: {str(error).strip().splitlines()[-1]}")


@pytest.fixture
def server(tracked: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a tracking server that keeps runs in SQLite."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    store = f"sqlite:///{tmp_path / 'runs.db'}"
    command = [tracked, "-m", "mlflow", "server", "--backend-store-uri", store, "--workers", "1"]
    place = ["--host", "127.0.0.1", "--port", port, "--default-artifact-root", tmp_path]
    env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (
        (tmp_path / "server.log").open("w") as log,
        subprocess.Popen(
            [str(word) for word in [*command, *place]],
            cwd=tmp_path,
            env=env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):

        def is_up() -> bool:
            assert process.poll() is None, (tmp_path / "server.log").read_text()
            try:
                return bool(urllib.request.urlopen(f"{address}/health", timeout=5).status == 200)
            except OSError:
                return False

        try:
            until(is_up, 180)
            yield address
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 9)


def test_a_run_is_sent_to_mlflow(
    churn: Churn, trained: tuple[Path, list[str]], tracked: Path, server: str, tmp_path: Path
) -> None:
    root = tmp_path / "churn"
    shutil.copytree(trained[0], root)
    path = os.pathsep.join([str(root / "src"), str(packages(churn.python)), str(packages(tracked))])
    env = {"PYTHONPATH": path, "MLFLOW_TRACKING_URI": server}
    words = ["-m", "churn", "train", "--set", "trees=5", "--set", "tracking=mlflow"]
    said = run(churn.python, *words, cwd=root, env=env).stdout
    assert f"The run is at {server}." in said
    found = mlflow(server, "runs/search", {"experiment_ids": ["1"]})["runs"]
    assert len(found) == 1
    sent = found[0]["data"]
    recorded = lines(root)[-1]
    values = {pair["key"]: pair["value"] for pair in sent["metrics"]}
    assert values["accuracy"] == pytest.approx(recorded["metrics"]["accuracy"])
    assert {pair["key"]: pair["value"] for pair in sent["params"]}["trees"] == "5"
    tags = {pair["key"]: pair["value"] for pair in sent["tags"]}
    assert tags["commit"] == recorded["commit"]
    assert tags["data.data/raw/penguins.csv"] == recorded["data"]["data/raw/penguins.csv"]
    assert (
        mlflow(server, "experiments/get", {}, "?experiment_id=1")["experiment"]["name"] == "churn"
    )

    # A server that is down costs the message and no model.
    env["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"
    done = run(churn.python, *words, cwd=root, env=env)
    assert "http://127.0.0.1:9 did not take the run" in done.stderr
    assert "runs --last 1 --send" in done.stderr
    assert len(lines(root)) == len(trained[1]) + 3
    env["MLFLOW_TRACKING_URI"] = server
    run(churn.python, "-m", "churn", "runs", "--last", "1", "--send", cwd=root, env=env)
    assert len(mlflow(server, "runs/search", {"experiment_ids": ["1"]})["runs"]) == 2


def mlflow(server: str, call: str, body: dict[str, Any], query: str = "") -> Any:
    """What MLflow answers to a call of its API."""
    request = urllib.request.Request(
        f"{server}/api/2.0/mlflow/{call}{query}",
        data=json.dumps(body).encode() if body else None,
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)
