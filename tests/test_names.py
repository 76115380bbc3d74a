"""Which names are taken, and what is said of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from poetry_ml_plugin import names
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.names import Names


@pytest.mark.parametrize(
    ("folder", "distribution", "package"),
    [
        ("churn", "churn", "churn"),
        ("my-proj", "my-proj", "my_proj"),
        ("My Project", "my-project", "my_project"),
        ("my.pkg", "my-pkg", "my_pkg"),
        ("a_b-c.d", "a-b-c-d", "a_b_c_d"),
        ("churn2", "churn2", "churn2"),
    ],
)
def test_a_folder_gives_both_names(folder: str, distribution: str, package: str) -> None:
    assert names.derive(Path(folder)) == Names(distribution, package)


@pytest.mark.parametrize(
    ("folder", "suggestion"),
    [
        ("", "my-model"),
        ("   ", "my-model"),
        ("1abc", "model_1abc"),
        ("class", "class_model"),
        ("match", "match_model"),
        ("json", "json_model"),
        ("numpy", "numpy_model"),
        ("scikit-learn", "scikit_learn_model"),
        ("con", "con-model"),
        ("café", "cafe"),
        ("模型", "my-model"),
        ("-churn", "churn"),
        ("a/b", "a-b"),
        ("a\nb", "a-b"),
        ("a" * 65, "a" * 58),
    ],
)
def test_an_unfit_name_is_refused_with_one_that_fits(folder: str, suggestion: str) -> None:
    with pytest.raises(MLError) as refusal:
        names.derive(Path("somewhere"), name=folder)
    assert suggestion in str(refusal.value)
    names.derive(Path(suggestion))


def test_name_and_package_can_be_given() -> None:
    assert names.derive(Path("x"), "Churn Model", "attrition") == Names("churn-model", "attrition")
    assert names.derive(Path("numpy"), package="my_numpy").package == "my_numpy"


@pytest.mark.parametrize("package", ["", "my-pkg", "Churn", "a.b", "../x", "import", "torch"])
def test_an_unfit_package_is_refused(package: str) -> None:
    with pytest.raises(MLError, match="--package"):
        names.derive(Path("churn"), package=package)
