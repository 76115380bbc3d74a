"""The notebook runs from top to bottom, where the notebook group is installed."""

from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def test_getting_started_runs():
    nbclient = pytest.importorskip("nbclient", reason='run "poetry install --with notebook" first')
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(NOTEBOOKS / "getting_started.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
