"""The templates are found wherever the plugin is installed from."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from conftest import REPOSITORY, poetry, run

from poetry_ml_plugin.template import render

COUNT = (
    "from poetry_ml_plugin.template import render; from poetry_ml_plugin.project.names import Names;"
    "print(*render.plan(Names('churn', 'churn'), '3.12'))"
)


def planned(folder: Path) -> list[str]:
    """What the plugin in this folder would put into a project."""
    env = {"PYTHONPATH": str(folder)}
    return run(sys.executable, "-c", COUNT, cwd=folder, env=env).stdout.split()


def test_wheel_and_wheel_from_sdist_carry_what_a_checkout_has(tmp_path: Path, wheel: Path) -> None:
    expected = planned(REPOSITORY)
    assert "src/churn/models/model.py" in expected
    zipfile.ZipFile(wheel).extractall(tmp_path / "wheel")
    assert planned(tmp_path / "wheel") == expected

    poetry("build", "--format", "sdist", "--output", tmp_path / "dist", cwd=REPOSITORY)
    (sdist,) = (tmp_path / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "sdist", filter="data")
    (unpacked,) = (tmp_path / "sdist").iterdir()
    poetry("build", "--format", "wheel", cwd=unpacked)
    (again,) = (unpacked / "dist").glob("*.whl")
    zipfile.ZipFile(again).extractall(tmp_path / "again")
    assert planned(tmp_path / "again") == expected


def test_the_checkout_is_where_an_editable_install_looks() -> None:
    assert render.template_dir() == REPOSITORY / "templates/project"
    assert PurePosixPath("Procfile") in render.plan(render.TEMPLATE, "3.12")
