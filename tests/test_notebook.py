"""Notebooks: run into reports/, opened with the project's own kernel, kept in git without outputs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from conftest import Churn, poetry, run
from serving import until

NOTEBOOK = "notebooks/exploration.ipynb"


@pytest.fixture
def env(analysis: Path) -> dict[str, str]:
    return {"VIRTUAL_ENV": str(analysis)}


def written(path: Path, *sources: str) -> Path:
    """Write a notebook with these cells of code."""
    path.write_text(json.dumps(notebook(*sources)))
    return path


def notebook(*sources: str) -> dict[str, Any]:
    cells = [
        {
            "cell_type": "code",
            "execution_count": 7,
            "id": f"cell-{n}",
            "metadata": {},
            "outputs": [
                {"name": "stdout", "output_type": "stream", "text": ["a row of a person\n"]}
            ],
            "source": [source],
        }
        for n, source in enumerate(sources)
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def test_the_notebook_that_comes_with_a_project_runs_with_parameters(
    copy: Path, env: dict[str, str]
) -> None:
    done = poetry("ml", "notebook", "run", NOTEBOOK, "-p", "shown=3", cwd=copy, env=env)
    assert "Written reports/exploration.ipynb" in done.stdout
    cells = json.loads((copy / "reports/exploration.ipynb").read_bytes())["cells"]
    shown = json.dumps([cell["outputs"] for cell in cells if cell["cell_type"] == "code"])
    assert "bill_length_mm" in shown  # the overview of the data
    assert "accuracy" in shown  # the report of the model
    (table,) = [cell for cell in cells if "held_out.take" in "".join(cell["source"])]
    rows = "".join(table["outputs"][0]["data"]["text/html"])
    assert "<th>2</th>" in rows
    assert "<th>3</th>" not in rows


def test_a_notebook_that_raises_is_told_by_its_cell_and_leaves_the_report_as_it_was(
    copy: Path, env: dict[str, str]
) -> None:
    sources = [*(f"a{n} = {n}" for n in range(6)), "raise ValueError('no such week')", "b = 1"]
    written(copy / "notebooks/weekly.ipynb", *sources)
    (copy / "reports/weekly.ipynb").write_text("of last week")
    words = ("ml", "notebook", "run", "notebooks/weekly.ipynb", "-p", "a=2")
    refused = poetry(*words, cwd=copy, env=env, code=1)
    assert "weekly.ipynb raised in cell 7: ValueError: no such week." in refused.stderr
    assert "poetry ml notebook" in refused.stderr
    assert (copy / "reports/weekly.ipynb").read_text() == "of last week"
    refused = poetry("ml", "notebook", "run", "none.ipynb", cwd=copy, env=env, code=1)
    assert "is not a notebook" in refused.stderr
    words = ("ml", "notebook", "run", NOTEBOOK, "-p", "shown")
    assert "-p key=value" in poetry(*words, cwd=copy, env=env, code=1).stderr


def answers(url: str) -> bool:
    try:
        urlopen(f"{url}/api", timeout=30).close()
    except OSError:
        return False
    return True


def test_jupyterlab_has_the_projects_environment_as_its_kernel(
    copy: Path, analysis: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    command = [
        *(sys.executable, "-m", "poetry", "ml", "notebook", "--"),
        *("--no-browser", "--allow-root", "--ServerApp.port=0", "--IdentityProvider.token="),
    ]
    env = {**os.environ, "VIRTUAL_ENV": str(analysis), "HOME": str(home)}
    with subprocess.Popen(
        command, cwd=copy, env=env, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stderr is not None
        try:
            found = None
            for line in server.stderr:
                if found := re.search(r"http://localhost:(\d+)/", line):
                    break
            assert found, "the server did not start"
            base = f"http://localhost:{found[1]}"
            until(lambda: answers(base))
            specs = json.load(urlopen(f"{base}/api/kernelspecs", timeout=30))
            names = {
                Path(each["name"])
                for each in json.load(urlopen(f"{base}/api/contents", timeout=30))["content"]
            }
        finally:
            server.terminate()
    assert Path("notebooks") in names
    assert list(specs["kernelspecs"]) == [specs["default"]] == ["python3"]
    program = Path(specs["kernelspecs"]["python3"]["spec"]["argv"][0])
    assert program.name.startswith("python")
    assert program.parent in (Path(), analysis / "bin")
    assert not list(home.rglob("kernels"))


def test_outputs_stay_out_of_git_in_a_new_project_and_in_a_clone_that_is_fixed(
    churn: Churn, analysis: Path, tmp_path: Path
) -> None:
    filtered = run("git", "config", "filter.nbstripout.clean", cwd=churn.root).stdout
    assert filtered.strip().endswith("-m nbstripout")
    assert run("git", "status", "--porcelain", cwd=churn.root).stdout == ""
    clone = tmp_path / "churn"
    run("git", "clone", "--quiet", churn.root, clone, cwd=tmp_path)
    env = {"VIRTUAL_ENV": str(churn.python.parents[1])}
    said = poetry("ml", "check", cwd=clone, env=env).stdout
    assert "this clone would commit the outputs of notebooks" in said
    done = poetry("ml", "check", "--fix", cwd=clone, env=env)
    assert "Fixed: this clone would commit the outputs" in done.stderr
    assert "would commit the outputs" not in done.stdout
    written(clone / "notebooks/new.ipynb", "print('a row of a person')")
    run("git", "add", "--all", cwd=clone)
    stored = json.loads(run("git", "show", ":notebooks/new.ipynb", cwd=clone).stdout)
    assert stored["cells"][0]["outputs"] == []
    assert "a row" in (clone / "notebooks/new.ipynb").read_text()
