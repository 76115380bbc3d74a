"""An error in the user's code is shown as its author should see it; --traceback shows all."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Churn
from test_checks import replace

RAISES = {
    "model": ("src/churn/models/model.py", "    def predict(", ["predict", "--example"]),
    "train": ("src/churn/models/train.py", "def train(", ["train"]),
    "data": ("src/churn/data.py", "def read(", ["train"]),
}


def break_(root: Path, name: str, line: str) -> tuple[str, list[str]]:
    """Have the first statement of a function of the user's be another one."""
    path, start, words = RAISES[name]
    text = (root / path).read_text()
    at = text.index(start)
    quote = text.index('"""', text.index('"""', at) + 3) + 3 if '"""' in text[at:] else None
    body = text.index(":\n", text.index(")", at)) + 2
    indent = "        " if start.startswith(" ") else "    "
    place = (
        text.index("\n", quote) + 1 if quote and text[body:].lstrip().startswith('"""') else body
    )
    (root / path).write_text(f"{text[:place]}{indent}{line}\n{text[place:]}")
    return path, words


@pytest.mark.parametrize("name", RAISES)
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('raise RuntimeError("mine")', "RuntimeError: mine"),
        ('{}["absent"]', "KeyError: 'absent'"),
        ("1 / 0", "ZeroDivisionError"),
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
    ],
)
def test_the_users_frames_are_shown_and_no_others(
    churn: Churn, copy: Path, name: str, line: str, said: str
) -> None:
    path, words = break_(copy, name, line)
    shown = churn.verb(*words, cwd=copy, code=1).stderr
    assert shown.startswith("Traceback (most recent call last):\n")
    assert f'{copy / path}", line ' in shown
    assert said in shown
    assert "--traceback" in shown
    for hidden in ("_runtime", "click", "runpy", "__main__.py"):
        assert hidden not in shown
    everything = churn.verb(*words, "--traceback", cwd=copy, code=1).stderr
    assert said in everything
    assert "_runtime/cli.py" in everything
    assert "click/core.py" in everything


def test_what_caused_an_error_is_shown_alike(churn: Churn, copy: Path) -> None:
    line = "try: 1 / 0\n        except ZeroDivisionError as e: raise RuntimeError('mine') from e"
    _, words = break_(copy, "model", line)
    shown = churn.verb(*words, cwd=copy, code=1).stderr
    assert "ZeroDivisionError: division by zero" in shown
    assert "The above exception was the direct cause" in shown
    assert "_runtime" not in shown


def test_a_syntax_error_is_shown_where_it_is(churn: Churn, copy: Path) -> None:
    with (copy / "src/churn/models/model.py").open("a") as file:
        file.write("def (\n")
    shown = churn.verb("predict", "--example", cwd=copy, code=1).stderr
    assert "models/model.py" in shown
    assert "SyntaxError: invalid syntax" in shown
    assert "click" not in shown


def test_an_error_for_people_stays_one_sentence(churn: Churn, copy: Path) -> None:
    replace(copy, "configs/train.yaml", "raw/penguins.csv", "raw/none.csv")
    shown = churn.verb("train", cwd=copy, code=1).stderr
    assert shown.startswith("Error: ")
    assert "Traceback" not in shown
