"""What developers run: it asks before it changes their system."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, run

import dev


def script(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which an apt-get, which is all that there is, writes down what it is asked for."""
    asked = tmp_path / "asked"
    asked.touch()
    (tmp_path / "bin").mkdir()
    script(tmp_path / "bin/apt-get", f'echo "$@" >> "{asked}"')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    return asked


def test_no_system_package_is_installed_without_being_told(
    asked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dev.provide_browser(told=False)
    assert asked.read_text() == ""
    assert "--with-browser" in capsys.readouterr().out


def test_a_browser_is_installed_when_told(asked: Path) -> None:
    dev.provide_browser(told=True)
    assert asked.read_text() == "update -qq\ninstall -qq -y chromium\n"


def test_no_second_browser_is_installed(asked: Path) -> None:
    script(asked.with_name("bin") / "google-chrome")
    dev.provide_browser(told=True)
    assert asked.read_text() == ""


@pytest.mark.parametrize("version", ["3.9.18", "3.10.14"])
def test_an_older_python_is_refused_in_one_sentence(tmp_path: Path, version: str) -> None:
    python = script(tmp_path / "python", f"echo {version}")
    done = run(sys.executable, "dev.py", "test", "--python", python, cwd=REPOSITORY, code=1)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert f"is Python {version}, and this project requires 3." in done.stderr
