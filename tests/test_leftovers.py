"""What is left of a template's sample is named once the project has other data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import poetry
from test_checks import replace

from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.project.names import Names
from poetry_ml_plugin.template import find, leftovers, render, scaffold, update

SAMPLES = {"project": "penguins.csv", "text": "tweets.csv"}


def made(folder: Path, template: str = "project", description: str | None = None) -> Path:
    files = render.plan(
        Names("churn", "churn"), "3.11", description, find.get(template, folder, folder)
    )
    scaffold.write(update.remember(files), folder / "churn")
    return folder / "churn"


def remains(root: Path) -> list[str]:
    project = pyproject.read(root)
    assert project is not None
    return [left.message for left in leftovers.remains(project)]


def configure_another(root: Path, sample: str) -> None:
    (root / "data/raw/customers.csv").write_text("age,churned\n3,yes\n")
    replace(root, "configs/train.yaml", f"raw/{sample}", "raw/customers.csv")


def overwrite(root: Path, sample: str) -> None:
    (root / "data/raw" / sample).write_text("age,churned\n3,yes\n")


def remove(root: Path, sample: str) -> None:
    (root / "data/raw" / sample).unlink()


def train_on_another(root: Path, sample: str) -> None:
    """As where data.py reads a database."""
    manifest = {"artifacts": {}, "run": {"data": {"data/raw/customers.csv": "0" * 64}}}
    (root / "src/churn/artifacts").mkdir()
    (root / "src/churn/artifacts/manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("template", list(find.SHIPPED))
def test_nothing_is_left_over_in_a_new_project(tmp_path: Path, template: str) -> None:
    assert remains(made(tmp_path, template)) == []


@pytest.mark.parametrize("template", list(SAMPLES))
@pytest.mark.parametrize(
    "change",
    [configure_another, overwrite, remove, train_on_another],
    ids=lambda change: change.__name__,
)
def test_what_the_template_wrote_is_named_once_the_data_is_another(
    tmp_path: Path, change: Callable[[Path, str], None], template: str
) -> None:
    root, sample = made(tmp_path, template), SAMPLES[template]
    change(root, sample)
    found = remains(root)
    is_left = change in (configure_another, train_on_another)
    assert any(f"data/raw/{sample} is the sample's" in message for message in found) == is_left
    assert any(message.startswith("pyproject.toml still has") for message in found)
    assert any(message.startswith("README.md still has") for message in found)
    assert "data/README.md still describes the sample's data" in found


def test_what_was_rewritten_is_not_named(tmp_path: Path) -> None:
    root = made(tmp_path, description="Predicts who leaves.")
    (root / "data/README.md").write_text("# Customers\n")
    configure_another(root, "penguins.csv")
    assert remains(root) == ["data/raw/penguins.csv is the sample's, and not read any more"]
    remove(root, "penguins.csv")
    assert remains(root) == []


def test_line_ends_make_no_other_data(tmp_path: Path) -> None:
    root = made(tmp_path)
    path = root / "data/raw/penguins.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert remains(root) == []


@pytest.mark.parametrize("base", [None, b"", b"broken"], ids=["none", "empty", "broken"])
def test_without_a_base_nothing_is_known(tmp_path: Path, base: bytes | None) -> None:
    root = made(tmp_path)
    configure_another(root, "penguins.csv")
    (root / update.BASE).unlink()
    if base is not None:
        (root / update.BASE).write_bytes(base)
    assert remains(root) == []


def test_check_names_the_leftovers_as_warnings(copy: Path) -> None:
    configure_another(copy, "penguins.csv")
    said = poetry("ml", "check", "--json", cwd=copy).stdout
    (found,) = [each for each in json.loads(said) if each["id"] == "sample"]
    assert found["status"] == "warning"
    assert [problem["severity"] for problem in found["problems"]] == ["warning"] * 4
    assert "git rm data/raw/penguins.csv" in found["problems"][-1]["hint"]
