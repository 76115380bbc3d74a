"""The page about a saved model says what the service would answer, and where the model is wrong."""

from __future__ import annotations

import hashlib
import html
import json
import math
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import Churn, Once, kept_environment, new_environment, packages, poetry, run
from playwright.sync_api import Page
from serving import service
from test_page import BROWSER, blank, browser, shoot  # noqa: F401

from poetry_ml_plugin.project import libraries
from poetry_ml_plugin.project.names import Names
from poetry_ml_plugin.template import find, render, scaffold

WEAK = "Torgersen"  # the island whose penguins nobody can tell apart here
HELD_OUT = """
import json
from churn import manifest, data
from churn.models import train
from churn.models.schema import Row
import msgspec
settings = msgspec.convert(manifest.read().run["config"], train.TrainConfig)
_, rows = train.split(settings)
print(msgspec.json.encode({"rows": rows.rows(Row), "truth": rows.target.tolist()}).decode())
"""


@dataclass(frozen=True)
class Judged:
    """A project with a weak slice, trained and evaluated, and its page."""

    root: Path
    python: Path
    said: str
    page: str

    def table(self, part: str) -> list[list[str]]:
        """The cells of the table under a heading of the page."""
        text = self.page.partition(f'<h2 id="{part}">')[2].partition("</table>")[0]
        rows = re.findall(r"<tr.*?</tr>", text, re.DOTALL)
        cells = (re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows)
        return [[html.unescape(cell) for cell in row] for row in cells]


@pytest.fixture(scope="session")
def reporting(churn: Churn, once: Once) -> Path:
    """The Python of an environment with the project's libraries and those of the report."""

    def make(folder: Path) -> dict[str, str]:
        kept = kept_environment(*libraries.LIBRARIES["report"].requirements, beside=churn)
        python = new_environment(folder, "--without-pip")
        packages(python, "kept.pth").write_text(f"{packages(kept)}\n{packages(churn.python)}\n")
        return {"python": str(python)}

    try:
        return Path(once("reporting", make)["python"])
    except AssertionError as error:
        pytest.skip(f"skore cannot be installed here: {str(error).strip().splitlines()[-1]}")


@pytest.fixture(scope="session")
def judged(churn: Churn, reporting: Path, once: Once) -> Judged:
    """Made once: read it."""

    def make(folder: Path) -> dict[str, str]:
        root = folder / "churn"
        shutil.copytree(churn.root, root, ignore=shutil.ignore_patterns("dist"))
        plant(root)
        verb = partial(
            run, reporting, "-m", "churn", cwd=root, env={"PYTHONPATH": str(root / "src")}
        )
        verb("train")
        return {"root": str(root), "said": verb("evaluate").stdout}

    made = once("judged", make)
    root = Path(made["root"])
    return Judged(root, reporting, made["said"], (root / "reports/index.html").read_text())


def plant(root: Path) -> None:
    """Give the penguins of one island a species by chance, and keep the sex of all of them private."""
    path = root / "data/raw/penguins.csv"
    header, *rows = path.read_text().splitlines()
    species = header.split(",").index("species")
    for number, row in enumerate(rows):
        cells = row.split(",")
        if WEAK in cells:
            chance = hashlib.sha256(row.encode()).digest()[0] % 3
            cells[species] = ("Adelie", "Chinstrap", "Gentoo")[chance]
        rows[number] = ",".join(cells)
    path.write_text("\n".join([header, *rows, ""]))
    schema = root / "src/churn/models/schema.py"
    old = 'sex: Literal["female", "male"] | None'
    new = 'sex: Annotated[Literal["female", "male"] | None, Meta(extra={"private": True})]'
    assert old in schema.read_text()
    schema.write_text(schema.read_text().replace(old, new))


@pytest.fixture(scope="session")
def answers(judged: Judged) -> list[dict[str, Any]]:
    """The held-out rows, each with its truth and with what the service answers over HTTP."""
    env = {"PYTHONPATH": str(judged.root / "src")}
    known = json.loads(run(judged.python, "-c", HELD_OUT, cwd=judged.root, env=env).stdout)
    command = [judged.python, "-m", "churn", "serve", "--port", "0"]
    with service(command, judged.root, env) as running:
        status, answer = running.post("/predict", json.dumps({"data": known["rows"]}).encode())
    assert status == 200
    given = zip(known["rows"], known["truth"], answer["predictions"], strict=True)
    return [{"row": row, "truth": truth, **predicted} for row, truth, predicted in given]


def wrong(answers: list[dict[str, Any]]) -> float:
    found = [answer["species"] != answer["truth"] for answer in answers]
    return found.count(True) / len(found)


def test_its_numbers_are_those_of_the_answers_of_the_service(
    judged: Judged, answers: list[dict[str, Any]]
) -> None:
    now = {row[0]: row[1] for row in judged.table("metrics")[1:]}
    assert now["accuracy"] == f"{1 - wrong(answers):.4g}"
    losses = [-math.log(max(each["probabilities"][each["truth"]], 1e-15)) for each in answers]
    assert float(now["log_loss"]) == pytest.approx(sum(losses) / len(losses), rel=1e-3)
    assert f"accuracy {now['accuracy']}, " in judged.said
    header, *found = judged.table("slices")
    for name, rows, share, *_ in found:
        field, _, value = name.partition(": ")
        part = [
            each for each in answers if {**each["row"], "species": each["truth"]}[field] == value
        ]
        if part:  # and not a quarter of the numbers
            assert (int(rows), share) == (len(part), f"{wrong(part):.4g}"), name
    assert header[:4] == ["", "rows", "wrong", "accuracy"]


def test_the_weak_slice_comes_first(judged: Judged) -> None:
    assert judged.table("slices")[1][0] == f"island: {WEAK}"
    assert f"The weakest is <b>island: {WEAK}</b>" in judged.page


def test_the_surest_of_the_wrong_answers_come_first(
    judged: Judged, answers: list[dict[str, Any]]
) -> None:
    mistakes = [each for each in answers if each["species"] != each["truth"]]
    mistakes.sort(key=lambda each: each["probabilities"][each["truth"]])
    header, *rows = judged.table("mistakes")
    assert header[:3] == ["", "species", "predicted"]
    assert len(rows) == min(len(mistakes), 20)
    assert rows[0][1:3] == [mistakes[0]["truth"], mistakes[0]["species"]]
    lines = (judged.root / "data/raw/penguins.csv").read_text().splitlines()
    for line, truth, *_ in rows:
        assert truth in lines[int(line) - 1]  # where to look at it


def test_what_is_private_is_not_on_the_page(judged: Judged) -> None:
    assert "***" in judged.page
    assert not re.search(r"\b(fe)?male\b", judged.page)


def test_it_names_other_runs_and_naive_predictions(judged: Judged) -> None:
    assert judged.table("metrics")[0] == ["", "now", "run before", "last commit", "naive"]
    accuracy = next(row for row in judged.table("metrics") if row[0] == "accuracy")
    assert float(accuracy[1]) > float(accuracy[4])
    figures = {path.name for path in (judged.root / "reports/figures").glob("*.png")}
    wanted = {"ROC-curve", "calibration", "confusion-matrix", "importance", "precision-and-recall"}
    assert {f"{name}.png" for name in wanted} <= figures
    assert re.search(r"takes [\d.]+ ms for 1 row, [\d.]+ ms for \d+ rows", judged.page)


@pytest.mark.skipif(BROWSER is None, reason="The page needs a browser, and none is on PATH.")
def test_a_browser_shows_it_and_asks_for_nothing_else(
    judged: Judged,
    blank: Page,  # noqa: F811
    shoot: Callable[[Page, str], None],  # noqa: F811
) -> None:
    asked: list[str] = []
    blank.on("request", lambda request: asked.append(request.url))
    address = (judged.root / "reports/index.html").as_uri()
    blank.goto(address)
    for heading in ("Metrics", "Slices", "Figures", "Worst mistakes", "Held-out rows"):
        assert blank.get_by_role("heading", name=heading, exact=True).is_visible()
    assert blank.get_by_role("img", name="confusion matrix").is_visible()
    widths = blank.locator("figure img").evaluate_all("all => all.map(one => one.naturalWidth)")
    assert len(widths) == 5 and min(widths) > 200
    assert blank.get_by_text("86 rows", exact=False).first.is_visible()  # the table of the data
    assert [url for url in asked if not url.startswith("data:")] == [address]
    shoot(blank, "report")


def test_without_its_libraries_the_metrics_are_all_that_is_said(churn: Churn, copy: Path) -> None:
    said = churn.verb("evaluate", cwd=copy).stdout.splitlines()
    assert said[0].startswith("accuracy 0.9")
    assert said[-1].endswith("Run: poetry ml add report")
    assert not (copy / "reports/index.html").exists()
    assert not (copy / "MODEL_CARD.md").exists()


@pytest.mark.parametrize("template", ["regression", "text", "image", "plain"])
def test_every_kind_of_model_gets_a_page(reporting: Path, tmp_path: Path, template: str) -> None:
    root = tmp_path / "churn"
    source = find.get(template, tmp_path, tmp_path)
    scaffold.write(render.rename(source, Names("churn", "churn")), root)
    verb = partial(run, reporting, "-m", "churn", cwd=root, env={"PYTHONPATH": str(root / "src")})
    verb("train")
    said = verb("evaluate").stdout
    assert said.endswith("The page is reports/index.html.\n")
    page = (root / "reports/index.html").read_text()
    assert "There is no " not in page
    parts = set(re.findall(r'<h2 id="(\w+)"', page))
    if template == "plain":
        assert parts == {"metrics"}
        assert "The training holds no rows out" in page
        return
    assert parts == {"metrics", "slices", "figures", "mistakes", "data"}
    titles = set(re.findall(r'<img alt="([^"]*)"', page))
    special = {
        "regression": {"residuals"},
        "text": {"confusion matrix", "threshold of positive"},
        "image": {"confusion matrix", "calibration"},
    }
    assert special[template] <= titles


def test_the_card_keeps_every_word_and_renews_the_facts(judged: Judged, tmp_path: Path) -> None:
    root = tmp_path / "churn"
    shutil.copytree(judged.root, root)
    path = root / "MODEL_CARD.md"
    card = path.read_text()
    assert f"| island: {WEAK} |" in card
    own = "Penguins of the Palmer islands; never for eggs."
    intended = re.search(r"## Intended use\n\n(Say here .*)\n", card)
    assert intended
    edited = card.replace(intended[1], own).replace("---\n", "---\nlicense: cc0-1.0\n", 1)
    path.write_text(edited + "\n## Thanks\n\nTo all penguins.\n")
    env = {"PYTHONPATH": str(root / "src")}
    run(judged.python, "-m", "churn", "train", "--set", "trees=2", cwd=root, env=env)
    renewed = path.read_text()
    metrics = json.loads((root / "reports/metrics.json").read_text())
    assert f"| accuracy | {metrics['accuracy']:.4g} |" in renewed
    assert f"value: {metrics['accuracy']}" in renewed
    assert "license: cc0-1.0" in renewed
    assert own in renewed and renewed.endswith("## Thanks\n\nTo all penguins.\n")
    assert "Not measured since the training" in renewed
    said = poetry("ml", "check", cwd=root, code=0).stdout
    assert "MODEL_CARD.md says nothing yet under Data, Limits" in " ".join(said.split())


def test_a_card_that_cannot_be_read_is_left_as_it_is(judged: Judged, tmp_path: Path) -> None:
    root = tmp_path / "churn"
    shutil.copytree(judged.root, root)
    (root / "MODEL_CARD.md").write_text("---\nlicense: [\n---\nMine.\n")
    env = {"PYTHONPATH": str(root / "src")}
    said = run(judged.python, "-m", "churn", "train", "--set", "trees=2", cwd=root, env=env).stdout
    assert "MODEL_CARD.md was left as it is: its metadata cannot be read" in said
    assert (root / "MODEL_CARD.md").read_text() == "---\nlicense: [\n---\nMine.\n"
