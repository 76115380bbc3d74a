"""Which names are taken, and what is said of the others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import names
from poetry_ml_plugin.project.names import Names

TAKEN = [
    ("churn", "churn", "churn"),
    ("my-proj", "my-proj", "my_proj"),
    ("My Project", "my-project", "my_project"),
    ("my.pkg", "my-pkg", "my_pkg"),
    ("a_b-c.d", "a-b-c-d", "a_b_c_d"),
    ("churn2", "churn2", "churn2"),
    ("x", "x", "x"),
    ("a--b", "a-b", "a_b"),
    ("CamelCase", "camelcase", "camelcase"),
    ("v1.2", "v1-2", "v1_2"),
    ("my numpy", "my-numpy", "my_numpy"),
    ("console", "console", "console"),
    ("models", "models", "models"),
    ("None", "none", "none"),
    ("a" * 64, "a" * 64, "a" * 64),
]

REFUSED = [
    # what the folder is called, why not, what is suggested
    ("", "is empty", "my-model"),
    ("   ", "is empty", "my-model"),
    ("class", "Python keyword", "--package class_model"),
    ("match", "Python keyword", "--package match_model"),
    ("type", "Python keyword", "--package type_model"),
    ("json", "standard library", "--package json_model"),
    ("logging", "standard library", "--package logging_model"),
    ("tomllib", "standard library", "--package tomllib_model"),
    ("distutils", "standard library", "--package distutils_model"),
    ("antigravity", "standard library", "--package antigravity_model"),
    ("test", "well-known package", "test-model"),
    ("Tests", "well-known package", "tests-model"),
    ("src", "well-known package", "src-model"),
    ("numpy", "well-known package", "numpy-model"),
    ("NumPy", "well-known package", "numpy-model"),
    ("sklearn", "well-known package", "sklearn-model"),
    ("scikit-learn", "well-known package", "scikit-learn-model"),
    ("scikit_learn", "well-known package", "scikit-learn-model"),
    ("Scikit.Learn", "well-known package", "scikit-learn-model"),
    ("torch", "well-known package", "torch-model"),
    ("tensorflow", "well-known package", "tensorflow-model"),
    ("falcon", "well-known package", "falcon-model"),
    ("poetry", "well-known package", "poetry-model"),
    ("1abc", "must start with a letter", "--package model_1abc"),
    ("2026", "must start with a letter", "--package model_2026"),
    ("con", "Windows", "con-model"),
    ("AUX", "Windows", "aux-model"),
    ("nul.txt", "Windows", "nul-txt"),
    ("COM1", "Windows", "com1-model"),
    ("lpt9.log", "Windows", "lpt9-log"),
    ("café", "outside ASCII", "cafe"),
    ("Übergröße", "outside ASCII", "ubergrosse"),
    ("naïve_bayes", "outside ASCII", "naive-bayes"),
    ("отток", "outside ASCII", "ottok"),
    ("μοντέλο", "outside ASCII", "montelo"),
    ("模型", "outside ASCII", "my-model"),
    ("🐧", "outside ASCII", "my-model"),
    ("nu\u006d\u0440y", "outside ASCII", "numry"),  # a Cyrillic letter that looks like p
    ("ｃｈｕｒｎ", "outside ASCII", "churn"),
    ("\udcff", "outside ASCII", "my-model"),
    ("-churn", "only letters and digits", "churn"),
    ("churn-", "only letters and digits", "churn"),
    (".churn", "only letters and digits", "churn"),
    ("churn.", "only letters and digits", "churn"),
    ("_churn", "only letters and digits", "churn"),
    ("__init__", "only letters and digits", "init"),
    ("a\nb", "only letters and digits", "a-b"),
    ("a:b", "only letters and digits", "a-b"),
    ("churn; rm -rf", "only letters and digits", "churn-rm-rf"),
    ("$(id)", "only letters and digits", "id"),
    ("%PATH%", "only letters and digits", "path"),
    ('"quoted"', "only letters and digits", "quoted"),
    ("a" * 65, "longer than 64", "a" * 58),
    ("1" * 300, "longer than 64", "model-" + "1" * 52),
]

# What a test is called where its folder's name is not plain text.
CALLED = {
    "": "empty",
    "   ": "blanks",
    "café": "accent",
    "Übergröße": "umlauts",
    "naïve_bayes": "diaeresis",
    "отток": "Cyrillic",
    "μοντέλο": "Greek",
    "模型": "Chinese",
    "🐧": "emoji",
    "nu\u006d\u0440y": "look-alike",
    "ｃｈｕｒｎ": "full width",
    "\udcff": "no UTF-8",
    "a\nb": "line break",
    "a" * 64: "64 letters",
    "a" * 65: "65 letters",
    "1" * 300: "300 digits",
}


def called(folder: str) -> str:
    return CALLED.get(folder, folder)


@pytest.mark.parametrize(
    ("folder", "distribution", "package"), TAKEN, ids=[called(folder) for folder, *_ in TAKEN]
)
def test_a_folder_gives_both_names(folder: str, distribution: str, package: str) -> None:
    assert names.derive(Path(folder)) == Names(distribution, package)


@pytest.mark.parametrize(
    ("folder", "reason", "suggestion"), REFUSED, ids=[called(folder) for folder, *_ in REFUSED]
)
def test_an_unfit_name_is_refused_with_one_that_fits(
    folder: str, reason: str, suggestion: str
) -> None:
    with pytest.raises(MLError, match=reason) as refusal:
        names.derive(Path(folder))
    option, word = suggested(refusal.value)
    assert f"{option}{word}" == suggestion
    assert str(refusal.value).isprintable() or "\n" in folder
    given = names.derive(Path(folder), package=word) if option else names.derive(Path(word))
    assert word in (given.distribution, given.package)


@pytest.mark.parametrize(
    "name",
    ["", "numpy", "a/b", "../x", "a/../../b", "é", "a" * 65, "con"],
    ids=["empty", "taken", "slash", "parent", "way out", "accent", "long", "Windows device"],
)
def test_an_unfit_name_that_was_given_is_refused_with_one_that_fits(name: str) -> None:
    with pytest.raises(MLError) as refusal:
        names.derive(Path("churn"), name=name)
    option, word = suggested(refusal.value)
    assert option == "--name "
    assert names.derive(Path("churn"), name=word).distribution == word


@pytest.mark.parametrize(
    "package",
    ["", "my-pkg", "Churn", "a.b", "../x", "import", "torch", "_x", "1a", "é", "json", "b" * 65],
    ids=[
        "empty",
        "dash",
        "capital",
        "dot",
        "parent",
        "keyword",
        "library",
        "underscore first",
        "digit first",
        "accent",
        "standard library",
        "long",
    ],
)
def test_an_unfit_package_that_was_given_is_refused_with_one_that_fits(package: str) -> None:
    with pytest.raises(MLError) as refusal:
        names.derive(Path("churn"), package=package)
    option, word = suggested(refusal.value)
    assert option == "--package "
    assert names.derive(Path("churn"), package=word).package == word


@pytest.mark.parametrize("folder", ["con", "a:b", "nul.model", "ends.", "what?"])
def test_a_folder_must_be_one_on_windows_too(folder: str) -> None:
    with pytest.raises(MLError, match="a folder") as refusal:
        names.derive(Path(folder), name="churn")
    _, word = suggested(refusal.value)
    assert names.derive(Path(word), name="churn").distribution == "churn"


def test_name_and_package_can_be_given() -> None:
    assert names.derive(Path("x"), "Churn Model", "attrition") == Names("churn-model", "attrition")
    assert names.derive(Path("numpy"), "my-numpy") == Names("my-numpy", "my_numpy")
    assert names.derive(Path("données"), "donnees").package == "donnees"
    assert names.derive(Path("1st"), package="first") == Names("1st", "first")


def suggested(refusal: MLError) -> tuple[str, str]:
    found = re.search(r'Try "((?:--\w+ )?)([^"]*)"\.$', str(refusal))
    assert found, refusal
    return found[1], found[2]
