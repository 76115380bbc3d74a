"""The tests themselves: every process of a run must collect the same ones, whatever its surroundings."""

from __future__ import annotations

import sys
from pathlib import Path

from conftest import REPOSITORY, run


def collected(folder: Path, seed: str) -> list[str]:
    """The names of all tests, in their order, with other hashes and another folder for files."""
    folder.mkdir()
    env = {"PYTHONHASHSEED": seed, "TMPDIR": str(folder), "HOME": str(folder), "PYTEST_ADDOPTS": ""}
    words = ("-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-p", "no:xdist")
    said = run(sys.executable, *words, cwd=REPOSITORY, env=env).stdout
    return [line for line in said.splitlines() if line.startswith("tests/") and "::" in line]


def test_two_processes_collect_the_same_tests(tmp_path: Path) -> None:
    first = collected(tmp_path / "a", "1")
    assert len(first) > 500
    assert collected(tmp_path / "b", "2") == first  # later too: the seconds of the clock differ
    assert len(set(first)) == len(first)
    places = [str(place) for place in (tmp_path, REPOSITORY, sys.prefix, Path.home())]
    for name in first:
        assert name.isascii() and name.isprintable(), name
        assert not any(place in name for place in places), name
        assert " at 0x" not in name and "<" not in name.partition("[")[2], name
