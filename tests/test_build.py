"""`poetry build`: the trained artifacts travel, broken ones do not."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROWS, Churn, poetry, run

MODEL = "churn/artifacts/model.onnx"


def built(root: Path, pattern: str) -> Path:
    (found,) = (root / "dist").glob(pattern)
    return found


@pytest.mark.parametrize("ignored", [False, True], ids=["tracked", "git-ignored"])
def test_wheel_sdist_and_wheel_from_sdist_carry_the_artifacts(
    churn: Churn, copy: Path, tmp_path: Path, ignored: bool
) -> None:
    content = (churn.root / "src" / MODEL).read_bytes()
    if ignored:
        with (copy / ".gitignore").open("a") as file:
            file.write("\n*.onnx\nsrc/churn/artifacts/*\n")
    run("git", "init", "--quiet", cwd=copy)
    run("git", "add", "--all", cwd=copy)
    tracked = run("git", "ls-files", cwd=copy).stdout
    assert (MODEL not in tracked) == ignored

    poetry("build", cwd=copy)
    assert zipfile.ZipFile(built(copy, "*.whl")).read(MODEL) == content
    with tarfile.open(built(copy, "*.tar.gz")) as archive:
        archive.extractall(tmp_path / "sdist", filter="data")
    (unpacked,) = (tmp_path / "sdist").iterdir()
    assert (unpacked / "src" / MODEL).read_bytes() == content
    poetry("build", "--format", "wheel", cwd=unpacked)
    assert zipfile.ZipFile(built(unpacked, "*.whl")).read(MODEL) == content


def test_a_clean_environment_needs_the_wheel_only(
    churn: Churn, copy: Path, tmp_path: Path, clean_python: Callable[..., Path]
) -> None:
    poetry("build", "--format", "wheel", cwd=copy)
    python = clean_python(built(copy, "*.whl"))
    command = python.with_name("churn")
    assert run(command, "predict", ROWS, cwd=tmp_path).stdout == churn.verb("predict", ROWS).stdout
    ask = "import churn; print(churn.data_dir, churn.artifacts_dir is churn.artifact_dir)"
    assert run(python, "-c", ask, cwd=tmp_path).stdout == "None True\n"
    said = run(command, "train", cwd=tmp_path, code=1).stderr
    assert "in a checkout of the project" in said
    assert "Traceback" not in said
    installed = run(python, "-m", "pip", "list", cwd=tmp_path).stdout
    assert "scikit-learn" not in installed


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "model.onnx").unlink(), "model.onnx is missing"),
        (lambda folder: (folder / "model.onnx").write_bytes(b""), "model.onnx differs"),
        (lambda folder: (folder / "manifest.json").unlink(), "there is no trained model"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "is no manifest"),
    ],
)
def test_broken_artifacts_are_not_built(
    copy: Path, damage: Callable[[Path], object], said: str
) -> None:
    damage(copy / "src/churn/artifacts")
    done = poetry("build", cwd=copy, code=1)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (copy / "dist").exists()
    shutil.rmtree(copy)
