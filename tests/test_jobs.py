"""Real jobs, each from what `poetry ml new` writes to a service: only data.py, models/ and settings change.

A job is a folder of jobs/ with the files that a data scientist would write, and job.py, which makes the
data and says what the fitted estimator itself predicts.
"""

from __future__ import annotations

import ast
import csv
import difflib
import email
import json
import math
import re
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pytest
import tomlkit
from conftest import (
    INSTALL,
    REPOSITORY,
    Churn,
    Once,
    kept_environment,
    new_environment,
    packages,
    run,
)
from poetry.core.factory import Factory
from poetry.core.masonry.builders.wheel import WheelBuilder
from serving import Service, service

from poetry_ml_plugin.project.names import Names
from poetry_ml_plugin.template import find, render, scaffold

JOBS = REPOSITORY / "tests/jobs"
TABULAR = (
    "diabetes",
    "california",
    "lightgbm_dates",
    "xgboost_dates",
    "own_transformer",
    "two_targets",
    "kmeans",
    "isolation_forest",
    "vector",
    "untyped",
    "renamed",
    "boolean",
)
OTHERS = ("torch_onnx", "smoother")
LIBRARIES = ("lightgbm", "onnxmltools", "pyarrow", "xgboost-cpu")
TORCH = ("torch==2.13.0+cpu", "onnxscript")  # the build without CUDA, where an index offers it
INDEPENDENT = {"smoother": False, "untyped": None}  # of a row's prediction from other rows
MOST_FILES, MOST_LINES = 2, 60  # that a tabular job may change

KINDS = {
    "json": "application/json",
    "jsonl": "application/jsonlines",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}


class Change(NamedTuple):
    """What a job changes in what was rendered."""

    files: int  # of Python
    lines: int  # added, taken away or replaced, those of the settings among them


@dataclass(frozen=True)
class Job:
    """A job, and the words in its job.py."""

    name: str

    @property
    def folder(self) -> Path:
        return JOBS / self.name

    def said(self, word: str, default: Any) -> Any:
        for node in ast.parse((self.folder / "job.py").read_text()).body:
            target = node.target if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [None])[0]  # fmt: skip
            if isinstance(target, ast.Name) and target.id == word:
                return ast.literal_eval(node.value)  # type: ignore[attr-defined]
        return default

    @cache  # noqa: B019
    def rendered(self) -> dict[PurePosixPath, str]:
        """The text files of a new project."""
        template = find.get(self.said("TEMPLATE", "project"), Path.cwd(), Path.cwd())
        names = Names(self.name.replace("_", "-"), self.name)
        files = render.plan(names, "3.11", None, template)
        return {path: file.content.decode() for path, file in files.items() if _is_text(path)}

    def written(self) -> dict[PurePosixPath, str]:
        """The files that the job changes, and the settings."""
        package = PurePosixPath("src", self.name)
        files = {
            package / path.relative_to(self.folder).as_posix(): path.read_text()
            for path in sorted(self.folder.rglob("*.py"))
            if path.name != "job.py"
        }
        settings = PurePosixPath("configs/train.yaml")
        text = self.rendered()[settings]
        for key, value in self.said("SETTINGS", {}).items():
            text = re.sub(rf"(?m)^{key}: \S+", f"{key}: {value}", text)
        return files | {settings: text}

    def change(self) -> Change:
        """Count the files of Python and the lines that the job changes."""
        before, after = self.rendered(), self.written()
        counts = {
            path: _lines(before.get(path, ""), text)
            for path, text in after.items()
            if before.get(path) != text
        }
        return Change(sum(path.suffix == ".py" for path in counts), sum(counts.values()))

    def make(self, root: Path, versions: Callable[[str], str]) -> None:
        """Write the project with the job's files in it, and what `poetry add` would write."""
        template = find.get(self.said("TEMPLATE", "project"), root.parent, root)
        names = Names(self.name.replace("_", "-"), self.name)
        scaffold.write(render.plan(names, "3.11", None, template), root)
        for path, text in self.written().items():
            (root / path).write_text(text)
        project = root / "pyproject.toml"
        document = tomlkit.parse(project.read_text())
        for needed in self.said("NEEDS", ()):
            document["project"]["dependencies"].append(f"{needed} (=={versions(needed)})")
        project.write_text(tomlkit.dumps(document))


def _is_text(path: PurePosixPath) -> bool:
    return path.suffix in (".py", ".yaml", ".toml", ".md")


def _lines(before: str, after: str) -> int:
    """How many lines differ: a line in the place of another is one."""
    matcher = difflib.SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    return sum(max(b - a, d - c) for kind, a, b, c, d in matcher.get_opcodes() if kind != "equal")


@pytest.mark.parametrize("name", TABULAR)
def test_a_tabular_job_changes_little(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    files, lines = Job(name).change()
    with capsys.disabled():
        print(f"\n{name}: {files} files, {lines} lines changed")
    assert files <= MOST_FILES
    assert lines <= MOST_LINES


@pytest.fixture(scope="session")
def libraries(churn: Churn, once: Once) -> Path:
    """The Python of the shared project's environment with what all jobs need beside it."""
    return _beside(churn, once, LIBRARIES)


@pytest.fixture(scope="session")
def torch(churn: Churn, once: Once) -> Path:
    """The same with PyTorch."""
    return _beside(churn, once, LIBRARIES, TORCH)


def _beside(churn: Churn, once: Once, *wanted: tuple[str, ...]) -> Path:
    def make(folder: Path) -> dict[str, str]:
        kept = [packages(kept_environment(*names, beside=churn)) for names in wanted]
        python = new_environment(folder, "--without-pip")
        others = [*kept, packages(churn.python)]
        packages(python, "kept.pth").write_text("".join(f"{path}\n" for path in others))
        return {"python": str(python)}

    try:
        return Path(once(f"jobs-{len(wanted)}", make)["python"])
    except AssertionError as error:
        said = str(error).strip().splitlines()[-1]
        pytest.skip(f"{', '.join(wanted[-1])} cannot be installed here: {said}")


@dataclass(frozen=True)
class Story:
    """A job that was trained, tested, evaluated, and predicted from files."""

    job: Job
    root: Path
    out: Path

    @property
    def found(self) -> Any:
        return json.loads((self.out / "found.json").read_text())

    def rows(self, kind: str) -> bytes:
        return (self.out / f"rows.{kind}").read_bytes()

    def answers(self, kind: str) -> bytes:
        return (self.out / f"answers.{kind}").read_bytes()

    @property
    def manifest(self) -> Any:
        folder = self.root / "src" / self.job.name / "artifacts"
        return json.loads((folder / "manifest.json").read_text())


def followed(job: Job, python: Path, folder: Path) -> Story:
    """Train, test, evaluate and predict as `poetry ml new` has laid it out."""
    story = Story(job, folder / job.name, folder / "found")
    story.out.mkdir()
    where = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    job.make(story.root, lambda name: run(python, "-c", where, name, cwd=folder).stdout.strip())
    command = (python, JOBS / "driver.py", job.name, story.root, job.folder, story.out)
    run(*command, cwd=folder, env={"OMP_NUM_THREADS": "1"})
    return story


@pytest.mark.parametrize("name", [*TABULAR, *OTHERS])
def test_a_job_goes_all_the_way(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    job = Job(name)
    python = request.getfixturevalue("torch" if name == "torch_onnx" else "libraries")
    story = followed(job, python, tmp_path)
    assert story.found["tests"].get("failed", 0) == 0
    assert story.found["tests"]["passed"] >= 14
    assert "held-out rows" in story.found["evaluated"] or name == "untyped"
    answers = json.loads(story.answers("json"))
    assert near(answers, story.found["expected"]), first_difference(
        answers, story.found["expected"]
    )
    hold_files_to(answers, story)
    assert story.manifest["run"]["independent"] is INDEPENDENT.get(name, True)
    with installed(story, tmp_path) as served:
        hold_service_to(answers, story, served)
        if name == "smoother":
            hold_requests_apart(story, served)


def near(got: Any, expected: Any) -> bool:
    """Whether predictions are the same, but for the precision of float32."""
    if isinstance(expected, float | int) and not isinstance(expected, bool):
        same_kind = isinstance(got, float | int) and not isinstance(got, bool)
        return same_kind and math.isclose(got, expected, rel_tol=1e-5, abs_tol=1e-5)
    if isinstance(expected, dict):
        pairs = ((got.get(key), value) for key, value in expected.items())
        return list(got) == list(expected) and all(near(*pair) for pair in pairs)
    if isinstance(expected, list):
        return len(got) == len(expected) and all(map(near, got, expected))
    return bool(got == expected)


def first_difference(got: list[Any], expected: list[Any]) -> str:
    pairs = zip(got, expected, strict=False)
    return next((f"row {n}: {pair}" for n, pair in enumerate(pairs) if not near(*pair)), "length")


def hold_files_to(answers: list[Any], story: Story) -> None:
    """JSON lines, CSV and Parquet say what JSON says, bit by bit."""
    lines = story.answers("jsonl").decode().splitlines()
    assert [json.loads(line) for line in lines] == answers
    given = list(csv.reader(story.rows("csv").decode().splitlines()))
    scored = list(csv.reader(story.answers("csv").decode().splitlines()))
    width = len(given[0])
    assert [row[:width] for row in scored] == given
    assert [row[width:] for row in scored[1:]] == [list(_cells(answer)) for answer in answers]
    assert scored[0][width:] == list(_flat("prediction", answers[0]))
    assert story.found["parquet"] == [_flat("prediction", answer) for answer in answers]


def _cells(answer: Any) -> Iterator[str]:
    for value in _flat("prediction", answer).values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield json.dumps(value, separators=(",", ":"))
        else:
            yield "" if value is None else str(value)


def _flat(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    return {key: v for part in value for key, v in _flat(f"{name}.{part}", value[part]).items()}


@cache
def clean_environment(*requirements: str) -> Path:
    """An environment with the runtime dependencies of a wheel, and with nothing else."""
    return kept_environment(*requirements)


@contextmanager
def installed(story: Story, folder: Path) -> Iterator[Service]:
    """The service of a job's wheel, in an environment that has only its runtime dependencies."""
    WheelBuilder(Factory().create_poetry(story.root)).build(folder)
    (wheel,) = folder.glob("*.whl")
    python = clean_environment(*required(wheel))
    site = folder / "site"
    run(python, *INSTALL, "--no-deps", "--target", site, wheel, cwd=folder)
    env = {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    command = (python, "-m", story.job.name)
    answer = run(*command, "predict", story.out / "rows.csv", cwd=folder, env=env)
    assert answer.stdout.encode() == story.answers("csv")
    # A library that has threads must not be loaded before the fork: with two workers that would show.
    workers = "2" if story.job.said("NEEDS", ()) else "1"
    with service((*command, "serve", "--port", "0", "--workers", workers), folder, env) as served:
        yield served


def required(wheel: Path) -> list[str]:
    """The runtime dependencies of a wheel, without those of extras."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        found = email.message_from_bytes(archive.read(name)).get_all("Requires-Dist", [])
    return sorted(str(each) for each in found if "extra ==" not in str(each))


def hold_service_to(answers: list[Any], story: Story, served: Service) -> None:
    """All addresses say what the files said, bit by bit."""
    rows = json.loads(story.rows("json"))
    body = json.dumps({"data": rows}).encode()
    assert served.post("/predict", body) == (200, {"predictions": answers})
    assert served.post("/invocations", story.rows("json")) == (200, answers)
    for kind in ("jsonl", "csv"):
        _, _, body = served.request("POST", "/invocations", story.rows(kind), Content_Type=KINDS[kind])  # fmt: skip
        assert body == story.answers(kind), kind
    model = story.job.name.replace("_", "-")
    about = served.get(f"/v2/models/{model}")
    said = {False: "false", None: "unknown"}.get(INDEPENDENT.get(story.job.name, True), "true")
    assert about["properties"] == {"independent_rows": said}
    kinds = {each["name"]: each["datatype"] for each in about["inputs"]}
    inputs = [
        {
            "name": key,
            "datatype": kinds.get(key, "FP64"),
            "shape": [len(rows)],
            "data": [row.get(key) for row in rows],
        }
        for key in rows[0]
    ]
    status, answer = served.post(f"/v2/models/{model}/infer", json.dumps({"inputs": inputs}).encode())  # fmt: skip
    assert status == 200, answer
    assert from_tensors(answer["outputs"]) == answers


def hold_requests_apart(story: Story, served: Service) -> None:
    """Requests that come at the same time are answered as each of them is alone."""
    rows = json.loads(story.rows("json"))
    bodies = [json.dumps(rows[n : n + 2 + n % 5]).encode() for n in range(30)]
    alone = [served.post("/invocations", body) for body in bodies]
    with ThreadPoolExecutor(8) as threads:
        for _ in range(5):
            assert list(threads.map(partial(served.post, "/invocations"), bodies)) == alone


def from_tensors(outputs: list[Any]) -> list[Any]:
    """The answers that tensors hold."""
    columns = {output["name"]: _column(output) for output in outputs}
    if list(columns) == ["output"]:
        return columns["output"]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _column(output: Any) -> list[Any]:
    data, shape = output["data"], output["shape"]
    if len(shape) == 1:
        return list(data)
    rows = [data[n : n + shape[1]] for n in range(0, len(data), shape[1])]
    if labels := output.get("parameters", {}).get("labels"):
        return [dict(zip(labels.split(","), row, strict=True)) for row in rows]
    return rows
