"""A table of one's own becomes a project that predicts, serves and is packed, or nothing at all."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import REPOSITORY, Once, poetry, run

from poetry_ml_plugin.template import from_data

DOCS = REPOSITORY / "docs"
TABLE = DOCS / "tutorial" / "customers.csv"
PAGE = DOCS / "tutorial" / "table.md"


@pytest.fixture(scope="session")
def shop(once: Once) -> Path:
    """The project of the tutorial: read it, and make a copy to change it."""

    def make(folder: Path) -> dict[str, str]:
        (folder / "customers.csv").write_bytes(TABLE.read_bytes())
        (new, *_) = list(commands(PAGE.read_text(encoding="utf-8")))
        done = poetry(*new.removeprefix("poetry ").split(), cwd=folder)
        return {"said": done.stdout, "root": str(folder / "churn")}

    known = once("from-data", make)
    root = Path(known["root"])
    (root.parent / "said").write_text(known["said"])
    return root


def commands(text: str) -> Iterator[str]:
    """What is typed in a page, but for changes of the folder."""
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        typed = [line[2:] for line in block.splitlines() if line.startswith("$ ")]
        yield from (line for line in typed if not line.startswith("cd "))


def shown(text: str) -> Iterator[str]:
    """What a page shows of a command's output, without times, places and what is cut."""
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            if not re.match(r"\$ |Creating |  ✓ ", line) and line.strip():
                yield line.strip()


def test_the_tutorial_is_what_the_commands_say(shop: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    said = [(shop.parent / "said").read_text()]
    before = run("git", "status", "--porcelain", cwd=shop).stdout
    assert before == ""
    for command in list(commands(text))[1:]:
        if " train " not in command:  # which would make another model of the shared one
            said.append(poetry(*command.removeprefix("poetry ").split(), cwd=shop).stdout)
    known = {line.strip() for line in "".join(said).splitlines()}
    assert [line for line in shown(text) if line not in known] == []
    assert run("git", "status", "--porcelain", cwd=shop).stdout == ""


def test_the_schema_of_the_tutorial_is_the_one_that_is_written(shop: Path) -> None:
    (row,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert row in (shop / "src/churn/models/schema.py").read_text()


def test_the_project_passes_its_own_tests_and_linters(shop: Path) -> None:
    for words in (
        ("pytest", "-q", "-p", "no:cacheprovider"),
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
    ):
        poetry("run", *words, cwd=shop)


def test_the_project_speaks_of_its_own_data(shop: Path) -> None:
    readme = (shop / "README.md").read_text()
    assert (
        "`churned` (2 classes) is predicted from 5 of 7 columns of `customers.csv` (800 rows)."
        in readme
    )
    assert "| naive accuracy | 0.655 |" in readme
    (body,) = re.findall(r"-d '(.*)'\n", readme)
    predicted = poetry("ml", "predict", json.dumps(json.loads(body)["data"]), cwd=shop).stdout
    assert json.loads(predicted)[0]["churned"] in ("yes", "no")
    for path in run("git", "ls-files", cwd=shop).stdout.splitlines():
        if (
            not path.startswith((".poetry-ml", "src/churn/_runtime"))
            and (shop / path).suffix != ".lock"
        ):
            text = (shop / path).read_text(errors="replace").lower()
            assert "penguin" not in text, path
            assert "species" not in text, path


def test_no_row_of_the_data_is_in_git_or_in_the_wheel(shop: Path, tmp_path: Path) -> None:
    rows = [line.split(",", 1)[1] for line in TABLE.read_text().splitlines()[1:]]
    tracked = run("git", "ls-files", cwd=shop).stdout.splitlines()
    assert "data/raw/customers.csv" not in tracked
    poetry("build", "--format", "wheel", "--output", tmp_path, cwd=shop)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        texts = [archive.read(name).decode(errors="replace") for name in archive.namelist()]
    texts += [(shop / name).read_text(errors="replace") for name in tracked]
    assert not any(row in text for text in texts for row in rows)


def test_the_record_has_the_candidates_and_their_scores(shop: Path) -> None:
    manifest = json.loads((shop / "src/churn/artifacts/manifest.json").read_bytes())
    metrics = manifest["run"]["metrics"]
    assert metrics["estimator"] == "linear"
    assert metrics["cross_validation"].keys() == {"metric", "linear", "forest", "boosting"}
    assert manifest["artifacts"].keys() == {"decision.json", "model.onnx", "profile.json"}


def test_a_file_that_does_not_fit_is_told_by_what_differs(shop: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.csv"
    new.write_text(
        TABLE.read_text().replace("two years", "three years").replace("months", "Months")
    )
    said = poetry("ml", "schema", new, "--check", cwd=shop, code=1)
    assert 'the column "Months" is nearly "months"' in said.stdout
    new.write_text(TABLE.read_text().replace("two years", "three years"))
    said = poetry("ml", "schema", new, "--check", cwd=shop, code=1)
    assert '"three years" is not one of month-to-month, two years, one year' in said.stdout
    assert "new.csv does not fit the model: 1 problem." in said.stderr


def test_a_schema_that_was_edited_is_not_written_over(shop: Path) -> None:
    path = shop / "src/churn/models/schema.py"
    old = path.read_text()
    try:
        path.write_text(old.replace("1 to 72, median 36", "since the first contract"))
        words = ("ml", "schema", "data/raw/customers.csv", "--write")
        said = poetry(*words, cwd=shop, code=1)
        assert "src/churn/models/schema.py was edited" in said.stderr
        assert (
            '-    months: Annotated[int, Meta(description="since the first contract")]'
            in said.stdout
        )
        poetry(*words, "--force", cwd=shop)
        assert path.read_text() == old
    finally:
        path.write_text(old)


BAD = {
    "missing": (None, (), "customers.csv is missing."),
    "empty": ("", (), "customers.csv is empty."),
    "HTML": ("<html>", (), "customers.csv is HTML or XML, not a table."),
    "no target": ("a,b\n" + "1,2\n" * 20, (), "Say so with --target. It has: a, b."),
    "a near target": ("age,paid\n" + "1,2\n" * 20, ("--target", "Paide"), 'Did you mean "paid"?'),
    "one value": ("age,paid\n" + "1,2\n" * 20, ("--target", "paid"), "the target has one value"),
    "three rows": (
        "a,b\n1,2\n2,3\n3,4\n",
        ("--target", "b"),
        "has 3 rows, and at least 10 are needed",
    ),
    "doubled": ("a,a\n" + "1,2\n" * 20, ("--target", "a"), 'has the column "a" 2 times'),
    "ragged": (
        "a,b\n" + "1,2\n" * 9 + "1\n",
        ("--target", "b"),
        "customers.csv, line 11, has 1 cell",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_will_not_do_is_told_before_anything_is_made(name: str, tmp_path: Path) -> None:
    content, words, sentence = BAD[name]
    path = tmp_path / "customers.csv"
    if content is not None:
        path.write_text(content)
    done = poetry("ml", "new", "churn", "--data", path, *words, cwd=tmp_path, code=1)
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "churn").exists()


def test_a_table_that_will_not_do_in_the_end_leaves_nothing(tmp_path: Path) -> None:
    rows = "".join(f"{n if n != 30 else 'abc'},{'yes' if n % 3 else 'no'}\n" for n in range(60))
    (tmp_path / "t.csv").write_text(f"x,y\n{rows}")
    done = poetry("ml", "new", "churn", "--data", "t.csv", "--target", "y", cwd=tmp_path, code=1)
    assert 't.csv, line 32, x: "abc" is not a number, as the 59 others are.' in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("step", ["Lock the dependencies", "Infer the schema", "Train the model"])
def test_an_interrupted_project_leaves_nothing(step: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(TABLE.read_bytes())
    words = ["ml", "new", "churn", "--data", "t.csv", "--target", "churned"]
    with subprocess.Popen(
        [sys.executable, "-m", "poetry", *words],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip().startswith(step):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stdout.read()
    assert process.returncode != 0, rest
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"], rest


def test_without_installing_one_command_goes_on(tmp_path: Path) -> None:
    (tmp_path / "my table.csv").write_bytes(TABLE.read_bytes())
    words = ("--data", "my table.csv", "--target", "churned", "--no-install", "--commit-data")
    done = poetry("ml", "new", "churn", *words, cwd=tmp_path)
    assert "poetry ml schema 'data/raw/my table.csv' --target churned --train" in done.stdout
    root = tmp_path / "churn"
    assert not (root / "src/churn/models/schema.py").exists()
    assert "data/raw/my table.csv" in run("git", "ls-files", cwd=root).stdout


def test_ten_megabytes_are_not_committed(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "0.123456789,yes\n0.987654321,no\n" * 400_000)
    words = ("--data", path, "--target", "y", "--commit-data")
    done = poetry("ml", "new", "churn", *words, cwd=tmp_path, code=1)
    assert "git keeps no data above 10 MB" in done.stderr
    assert "dvc add, or git lfs track" in done.stderr


def test_a_table_goes_with_no_other_template(tmp_path: Path) -> None:
    words = ("--data", TABLE, "--target", "churned", "--template", "text")
    done = poetry("ml", "new", "churn", *words, cwd=tmp_path, code=1)
    assert "--data has a template of its own" in done.stderr
    done = poetry("ml", "new", "churn", "--target", "churned", cwd=tmp_path, code=1)
    assert "--target is about a table. Name the file, too: --data FILE" in done.stderr


def test_json_lines_have_their_keys_for_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": 1, "b": 2}\n' * 2_000 + '{"late": 2}\n')
    assert from_data.columns(path) == ["a", "b"]
    assert from_data.columns(path, "late") == ["a", "b", "late"]


PYPROJECT = """\
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.11,<3.15"
dependencies = []

[tool.poetry]
packages = [{ include = "shop", from = "src" }]

[build-system]
requires = ["poetry-core>=2"]
build-backend = "poetry.core.masonry.api"
"""


def test_a_project_that_is_there_gets_a_model_of_a_table_or_stays_as_it_was(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    (root / "src/shop").mkdir(parents=True)
    (root / "src/shop/__init__.py").write_text("")
    (root / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "bad.csv").write_text(
        "x,y\n" + "".join(f"{n if n != 30 else 'abc'},{n % 2}\n" for n in range(60))
    )
    words = ("ml", "init", "--yes", "--data")
    files = sorted(path.relative_to(root) for path in root.rglob("*"))
    done = poetry(*words, tmp_path / "bad.csv", "--target", "y", cwd=root, code=1)
    assert "The project is as it was." in done.stderr
    assert sorted(path.relative_to(root) for path in root.rglob("*")) == files
    assert (root / "pyproject.toml").read_text() == PYPROJECT

    done = poetry(*words, TABLE, "--target", "churned", cwd=root)
    assert "Left out: customer_id" in done.stdout
    predicted = json.loads(poetry("ml", "predict", "--example", cwd=root).stdout)
    assert predicted[0]["churned"] in ("yes", "no")
    done = poetry(*words, TABLE, "--target", "churned", cwd=root, code=1)
    assert "has a model already" in done.stderr


def typed(folder: Path, answers: list[tuple[str, str]], *words: str) -> tuple[int, str]:
    """Run a command in a terminal, type each answer after its question, and give exit code and screen."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.environ.pop("CI", None)  # which says that nobody looks
        os.execv(sys.executable, [sys.executable, "-m", "poetry", *words])
    screen = b""
    with os.fdopen(terminal, "r+b", buffering=0) as there:
        while True:
            try:
                screen += (read := there.read(4096))
            except OSError:  # how Linux tells the end of a terminal
                break
            if not read:
                break
            if answers and answers[0][0] in screen.decode(errors="replace"):
                there.write(f"{answers.pop(0)[1]}\n".encode())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), screen.decode()


def test_the_target_is_asked_for_at_a_terminal(tmp_path: Path) -> None:
    """By its number or its name, and again after a wrong answer; so is whether git keeps the table."""
    for name, answer in (("one", "7"), ("two", "churned")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "customers.csv").write_bytes(TABLE.read_bytes())
        answers = [
            ("number or name", "nothing"),
            ('no column "nothing"', answer),
            ("to git", "yes" if name == "one" else ""),
        ]
        code, screen = typed(
            folder, answers, "ml", "new", "churn", "--data", "customers.csv", "--no-install"
        )
        assert code == 0, screen
        assert "--target churned" in screen  # in the command that continues
        kept = run("git", "ls-files", "data/raw", cwd=folder / "churn").stdout
        assert ("customers.csv" in kept) == (name == "one")
