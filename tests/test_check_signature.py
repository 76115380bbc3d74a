"""What the source of a `predict` says is heard before a server is started: by init, check and build."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Churn, poetry
from test_checks import not_ok, results

from poetry_ml_plugin.audit import signature

TORCH = "import torch as t\nclass Model:\n    def predict(self, data: t.Tensor): ...\n"
PYPROJECT = '[project]\nname = "shop"\nversion = "0.1.0"\nrequires-python = ">=3.11,<3.15"\n'


def said(folder: Path, text: str) -> list[str]:
    (folder / "model.py").write_text(text)
    return [problem.message for problem in signature.problems(folder / "model.py", "model.py")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(TORCH, "predict takes t.Tensor, and t.Tensor cannot", id="alias"),
        pytest.param(
            "from torch import Tensor\nclass Model:\n    def predict(self, data: 'Tensor'): ...\n",
            "Tensor cannot be read from JSON",
            id="quoted",
        ),
        pytest.param(
            "from PIL import Image\nclass Model:\n"
            "    def predict(self, data: list[Image.Image]): ...\n",
            "predict takes list[Image.Image], and Image.Image cannot",
            id="nested",
        ),
        pytest.param(
            "class Model:\n    def predict(self): ...\n", "predict takes no rows", id="no rows"
        ),
        pytest.param(
            "class Model:\n    def predict(self, data, threshold): ...\n",
            "its parameter threshold has no default",
            id="no default",
        ),
        pytest.param(
            "class Model:\n    def predict(self, data, *, batch): ...\n",
            "its parameter batch has no default",
            id="keyword only",
        ),
    ],
)
def test_what_could_not_be_served_is_named(tmp_path: Path, text: str, expected: str) -> None:
    (message,) = said(tmp_path, text)
    assert message.startswith("model.py, line ")
    assert expected in message


@pytest.mark.parametrize(
    "parameters",
    [
        "self, data",
        "self, *data",
        "self, data: pd.DataFrame",
        "self, data: np.ndarray",
        "self, data: list[dict[str, float]], threshold: float = 0.5, **more",
        "self, data: Sequence[Row]",
        "self, data: schema.Row",
        "self, data: 'list[Unknown]'",
        "self, data: 'not an annotation'",
    ],
)
def test_what_can_be_served_or_is_not_known_passes(tmp_path: Path, parameters: str) -> None:
    imports = (
        "import numpy as np\nimport pandas as pd\nfrom collections.abc import Sequence\n"
        "from . import schema\nfrom shop.rows import Row\n"
    )
    (tmp_path / "shop").mkdir()
    assert said(tmp_path, f"{imports}class Model:\n    def predict({parameters}): ...\n") == []


def test_init_refuses_a_model_that_could_not_be_served(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    models = tmp_path / "src/shop/models"
    models.mkdir(parents=True)
    (models.parent / "__init__.py").touch()
    (models / "model.py").write_text(TORCH)
    refused = poetry("ml", "init", "--yes", "--no-install", cwd=tmp_path, code=1)
    assert "src/shop/models/model.py, line 3: predict takes t.Tensor" in refused.stderr
    assert (tmp_path / "pyproject.toml").read_text() == PYPROJECT


def test_check_follows_an_adopted_model_to_its_module(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    models = tmp_path / "src/shop/models"
    models.mkdir(parents=True)
    (models.parent / "__init__.py").touch()
    (models / "model.py").write_text("class Model:\n    def predict(self, data): ...\n")
    poetry("ml", "init", "--yes", "--no-install", cwd=tmp_path)
    assert "signature" not in not_ok(results(tmp_path))
    (models / "model.py").write_text(TORCH)
    (problem,) = results(tmp_path)["signature"].problems
    assert "src/shop/models/model.py, line 3" in problem.message


def test_a_build_asks_the_class_itself(copy: Path, churn: Churn) -> None:
    """What the source alone does not say: here the type comes from a module of the project."""
    package = copy / "src/churn/models"
    (package / "foreign.py").write_text("class Foreign:\n    pass\n")
    model = package / "model.py"
    model.write_text(
        model.read_text()
        + "\nfrom .foreign import Foreign\n\n\ndef _predict(self, data: Foreign): ...\n\n\n"
        "Model.predict = _predict\n"
    )
    assert "signature" not in not_ok(results(copy))
    refused = poetry("build", cwd=copy, code=1, env={"VIRTUAL_ENV": str(churn.python.parents[1])})
    assert "Model cannot be served: predict takes Foreign" in refused.stderr
    assert not list((copy / "dist").glob("*.whl"))
