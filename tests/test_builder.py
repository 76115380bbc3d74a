"""The streamed builder: what is installed is what Poetry's own would install."""

from __future__ import annotations

import random
import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import poetry
from poetry.core.masonry.builders.sdist import SdistBuilder
from poetry.core.masonry.builders.wheel import WheelBuilder
from poetry.masonry.builders import BUILD_FORMATS

from poetry_ml_plugin.build import builders

LARGE = (1 << 20) + 12345
WHEEL, SDIST = "large-1.0-py3-none-any.whl", "large-1.0.tar.gz"


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a large file that compresses, one that does not, and small ones."""
    monkeypatch.setenv("POETRY_VIRTUALENVS_CREATE", "false")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
    monkeypatch.setattr(builders, "LARGE", 1 << 20)
    package = tmp_path / "large/src/large"
    package.mkdir(parents=True)
    noise = random.Random(5)
    (package / "__init__.py").write_text('"""Large."""\n')
    (package / "noise.bin").write_bytes(noise.randbytes(LARGE))
    lines = b"".join(b"%d %.3f\n" % (n, noise.random()) for n in range(100_000))
    (package / "table.txt").write_bytes((lines * 10)[:LARGE])
    (package / "run.sh").write_text("#!/bin/sh\n")
    (package / "run.sh").chmod(0o775)
    (tmp_path / "large/README.md").write_text("Large.\n")
    (tmp_path / "large/pyproject.toml").write_text(
        '[project]\nname = "large"\nversion = "1.0"\nrequires-python = ">=3.10"\nreadme = "README.md"\n'
        '[tool.poetry]\npackages = [{include = "large", from = "src"}]\n'
        '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n'
    )
    return tmp_path / "large"


def build(root: Path, dist: Path, stream: bool) -> None:
    """What `poetry build` does with the builders that the guard puts in for it."""
    from poetry.core.factory import Factory

    take_out = builders.put_in(stream, None)
    try:
        for kind in ("sdist", "wheel"):
            BUILD_FORMATS[kind](Factory().create_poetry(root)).build(dist)
    finally:
        take_out()
    assert {"sdist": SdistBuilder, "wheel": WheelBuilder} == BUILD_FORMATS


def members(archive: Path) -> list[tuple[object, ...]]:
    """All that a wheel or an sdist says of its files, but how they are compressed."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return [
                (i.filename, i.date_time, i.external_attr, i.CRC, wheel.read(i))
                for i in wheel.infolist()
            ]
    with tarfile.open(archive) as sdist:
        return [
            (i.name, i.mtime, i.mode, i.uid, i.uname, i.type, i.pax_headers, file.read())
            for i in sdist
            if (file := sdist.extractfile(i))
        ]


def test_streamed_archives_have_what_stock_archives_have(large: Path, tmp_path: Path) -> None:
    for folder, stream in (("stock", False), ("one", True), ("two", True)):
        build(large, tmp_path / folder, stream)
    for name in (WHEEL, SDIST):
        stock, one, two = (tmp_path / folder / name for folder in ("stock", "one", "two"))
        assert members(one) == members(stock)
        assert one.read_bytes() == two.read_bytes()
        assert one.read_bytes() != stock.read_bytes()
    with zipfile.ZipFile(tmp_path / "one" / WHEEL) as wheel:
        ways = {Path(info.filename).name: info.compress_type for info in wheel.infolist()}
    assert ways["noise.bin"] == zipfile.ZIP_STORED
    assert ways["table.txt"] == ways["__init__.py"] == zipfile.ZIP_DEFLATED
    size = (tmp_path / "one" / SDIST).stat().st_size
    assert LARGE < size < 1.7 * LARGE
    assert not list((tmp_path / "one").glob(".*"))


def test_without_a_large_file_the_archives_are_poetrys_own(large: Path, tmp_path: Path) -> None:
    for name in ("noise.bin", "table.txt"):
        (large / "src/large" / name).write_bytes(b"small")
    for folder, stream in (("stock", False), ("ours", True)):
        build(large, tmp_path / folder, stream)
    for name in (WHEEL, SDIST):
        assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "stock" / name).read_bytes()


def test_poetry_build_streams_ml_projects_and_can_be_told_not_to(
    copy: Path, tmp_path: Path
) -> None:
    (copy / "src/churn/lookup.bin").write_bytes(random.Random(1).randbytes(builders.LARGE))

    def way() -> int:
        poetry(
            "build",
            "--output",
            tmp_path / "dist",
            cwd=copy,
            env={"POETRY_VIRTUALENVS_CREATE": "false"},
        )
        (wheel,) = (tmp_path / "dist").glob("*.whl")
        return zipfile.ZipFile(wheel).getinfo("churn/lookup.bin").compress_type

    assert way() == zipfile.ZIP_STORED
    path = copy / "pyproject.toml"
    path.write_text(
        path.read_text().replace('package = "churn"', 'package = "churn"\nstream = false')
    )
    assert way() == zipfile.ZIP_DEFLATED
    path.write_text(path.read_text().replace("stream = false", 'stream = "no"'))
    assert "stream must be true or false" in poetry("build", cwd=copy, code=1).stderr


def test_a_poetry_that_is_not_known_builds_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert builders.is_known()

    def _add_file(self: object, wheel: object, full_path: Path, rel_path: Path) -> None:
        """A later poetry-core's, which does more."""

    with monkeypatch.context() as patch:
        patch.setattr(WheelBuilder, "_add_file", _add_file)
        assert not builders.is_known()
        builders.put_in(stream=True, sbom=None)
        assert {"sdist": SdistBuilder, "wheel": WheelBuilder} == BUILD_FORMATS
    with monkeypatch.context() as patch:
        patch.delattr(SdistBuilder, "build")
        assert not builders.is_known()
    with monkeypatch.context() as patch:
        patch.setitem(BUILD_FORMATS, "wheel", object)  # another plugin's
        take_out = builders.put_in(stream=True, sbom=None)
        assert BUILD_FORMATS["wheel"] is object
        take_out()
        assert BUILD_FORMATS["wheel"] is object
    with monkeypatch.context() as patch:
        patch.delattr("poetry.masonry.builders.BUILD_FORMATS")
        builders.put_in(stream=True, sbom=None)()
