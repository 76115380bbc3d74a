"""Logged predictions beside those of the training: what shifted is found, and nothing else is."""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Churn, poetry, run
from serving import Service, service, until

from poetry_ml_plugin.drift import compare, logs, statistics
from poetry_ml_plugin.project import pyproject

SCHEMA = "src/churn/models/schema.py"
Rows = list[tuple[dict[str, Any], Any]]
NUMBERS = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")


def penguins(root: Path) -> list[dict[str, Any]]:
    """The sample's rows as JSON has them."""
    found = []
    with (root / "data/raw/penguins.csv").open() as file:
        for line in csv.DictReader(file):
            row: dict[str, Any] = {name: line[name] or None for name in ("island", "sex", *NUMBERS)}
            found.append(row | {name: float(row[name]) for name in NUMBERS if row[name]})
    return found


@pytest.fixture(scope="module")
def predicted(churn: Churn) -> Rows:
    """All rows of the sample with the model's answers."""
    rows = penguins(churn.root)
    said = churn.verb("predict", "-", text=json.dumps(rows)).stdout
    return list(zip(rows, json.loads(said), strict=True))


@pytest.fixture(scope="module")
def then(churn: Churn) -> compare.Reference:
    return compare.reference(pyproject.find(churn.root))


@pytest.fixture(scope="module")
def logged(
    churn: Churn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Service, Path]]:
    """The shared project, which logs every row that it predicts; sex is private in it."""
    root = tmp_path_factory.mktemp("logged") / "churn"
    shutil.copytree(churn.root, root, ignore=shutil.ignore_patterns(".git", "dist"))
    text = (root / SCHEMA).read_text()
    private = (
        'sex: Annotated[Literal["female", "male"] | None, Meta(extra={"private": True})] = None'
    )
    (root / SCHEMA).write_text(
        text.replace('sex: Literal["female", "male"] | None = None', private)
    )
    command = [
        *(churn.python, "-m", "churn", "serve", "--port", "0", "--workers", "2"),
        *("--set", "log_predictions=logs", "--set", "log_predictions_share=1"),
    ]
    with service(command, root, {"PYTHONPATH": str(root / "src")}) as running:
        yield running, root


def alarms(then: compare.Reference, rows: Rows) -> dict[str, tuple[str, ...]]:
    return {shift.column: shift.alarms for shift in compare.compare(then, rows) if shift.alarms}


def test_20_resamples_of_the_same_rows_raise_one_alarm_at_most(
    then: compare.Reference, predicted: Rows
) -> None:
    dice = random.Random(11)
    found = [alarms(then, dice.choices(predicted, k=300)) for _ in range(20)]
    assert sum(map(bool, found)) <= 1, found


def test_each_kind_of_shift_is_found_in_its_column(
    then: compare.Reference, predicted: Rows
) -> None:
    heavier = [
        (row | {"body_mass_g": (row["body_mass_g"] or 4000) * 1.2}, a) for row, a in predicted
    ]
    assert list(alarms(then, heavier)) == ["body_mass_g"]
    gone = [
        (row | {"sex": None if n % 3 == 0 else row["sex"]}, a)
        for n, (row, a) in enumerate(predicted)
    ]
    assert "are missing" in alarms(then, gone)["sex"][0]
    moved = [
        (row | {"island": "Anvers"} if n % 9 == 0 else row, a)
        for n, (row, a) in enumerate(predicted)
    ]
    assert any("like Anvers" in said for said in alarms(then, moved)["island"])
    gentoo = [(row, answer | {"species": "Gentoo"}) for row, answer in predicted]
    assert list(alarms(then, gentoo)) == ["prediction"]


def test_a_service_logs_what_it_predicts_and_the_log_is_compared(
    logged: tuple[Service, Path],
) -> None:
    running, root = logged
    rows = [row | {"body_mass_g": (row["body_mass_g"] or 4000) * 1.2} for row in penguins(root)]
    for start in range(0, len(rows), 10):
        body = json.dumps({"data": rows[start : start + 10]}).encode()
        assert running.post("/predict", body)[0] == 200
    folder = root / "logs"

    def lines() -> list[dict[str, Any]]:
        found = [path.read_text().splitlines() for path in folder.glob("*.jsonl")]
        return [json.loads(line) for each in found for line in each]

    until(lambda: len(lines()) == len(rows))
    first = lines()[0]
    assert set(first) == {"time", "id", "version", "trained", "row", "answer"}
    assert "sex" not in first["row"]
    assert set(first["row"]) == {"island", *NUMBERS}
    assert first["answer"]["species"] in ("Adelie", "Chinstrap", "Gentoo")
    done = poetry("ml", "drift", "logs", cwd=root, code=3)
    (line,) = [line for line in done.stdout.splitlines() if line.strip().startswith("body_mass_g")]
    assert "the shares moved: PSI" in line
    page = (root / "reports/drift.html").read_text()
    assert "body_mass_g" in page
    assert "http" not in page
    metrics = running.request("GET", "/metrics")[2].decode()
    assert 'model_input_values_total{column="body_mass_g",is="out_of_range"}' in metrics
    assert 'model_input_values_total{column="bill_length_mm",is="missing"}' in metrics


def test_lines_that_are_broken_or_of_another_model_are_told(
    churn: Churn, copy: Path, predicted: Rows, then: compare.Reference
) -> None:
    good = [{"row": row, "answer": answer, "trained": then.trained} for row, answer in predicted]
    other = [{**line, "trained": "2020-01-01T00:00:00Z"} for line in good[:7]]
    text = "".join(json.dumps(line) + "\n" for line in [*good, *other])
    (copy / "mixed.jsonl").write_text(text + '{"row": {"isl\n')
    done = poetry("ml", "drift", "mixed.jsonl", cwd=copy)
    assert "1 lines are no record of a prediction" in done.stderr
    assert "7 lines are of other models (trained 2020-01-01T00:00:00Z)" in done.stderr
    (copy / "old.jsonl").write_text("".join(json.dumps(line) + "\n" for line in other))
    refused = poetry("ml", "drift", "old.jsonl", cwd=copy, code=1)
    assert "all lines are of another model" in refused.stderr
    (copy / "broken.jsonl").write_text("nothing\n")
    refused = poetry("ml", "drift", "broken.jsonl", "none", cwd=copy, code=1)
    assert "none does not exist. Give the folder that log_predictions names" in refused.stderr
    assert "no line is a record" in poetry("ml", "drift", "broken.jsonl", cwd=copy, code=1).stderr


def test_a_full_file_is_renamed_and_the_one_before_it_is_dropped(
    churn: Churn, tmp_path: Path
) -> None:
    code = """
import sys
from pathlib import Path
from churn._runtime import output
output.FULL = 1_000
log = output.Bounded(Path(sys.argv[1], "predictions-0.jsonl"), print)
for n in range(60):
    for m in range(5):
        log.write(b"%03d " % n * 20)
    log.close(5)
"""
    run(churn.python, "-c", code, tmp_path, cwd=churn.root)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2
    assert all(0 < path.stat().st_size <= 1_000 for path in files)
    assert b"059" in (tmp_path / "predictions-0.jsonl").read_bytes()


def test_the_test_knows_the_textbooks_values() -> None:
    for statistic, freedom, chance in ((3.841, 1, 0.05), (18.307, 10, 0.05), (23.209, 10, 0.01)):
        assert statistics.chi_squared_above(statistic, freedom) == pytest.approx(chance, rel=1e-3)
    assert statistics.chance([50, 50], [50, 50]) == 1
    assert statistics.chance([80, 20], [20, 80]) < 1e-9
    assert logs.Log().notes == []
