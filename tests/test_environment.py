"""The environment of a new project: locked, filled and compiled with no work that was done before."""

from __future__ import annotations

import os
import shutil
import stat
import time
from pathlib import Path

import pytest
from conftest import Churn, poetry, run
from serving import until

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import bytecode, uv, venv
from poetry_ml_plugin.project import resolved
from poetry_ml_plugin.project.pyproject import Project
from poetry_ml_plugin.project.resolved import Resolved
from poetry_ml_plugin.template.environment import Environment

HOUR = 60 * 60
PYPROJECT = """\
[project]
name = "tiny"
version = "1.0"
description = "Next to nothing."
requires-python = ">=3.11,<3.15"
dependencies = ["click (>=8.1,<9)", "tomli ; python_version < '3.11'"]

[project.optional-dependencies]
more = ["iniconfig"]

[tool.poetry]
packages = [{ include = "tiny", from = "src" }]

[tool.poetry.group.train.dependencies]
packaging = ">=24"

[tool.poetry.group.dev.dependencies]
six = "*"

[tool.poetry.group.late]
optional = true

[tool.poetry.group.late.dependencies]
pluggy = "*"

[tool.poetry-ml-plugin]
package = "tiny"

[build-system]
requires = ["poetry-core>=2"]
build-backend = "poetry.core.masonry.api"
"""
INSTALLED = {"click", "packaging", "six", "tiny"}


def quiet(text: str) -> None:
    """For what a step has to say."""


def make(root: Path, text: str = PYPROJECT) -> Project:
    (root / "src/tiny").mkdir(parents=True)
    (root / "src/tiny/__init__.py").write_text("")
    (root / "pyproject.toml").write_text(text)
    return Project(root, "tiny")


@pytest.fixture
def tiny(tmp_path: Path, cache: Path) -> Project:
    """A project with few dependencies, of each kind, and nothing installed."""
    return make(tmp_path / "tiny")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of Poetry's own for this test: nothing is known in it."""
    monkeypatch.setenv("POETRY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("POETRY_VIRTUALENVS_IN_PROJECT", "true")
    return tmp_path / "cache"


@pytest.fixture
def without_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = os.environ["PATH"].split(os.pathsep)
    there = [folder for folder in folders if not shutil.which("uv", path=folder)]
    monkeypatch.setenv("PATH", os.pathsep.join(there))


def site(project: Project) -> Path:
    """The folder of a project's packages."""
    env = venv.create(project.root)
    assert env is not None
    return Path(env.purelib)


def installed(project: Project) -> dict[str, str]:
    """What is in a project's virtualenv, each by the name of who put it there."""
    found = {}
    for path in site(project).glob("*.dist-info"):
        name = path.name.partition("-")[0]
        found[name] = (path / "INSTALLER").read_text().partition(" ")[0].strip().lower()
    return {name: by for name, by in found.items() if name not in venv.SEEDS}


def up(project: Project, **options: bool) -> list[str]:
    """Lock and install, and return what the two steps had to say."""
    with Environment(project, **options) as environment:
        return [environment.lock(quiet), environment.install(quiet, train=False)]


def of_resolved(project: Project) -> Resolved:
    return resolved.place(project.root)


# A lock file that is known


def test_an_equal_project_is_not_resolved_again(tiny: Project, tmp_path: Path) -> None:
    with Environment(tiny) as environment:
        assert environment.lock(quiet) == ""
    text = PYPROJECT.replace("Next to nothing.", "Another.").replace('"tiny"', '"other"')
    other = make(tmp_path / "other", text)
    with Environment(other) as environment:
        assert environment.lock(quiet) == "as resolved just now"
    lock = (other.root / "poetry.lock").read_bytes()
    assert lock == (tiny.root / "poetry.lock").read_bytes()
    poetry("check", "--lock", cwd=other.root)


@pytest.mark.parametrize(
    ("hours", "given"), [(-1, False), (0, True), (3, True), (23, True), (24, False), (99, False)]
)
def test_what_was_resolved_is_good_for_a_day(tmp_path: Path, hours: int, given: bool) -> None:
    locked = locked_by_hand(tmp_path / "locked")
    kept = Resolved(tmp_path / "kept.lock")
    kept.keep(locked.root)
    made = kept.lock.stat().st_mtime
    again = make(tmp_path / "again")
    age = Resolved(kept.lock, now=lambda: made + hours * HOUR).give(again.root)
    assert age == (hours * HOUR if given else None)
    assert (again.root / "poetry.lock").exists() is given


def locked_by_hand(root: Path, packages: str = "package = []") -> Project:
    """A project with a lock file as Poetry would write it, were there nothing to lock."""
    project = make(root)
    poetry_lock = root / "poetry.lock"
    poetry_lock.write_text("")
    content_hash = Resolved(poetry_lock).locker(root)._content_hash
    poetry_lock.write_text(
        f'{packages}\n[metadata]\nlock-version = "2.1"\ncontent-hash = "{content_hash}"\n'
    )
    return project


CHANGES = {
    "a dependency": ("click (>=8.1,<9)", "click (>=8.2,<9)"),
    "a group": ('six = "*"', 'six = ">=1.16"'),
    "an optional dependency": ('more = ["iniconfig"]', "more = []"),
    "the Pythons": (">=3.11,<3.15", ">=3.12,<3.15"),
    "a source": (
        "[tool.poetry.group.train",
        '[[tool.poetry.source]]\nname = "mine"\nurl = "http://127.0.0.1:9/simple/"\n'
        "priority = 'supplemental'\n\n[tool.poetry.group.train",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_who_asks_for_something_else_gets_nothing_known(
    change: str, tiny: Project, tmp_path: Path
) -> None:
    text = PYPROJECT.replace(*CHANGES[change])
    assert text != PYPROJECT
    other = make(tmp_path / "other", text)
    assert of_resolved(other).lock != of_resolved(tiny).lock
    # And were the places the same, the lock file would not do.
    kept = Resolved(tmp_path / "kept.lock")
    kept.keep(locked_by_hand(tmp_path / "locked").root)
    assert kept.give(tiny.root) is not None
    assert kept.give(other.root) is None


SETTINGS = {
    "the index": ("POETRY_PYPI_MIRROR_URL", "http://127.0.0.1:9/simple/"),
    "how old a release must be": ("POETRY_SOLVER_MIN_RELEASE_AGE", "7"),
    "how metadata is fetched": ("POETRY_SOLVER_LAZY_WHEEL", "false"),
}


@pytest.mark.parametrize("what", SETTINGS)
def test_what_was_resolved_with_other_settings_is_not_known(
    what: str, tiny: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of_resolved(tiny)
    assert of_resolved(tiny) == before
    monkeypatch.setenv(*SETTINGS[what])
    if what == "how old a release must be" and not knows_ages():
        pytest.skip("this Poetry takes releases of any age")
    assert of_resolved(tiny) != before


def knows_ages() -> bool:
    from poetry.config.config import Config

    return "min-release-age" in Config.default_config["solver"]


def test_what_another_poetry_resolved_is_not_known(
    tiny: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of_resolved(tiny)
    monkeypatch.setattr(resolved, "__version__", "2.0.99")
    assert of_resolved(tiny) != before


def test_what_lies_elsewhere_than_in_an_index_may_have_changed(tmp_path: Path) -> None:
    git = '[[package]]\nname = "a"\n[package.source]\ntype = "git"\nurl = "https://example.org/a"'
    kept = Resolved(tmp_path / "kept.lock")
    kept.keep(locked_by_hand(tmp_path / "locked", git).root)
    assert not kept.lock.exists()


def test_a_broken_cache_is_none(tmp_path: Path) -> None:
    kept = Resolved(tmp_path / "kept.lock")
    kept.lock.write_bytes(b"[metadata]\ncontent-ha\xff")
    assert kept.give(make(tmp_path / "tiny").root) is None
    (tmp_path / "file").touch()
    Resolved(tmp_path / "file/kept.lock").keep(locked_by_hand(tmp_path / "locked").root)


def test_what_is_old_is_removed_when_something_is_kept(tmp_path: Path) -> None:
    locked = locked_by_hand(tmp_path / "locked")
    folder = tmp_path / "kept"
    now = time.time()
    for name, days in (("old.lock", 2), ("old.txt", 40), ("young.txt", 2)):
        folder.mkdir(exist_ok=True)
        (folder / name).touch()
        os.utime(folder / name, (now, now - days * 24 * HOUR))
    Resolved(folder / "new.lock").keep(locked.root)
    assert sorted(path.name for path in folder.iterdir()) == ["new.lock", "young.txt"]


def test_no_cache_resolves_anew(tiny: Project) -> None:
    with Environment(tiny) as environment:
        environment.lock(quiet)
    (tiny.root / "poetry.lock").unlink()
    said: list[str] = []
    with Environment(tiny, cache=False) as environment:
        assert environment.lock(said.append) == ""
    assert any("lock file" in line for line in said)  # Poetry wrote it


def test_a_project_with_a_lock_file_keeps_it(tiny: Project) -> None:
    with Environment(tiny) as environment:
        environment.lock(quiet)
    path = tiny.root / "poetry.lock"
    before = path.read_bytes()
    with Environment(tiny) as environment:
        assert environment.lock(quiet) == ""
    assert path.read_bytes() == before


def test_what_the_index_no_longer_has_is_resolved_anew(tiny: Project) -> None:
    with Environment(tiny) as environment:
        environment.lock(quiet)
        spoil(of_resolved(tiny).lock)
    (tiny.root / "poetry.lock").unlink()
    said, _ = up(tiny)
    assert said == "as resolved just now"
    assert installed(tiny).keys() == INSTALLED
    poetry("check", "--lock", cwd=tiny.root)


def spoil(lock: Path) -> None:
    """Have a lock file ask for files of click that no index has."""
    text = lock.read_text()
    start = text.index('name = "click"')
    end = text.index("[[package]]", start)
    words = text[start:end].split('hash = "sha256:')
    spoiled = words[0] + "".join(f'hash = "sha256:{"0" * 64}{word[64:]}' for word in words[1:])
    lock.write_text(text[:start] + spoiled + text[end:])


# uv


def test_uv_installs_what_poetry_would(
    tiny: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = up(tiny)
    assert said == ["", "unpacked by uv"]
    found = installed(tiny)
    assert found == dict.fromkeys(INSTALLED, "uv") | {"tiny": "poetry"}
    kept = poetry("sync", "--dry-run", cwd=tiny.root).stdout
    assert "0 installs, 0 updates, 0 removals" in kept
    other = make(tmp_path / "other")
    assert up(other, use_uv=False)[1] == ""
    assert installed(other) == dict.fromkeys(INSTALLED, "poetry")


def test_a_setting_leaves_uv_out(tmp_path: Path, cache: Path) -> None:
    text = PYPROJECT.replace('package = "tiny"', 'package = "tiny"\nuv = false')
    project = make(tmp_path / "tiny", text)
    assert up(project)[1] == ""
    assert installed(project)["click"] == "poetry"


def test_nothing_is_unpacked_whose_hash_differs(tiny: Project) -> None:
    with Environment(tiny) as environment:
        environment.lock(quiet)
    spoil(tiny.root / "poetry.lock")
    with Environment(tiny) as environment, pytest.raises(MLError, match="corrupt"):
        environment.install(quiet, train=False)
    assert "click" not in installed(tiny)
    assert "uv" not in installed(tiny).values()


@pytest.mark.skipif(os.name == "nt", reason="the failing uv is a shell script")
def test_where_uv_fails_poetry_installs(
    tiny: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has unpacked a package by half, and that does not count as installed."""
    program = tmp_path / "bin/uv"
    program.parent.mkdir()
    half = site(tiny) / "click-8.1.0.dist-info"
    program.write_text(f"#!/bin/sh\nmkdir {half}\necho Name: click > {half}/METADATA\nexit 2\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    assert up(tiny)[1] == ""
    assert installed(tiny) == dict.fromkeys(INSTALLED, "poetry")
    assert not half.exists()


def test_the_users_settings_of_uv_do_not_choose_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", "http://127.0.0.1:9/simple/")
    monkeypatch.setenv("UV_LINK_MODE", "copy")
    found = uv.environment("https://user:secret@example.org/simple/")
    assert "UV_EXTRA_INDEX_URL" not in found
    assert found["UV_LINK_MODE"] == "copy"
    assert found["UV_DEFAULT_INDEX"] == "https://user:secret@example.org/simple/"


# The rest


@pytest.mark.usefixtures("without_uv")
def test_what_a_training_needs_comes_first(tiny: Project) -> None:
    with Environment(tiny) as environment:
        environment.lock(quiet)
        environment.install(quiet)
        assert {"click", "packaging", "tiny"} <= installed(tiny).keys()
        assert environment.has_rest
        environment.rest(quiet)
        assert not environment.has_rest
        assert installed(tiny).keys() == INSTALLED


@pytest.mark.usefixtures("without_uv")
def test_a_failed_training_does_not_stop_the_rest(tiny: Project) -> None:
    with Environment(tiny) as environment:
        environment.lock(quiet)
        environment.install(quiet)
    assert installed(tiny).keys() == INSTALLED


@pytest.mark.usefixtures("without_uv")
def test_what_was_imported_last_time_is_compiled_beside(tiny: Project, tmp_path: Path) -> None:
    with Environment(tiny) as environment:
        environment.lock(quiet)
        environment.install(quiet)
        environment.rest(quiet)
        env = venv.find(tiny.root)
        assert env is not None
        run(env.python, "-c", "import click.testing", cwd=tmp_path)
        environment.remember()
    imported = of_resolved(tiny).imported()
    assert {"click/__init__.py", "click/testing.py"} <= {*imported}
    assert "packaging/version.py" not in imported
    other = make(tmp_path / "other")
    with Environment(other) as environment:
        environment.lock(quiet)
        environment.install(quiet)
        until(lambda: bytecode.compiled(site(other)) and compiled(other) >= {*imported})
    assert compiled(other) == {*imported}


def compiled(project: Project) -> set[str]:
    return set(bytecode.compiled(site(project)))


def test_what_is_compiled_is_listed_in_the_order_of_its_imports(tmp_path: Path) -> None:
    for n, name in enumerate(("b", "a", "deep/c", "d")):
        folder = tmp_path / Path(name).parent / "__pycache__"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{Path(name).name}.cpython-311.pyc"
        path.touch()
        os.utime(path, (n, n))
    assert bytecode.compiled(tmp_path) == ["b.py", "a.py", "deep/c.py", "d.py"]
    assert bytecode.compiled(tmp_path, ["d.py", "x.py", "a.py"]) == [
        *("d.py", "a.py", "b.py", "deep/c.py"),
    ]


def test_who_wants_no_bytecode_of_poetry_gets_it_of_the_project(churn: Churn) -> None:
    for folder in (churn.root / "src").rglob("__pycache__"):
        shutil.rmtree(folder, ignore_errors=True)
    env = {"PYTHONDONTWRITEBYTECODE": "1"}
    poetry("ml", "predict", "--example", cwd=churn.root, env=env)
    assert list((churn.root / "src").rglob("*.pyc"))
