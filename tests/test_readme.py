"""What the READMEs tell a newcomer to type, typed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import socket
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, run
from serving import service


def commands(readme: Path) -> list[str]:
    """The lines after a dollar sign in the README's console blocks."""
    blocks = re.findall(r"```console\n(.*?)```", readme.read_text(), re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def test_both_readmes_word_for_word(tmp_path: Path) -> None:
    session = commands(REPOSITORY / "README.md")
    assert session[:3] == ["poetry self add poetry-ml-plugin", "poetry ml new churn", "cd churn"]
    follow(session[1:2], tmp_path)  # the plugin is there already: another test adds it as said
    assert session[-1] == "poetry ml serve"
    follow(session[3:], tmp_path / "churn")

    theirs = commands(tmp_path / "churn/README.md")
    assert "poetry run churn train" in theirs
    follow(theirs, tmp_path / "churn")
    python = tmp_path / "churn/build/env/bin/python"
    assert run(python, "-m", "churn", "verify", cwd=tmp_path).stdout.startswith(
        "Verified 1 artifact"
    )
    said = run("poetry", "run", "pytest", "-q", "-rs", cwd=tmp_path / "churn").stdout
    assert "skipped" not in said  # the notebook's group is installed by now


def follow(lines: list[str], folder: Path) -> None:
    """Run each line; what serves is asked the line after it, then stopped."""
    for n, line in enumerate(lines):
        words = shlex.split(line)
        if words[0] == "python":
            words[0] = sys.executable
        if words[-1] == "serve":
            serve(words, folder, lines[n + 1] if len(lines) > n + 1 else None)
        elif "curl" not in words:
            run("bash", "-c", line, cwd=folder)


def serve(words: list[str], folder: Path, client: str | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with service(words, folder, {"PORT": port}) as running:
        assert running.get("/health/ready") == {"status": "ready"}
        if client and shutil.which("curl"):
            line = client.replace("8000", port).replace("curl ", "curl --silent ")
            said = run("bash", "-c", line, cwd=folder).stdout
            assert json.loads(said)["predictions"][0]["species"] == "Adelie"
        assert running.stop() == 0


@pytest.mark.parametrize("name", ["README.md", "templates/project/README.md"])
def test_files_that_a_readme_names_are_there(name: str) -> None:
    readme = REPOSITORY / name
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", readme.read_text()):
        assert (readme.parent / link).exists(), link
