"""`poetry ml update`: what the template has become is merged, what the user made of it stays."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from conftest import poetry, run

from poetry_ml_plugin.adopt import inspect, plan
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.project.names import Names
from poetry_ml_plugin.template import find, render, scaffold, update
from poetry_ml_plugin.template.render import File

BASE = str(update.BASE)
LINES = "".join(f"line {n} of our_model\n" for n in range(1, 31))
PYPROJECT = """\
[project]
name = "our-model"
version = "{version}"
description = "What it is for."
requires-python = ">=3.10"

[tool.poetry-ml-plugin]
package = "our_model"

[tool.poetry-ml-plugin.template]
word = "our_model"
"""
TREE = {
    "README.md": "# our-model\n\nWhat it is for.\n",
    "data/raw/rows.csv": "a,b\n1,2\n",
    "guide.txt": LINES,
    "old.txt": LINES.replace("line", "old line"),
    "src/our_model/__init__.py": "",
    "src/our_model/models/model.py": LINES.replace("line", "# line"),
}

Git = Callable[..., str]


def git(*words: str | Path, cwd: Path, code: int = 0) -> str:
    return run("git", *words, cwd=cwd, code=code).stdout


def fill(folder: Path, tree: dict[str, str | None]) -> None:
    for name, text in tree.items():
        if text is None:
            (folder / name).unlink()
        else:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ann")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ann@example.org")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A template, and beside it a project made from it."""
    place = tmp_path_factory.mktemp("made-from-template")
    fill(place / "template", {**TREE, "pyproject.toml": PYPROJECT.format(version="1")})
    poetry("ml", "new", "churn", "--template", "template", "--no-install", "--no-git", cwd=place)
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    commit(tmp_path / "churn")
    return tmp_path


def commit(root: Path, tree: dict[str, str | None] | None = None) -> None:
    if git("rev-parse", "--show-toplevel", cwd=root.parent, code=128 if is_top(root) else 0) == "":
        git("init", "--quiet", cwd=root)
    fill(root, tree or {})
    git("add", "--all", cwd=root)
    git("commit", "--quiet", "--allow-empty", "--message", "mine", cwd=root)


def is_top(root: Path) -> bool:
    done = subprocess.run(["git", "rev-parse"], cwd=root.parent, capture_output=True, check=False)
    return done.returncode == 128


def change(place: Path, tree: dict[str, str | None], version: str = "2") -> None:
    """A new version of the template."""
    fill(place / "template", {"pyproject.toml": PYPROJECT.format(version=version), **tree})


def edited(text: str, number: int, word: str) -> str:
    return text.replace(f"line {number} of", f"line {number} {word} of")


def merged(root: Path, *options: str, code: int = 0) -> str:
    done = poetry("ml", "update", *options, cwd=root, code=code)
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def status(root: Path) -> str:
    return git("status", "--porcelain", cwd=root)


CHURN = LINES.replace("our_model", "churn")


def test_different_lines_are_merged(place: Path) -> None:
    root = place / "churn"
    commit(root, {"guide.txt": edited(CHURN, 3, "mine")})
    change(place, {"guide.txt": edited(LINES, 20, "theirs"), "new.txt": "for our_model\n"})
    said = merged(root)
    assert (root / "guide.txt").read_text() == edited(edited(CHURN, 3, "mine"), 20, "theirs")
    assert (root / "new.txt").read_text() == "for churn\n"
    assert 'template-version = "2"' in (root / "pyproject.toml").read_text()
    assert "poetry lock" in said
    assert set(status(root).splitlines()) == {
        f"M  {BASE}",
        "M  guide.txt",
        "A  new.txt",
        "M  pyproject.toml",
    }


def test_the_same_line_is_a_conflict_of_gits(place: Path) -> None:
    root = place / "churn"
    commit(root, {"guide.txt": edited(CHURN, 3, "mine")})
    change(place, {"guide.txt": edited(LINES, 3, "theirs")})
    said = merged(root, code=1)
    text = (root / "guide.txt").read_text()
    assert "<<<<<<< HEAD\nline 3 mine of churn\n=======\nline 3 theirs of churn\n>>>>>>> " in text
    assert "guide.txt: you and the template changed the same lines" in said
    assert "UU guide.txt" in status(root)
    git("reset", "--merge", cwd=root)  # which the command names as the way back
    assert status(root) == ""
    assert (root / "guide.txt").read_text() == edited(CHURN, 3, "mine")


def test_a_file_i_renamed_and_edited_is_followed(place: Path) -> None:
    root = place / "churn"
    mine = edited(CHURN.replace("line", "# line"), 3, "mine")
    commit(root, {"src/churn/models/model.py": None, "src/churn/models/forest.py": mine})
    change(
        place,
        {"src/our_model/models/model.py": edited(LINES.replace("line", "# line"), 20, "theirs")},
    )
    merged(root)
    text = (root / "src/churn/models/forest.py").read_text()
    assert "line 3 mine" in text
    assert "line 20 theirs" in text
    assert not (root / "src/churn/models/model.py").exists()


def test_a_renamed_package_is_followed(place: Path) -> None:
    root = place / "churn"
    git("mv", "src/churn", "src/attrition", cwd=root)
    commit(root)
    change(place, {"src/our_model/models/model.py": LINES.replace("line", "# a line")})
    merged(root)
    assert "# a line 1 of churn" in (root / "src/attrition/models/model.py").read_text()
    assert not (root / "src/churn").exists()


def test_a_file_i_removed_and_the_template_changed_stays_removed(place: Path) -> None:
    root = place / "churn"
    commit(root, {"guide.txt": None})
    change(place, {"guide.txt": edited(LINES, 3, "theirs"), "new.txt": "new\n"})
    for options in (["--dry-run"], []):
        said = merged(root, *options)
        assert "guide.txt: stays removed, as you removed it" in said
        assert "conflict" not in said
    git("commit", "--quiet", "--all", "--message", "as it says", cwd=root)
    assert not (root / "guide.txt").exists()
    assert (root / "new.txt").exists()
    assert "guide.txt" not in merged(root)  # told once for each change of it
    change(place, {"guide.txt": edited(LINES, 20, "again")}, "3")
    assert "guide.txt: stays removed" in merged(root)


def test_a_removed_file_that_i_have_untracked_is_not_touched(place: Path) -> None:
    root = place / "churn"
    git("rm", "--quiet", "--cached", "guide.txt", cwd=root)
    fill(root, {"guide.txt": "private\n", ".gitignore": "guide.txt\n"})
    commit(root)
    change(place, {"guide.txt": edited(LINES, 3, "theirs")})
    merged(root)
    assert (root / "guide.txt").read_text() == "private\n"


def test_a_file_i_removed_stays_removed(place: Path) -> None:
    root = place / "churn"
    commit(root, {"guide.txt": None})
    change(place, {"old.txt": None})
    merged(root)
    assert not (root / "guide.txt").exists()


def test_what_the_template_removed_goes_unless_i_edited_it(place: Path) -> None:
    root = place / "churn"
    commit(root, {"guide.txt": edited(CHURN, 3, "mine")})
    change(place, {"guide.txt": None, "old.txt": None})
    said = merged(root, code=1)
    assert not (root / "old.txt").exists()
    assert "removed  old.txt" in said
    assert "guide.txt: you changed it, the template removed it" in said
    assert (root / "guide.txt").read_text() == edited(CHURN, 3, "mine")


@pytest.mark.parametrize("ignored", [False, True], ids=["untracked", "git-ignored"])
@pytest.mark.parametrize("name", ["new/file.txt", "new", "new/file.txt/deep"])
def test_untracked_files_in_the_way_are_named_before_anything_happens(
    place: Path, name: str, ignored: bool
) -> None:
    root = place / "churn"
    if ignored:
        commit(root, {".gitignore": "new*\n"})
    fill(root, {name: "precious\n"})
    before = status(root)
    change(place, {"new/file.txt": "x\n", "guide.txt": edited(LINES, 3, "theirs")})
    for options in (["--dry-run"], []):
        said = merged(root, *options, code=1)
        assert "\n  new" in said
        assert "guide.txt" not in said
    assert (root / name).read_text() == "precious\n"
    assert status(root) == before


def test_a_dirty_tree_is_refused(place: Path) -> None:
    root = place / "churn"
    change(place, {"guide.txt": edited(LINES, 3, "theirs")})
    fill(root, {"guide.txt": "dirty\n", "untracked.txt": ""})
    said = merged(root, code=1)
    assert "guide.txt" in said
    assert "git stash" in said
    assert "untracked.txt" not in said
    assert (root / "guide.txt").read_text() == "dirty\n"


def test_a_dry_run_lists_files_and_conflicts_and_changes_nothing(place: Path) -> None:
    root = place / "churn"
    commit(root, {"guide.txt": edited(CHURN, 3, "mine")})
    change(place, {"guide.txt": edited(LINES, 3, "theirs"), "old.txt": None, "new.txt": ""})
    before = git("count-objects", cwd=root)
    said = merged(root, "--dry-run", code=1)
    for words in ("removed  old.txt", "added    new.txt", "conflict guide.txt"):
        assert words in said
    assert status(root) == ""
    assert git("count-objects", cwd=root) == before
    assert not (root / "new.txt").exists()


def test_without_a_change_there_is_nothing_to_merge(place: Path) -> None:
    assert "Nothing to merge" in merged(place / "churn")
    assert status(place / "churn") == ""


def squash(root: Path, place: Path) -> Path:
    tree = git("rev-parse", "HEAD^{tree}", cwd=root).strip()
    alone = git("commit-tree", tree, "-m", "all in one", cwd=root).strip()
    git("reset", "--quiet", "--hard", alone, cwd=root)
    git("reflog", "expire", "--expire=now", "--all", cwd=root)
    git("gc", "--quiet", "--prune=now", cwd=root)
    return root


def shallow(root: Path, place: Path) -> Path:
    git("clone", "--quiet", "--depth", "1", root.as_uri(), "copy", cwd=place)
    return place / "copy"


def clone(root: Path, place: Path) -> Path:
    git("clone", "--quiet", root, "copy", cwd=place)
    return place / "copy"


@pytest.mark.parametrize("how", [squash, shallow, clone], ids=["squash", "shallow", "clone"])
def test_the_history_is_not_needed(place: Path, how: Callable[[Path, Path], Path]) -> None:
    root = place / "churn"
    commit(root, {"guide.txt": edited(CHURN, 3, "mine")})
    change(place, {"guide.txt": edited(LINES, 20, "theirs")})
    root = how(root, place)
    merged(root)
    assert (root / "guide.txt").read_text() == edited(edited(CHURN, 3, "mine"), 20, "theirs")


def test_in_a_sub_folder_of_a_repository_nothing_else_is_touched(place: Path) -> None:
    (place / "repository/services").mkdir(parents=True)
    git("init", "--quiet", cwd=place / "repository")
    for name in (
        "churn",
        "other",
    ):  # a twin, which a removed file must not be taken to have moved to
        target = place / "repository/services" / name
        shutil.copytree(place / "churn", target, ignore=shutil.ignore_patterns(".git"))
    fill(place / "repository", {"services/churn/guide.txt": None, "guide.txt": CHURN})
    git("mv", place / "template", place / "repository/templates", cwd=place, code=128)
    shutil.copytree(place / "template", place / "repository/template")
    root = place / "repository/services/churn"
    commit(root)
    change(place, {"guide.txt": edited(LINES, 3, "theirs"), "old.txt": None, "new.txt": ""})
    said = merged(root, "--template", str(place / "template"))
    assert "guide.txt: stays removed, as you removed it" in said
    assert {line[3:] for line in status(root).splitlines()} == {
        f"services/churn/{name}" for name in (BASE, "new.txt", "old.txt", "pyproject.toml")
    }


def test_two_updates_in_a_row_and_a_clone_after_a_solved_conflict(place: Path) -> None:
    root = place / "churn"
    commit(root, {"guide.txt": edited(CHURN, 3, "mine")})
    change(place, {"guide.txt": edited(LINES, 3, "theirs")})
    merged(root, code=1)
    assert "not committed" in merged(root, code=1)  # a second one does not pile up on the first
    commit(root, {"guide.txt": edited(CHURN, 3, "ours")})
    root = clone(root, place)
    assert "Nothing to merge" in merged(root)
    change(place, {"guide.txt": edited(edited(LINES, 3, "theirs"), 20, "again")}, "3")
    merged(root)
    assert (root / "guide.txt").read_text() == edited(edited(CHURN, 3, "ours"), 20, "again")


def test_data_is_mine(place: Path) -> None:
    root = place / "churn"
    commit(root, {"data/raw/rows.csv": "mine\n"})
    change(place, {"data/raw/rows.csv": "theirs\n", "data/raw/more.csv": "theirs\n"})
    merged(root)
    assert (root / "data/raw/rows.csv").read_text() == "mine\n"
    assert not (root / "data/raw/more.csv").exists()


def test_what_i_wish_to_keep_is_left_alone_and_named(place: Path) -> None:
    root = place / "churn"
    wish = 'keep = ["guide.txt", "src/churn/models", "pyproject.toml"]\n'
    text = (root / "pyproject.toml").read_text().replace("package =", f"{wish}package =")
    commit(root, {"pyproject.toml": text, "guide.txt": "all mine\n"})
    change(
        place,
        {"guide.txt": "theirs\n", "old.txt": None, "src/our_model/models/model.py": "theirs\n"},
    )
    said = merged(root)
    assert "kept     guide.txt" in said
    assert "kept     src/churn/models/model.py" in said
    assert set(status(root).splitlines()) == {f"M  {BASE}", "D  old.txt", "M  pyproject.toml"}
    renewed = text.replace('template-version = "1"', 'template-version = "2"')
    assert (
        root / "pyproject.toml"
    ).read_text() == renewed  # it is no wish to be told a wrong version


def test_a_wish_that_is_no_list_is_named(place: Path) -> None:
    root = place / "churn"
    text = (root / "pyproject.toml").read_text().replace("package =", 'keep = "x"\npackage =')
    commit(root, {"pyproject.toml": text})
    assert "must be a list of files and folders" in merged(root, code=1)


def test_line_ends_of_windows_stay(place: Path) -> None:
    root = place / "churn"
    (root / "guide.txt").write_bytes(edited(CHURN, 3, "mine").replace("\n", "\r\n").encode())
    commit(root)
    change(place, {"guide.txt": edited(LINES, 20, "theirs")})
    merged(root)
    expected = edited(edited(CHURN, 3, "mine"), 20, "theirs").replace("\n", "\r\n")
    assert (root / "guide.txt").read_bytes() == expected.encode()


def test_a_project_that_was_renamed_keeps_its_names(place: Path) -> None:
    root = place / "churn"
    text = (root / "pyproject.toml").read_text().replace('name = "churn"', 'name = "attrition"')
    commit(root, {"pyproject.toml": text.replace("What it is for.", "Something else.")})
    change(place, {"guide.txt": edited(LINES, 20, "theirs")})
    merged(root)
    text = (root / "pyproject.toml").read_text()
    assert 'name = "attrition"' in text
    assert "Something else." in text


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (None, "cannot be read"),
        ("no archive", "cannot be unpacked"),
    ],
)
def test_a_lost_base_is_one_clear_line(place: Path, harm: str | None, said: str) -> None:
    root = place / "churn"
    commit(root, {BASE: harm})
    error = merged(root, code=1)
    assert said in error
    assert "git checkout COMMIT" in error


def archive(*entries: tuple[str, bytes, bytes]) -> bytes:
    """A base with these entries beside the usual ones: name, type, content or target of a link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, kind, content in entries:
            entry = tarfile.TarInfo(name)
            entry.type = kind
            if kind == tarfile.REGTYPE:
                entry.size = len(content)
            else:
                entry.linkname = content.decode()
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


HOSTILE = {
    "a parent": ("../evil.txt", tarfile.REGTYPE, b"x"),
    "an absolute path": ("/tmp/evil.txt", tarfile.REGTYPE, b"x"),
    "a parent within": ("src/../../evil.txt", tarfile.REGTYPE, b"x"),
    "git's folder": ("src/.GIT/hooks/post-checkout", tarfile.REGTYPE, b"x"),
    "git's folder on Windows": ("git~1/config", tarfile.REGTYPE, b"x"),
    "a backslash": ("src\\..\\evil.txt", tarfile.REGTYPE, b"x"),
    "a drive": ("C:evil.txt", tarfile.REGTYPE, b"x"),
    "a link": ("link", tarfile.SYMTYPE, b"/etc/passwd"),
    "a hard link": ("link", tarfile.LNKTYPE, b"README.md"),
    "a device": ("zero", tarfile.CHRTYPE, b""),
    "a pipe": ("pipe", tarfile.FIFOTYPE, b""),
    "a folder": ("folder", tarfile.DIRTYPE, b""),
}


@pytest.mark.parametrize("entry", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_base_is_refused(tmp_path: Path, entry: tuple[str, bytes, bytes]) -> None:
    with pytest.raises(MLError, match=r"cannot be unpacked.*git checkout COMMIT"):
        update._unpack(archive(("README.md", tarfile.REGTYPE, b"x"), entry), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_base_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(update.LARGEST + 1))
    with pytest.raises(MLError, match="more than 67,108,864 bytes"):
        update._unpack(bomb, tmp_path)
    (tmp_path / BASE).symlink_to("/dev/zero")
    with pytest.raises(MLError, match="is not a file"):
        update._read(tmp_path)
    (tmp_path / BASE).unlink()
    with (tmp_path / BASE).open("wb") as file:
        file.truncate(update.LARGEST_PACKED + 1)
    with pytest.raises(MLError, match="larger than any"):
        update._read(tmp_path)


@pytest.mark.parametrize(
    ("toml", "python"),
    [
        ('name = "x"\n[tool.poetry-ml-plugin]\npackage = "../../evil"', "3.12"),
        ('name = "x"\n[tool.poetry-ml-plugin]\npackage = 3', "3.12"),
        ('name = "x"\n', "3.12"),
        ('name = "x"\n[tool.poetry-ml-plugin]\npackage = "x"', "banana"),
        ("=", "3.12"),
    ],
    ids=["a path", "a number", "no package", "no Python", "no TOML"],
)
def test_a_base_with_other_words_is_refused(place: Path, toml: str, python: str) -> None:
    root = place / "churn"
    content = f"[project]\n{toml}\n".encode()
    (root / BASE).write_bytes(
        archive(
            ("pyproject.toml", tarfile.REGTYPE, content),
            (".python-version", tarfile.REGTYPE, python.encode()),
        )
    )
    commit(root)
    assert "cannot be used" in merged(root, code=1)
    assert not (place / "evil").exists()


def test_a_project_with_flat_modules_gets_the_folder_and_keeps_my_edits(place: Path) -> None:
    module = {name: LINES.replace("line", f"# {name}") for name in ("config", "manifest", "rows")}
    package = "src/our_model"
    change(
        place,
        {
            **{f"{package}/{name}.py": text for name, text in module.items()},
            f"{package}/service/app.py": LINES.replace("line", "# app"),
            f"{package}/data.py": LINES.replace("line", "# data line"),
            f"{package}/old_only.py": "import our_model.rows\n",
        },
    )
    root = place / "churn"
    merged(root)
    commit(root)
    mine = {
        "README.md": "# churn\n\nWhat it is for.\n\nOurs since 2024.\n",
        "src/churn/data.py": edited(CHURN.replace("line", "# data line"), 3, "mine"),
        "src/churn/models/model.py": edited(CHURN.replace("line", "# line"), 3, "mine"),
        "src/churn/config.py": None,  # not needed, so I thought
        "src/churn/features.py": "mine alone\n",
    }
    commit(root, mine)
    for name in ("config", "manifest", "rows", "old_only", "service/app"):
        (place / f"template/{package}/{name}.py").unlink()
    change(
        place,
        {
            **{f"{package}/_runtime/{n}.py": f"# new {n} of our_model\n" for n in module},
            f"{package}/_runtime/service/app.py": "# a new app of our_model\n",
            f"{package}/models/schema.py": "# rows\n",
            f"{package}/data.py": edited(LINES.replace("line", "# data line"), 20, "theirs"),
            f"{package}/models/model.py": edited(LINES.replace("line", "# line"), 3, "theirs"),
        },
        "3",
    )
    said = merged(root, code=1)
    assert "in _runtime/ now" in said
    assert "poetry ml train" in said
    assert "src/churn/models/model.py: you and the template changed the same lines" in said
    assert said.count("conflict ") == 1
    expected = edited(edited(CHURN.replace("line", "# data line"), 3, "mine"), 20, "theirs")
    assert (root / "src/churn/data.py").read_text() == expected
    assert (root / "README.md").read_text() == mine["README.md"]
    assert (root / "src/churn/features.py").read_text() == "mine alone\n"
    assert "mine" in (root / "src/churn/models/model.py").read_text()
    found = {path.relative_to(root / "src/churn").as_posix() for path in root.rglob("src/**/*.py")}
    assert found == {
        *("__init__.py", "data.py", "features.py", "models/model.py", "models/schema.py"),
        *("_runtime/config.py", "_runtime/manifest.py", "_runtime/rows.py"),
        "_runtime/service/app.py",
    }


def test_without_a_repository_it_says_how_to_get_one(place: Path) -> None:
    shutil.rmtree(place / "churn/.git")
    assert "git init" in merged(place / "churn", code=1)


def test_the_plugins_own_template_is_merged_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names("churn", "churn")
    shipped = find.get("text", tmp_path, tmp_path)
    path = PurePosixPath("src/example_model/_runtime/server/worker.py")
    before = {**shipped.files, path: File(b"# as it was\n" + shipped.files[path].content)}
    older = render.Template(before, shipped.names, shipped.source)
    root = tmp_path / "churn"
    scaffold.write(update.remember(render.plan(names, "3.12", "Mine", older)), root)
    commit(root)
    merged(root)
    assert (root / "src/churn/_runtime/server/worker.py").read_bytes() == shipped.files[
        path
    ].content
    assert set(status(root).splitlines()) == {
        f"M  {BASE}",
        "M  src/churn/_runtime/server/worker.py",
    }
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.0.1")
    with pytest.raises(MLError, match="poetry self update"):
        update.plan(root)


@pytest.mark.skipif(sys.platform == "win32", reason="the old git is a shell script")
def test_a_git_that_is_too_old_is_named(place: Path, tmp_path: Path) -> None:
    real = shutil.which("git")
    old = tmp_path / "old/git"
    fill(
        old.parent,
        {
            "git": f'#!/bin/sh\ncase "$*" in\n*--version*) echo git version 2.25.1 ;;\n*) {real} "$@" ;;\nesac\n'
        },
    )
    old.chmod(0o755)
    env = {"PATH": f"{old.parent}{os.pathsep}{os.environ['PATH']}"}
    said = poetry("ml", "update", cwd=place / "churn", code=1, env=env).stderr
    assert "Install 2.30 or newer" in said


def test_an_unpacked_base_is_what_was_packed(tmp_path: Path) -> None:
    files = render.plan(Names("churn", "churn"), "3.12")
    packed = update.remember(files)[update.BASE].content
    assert packed == update.remember(files)[update.BASE].content
    unpacked = update._unpack(packed, tmp_path)
    assert unpacked == {p: f for p, f in files.items() if p.parts[0] != "data"}
    assert pyproject.TOOL in unpacked[PurePosixPath("pyproject.toml")].content.decode()


def test_a_project_of_init_is_updated(tmp_path: Path) -> None:
    root = tmp_path / "scoring"
    own = '[project]\nname = "scoring"  # ours\nversion = "3"\nrequires-python = ">=3.10"\n'
    fill(root, {"pyproject.toml": own, "README.md": "Ours.\n", "scoring.py": ""})
    todo = plan.plan(inspect.find(root), "3.11")
    plan.apply(todo)
    section = pyproject.load(root / "pyproject.toml")["tool"][pyproject.TOOL]
    version = f'template-version = "{section["template-version"]}"'
    rendered = render.plan(todo.names, "3.11")
    changed = PurePosixPath("src", todo.names.package, "_runtime/service/batching.py")
    older = dict(rendered)
    older[changed] = File(rendered[changed].content.replace(b"Predict for many", b"Guess for some"))
    older[PurePosixPath("README.md")] = File(b"# Older\n")
    older[render.PYPROJECT] = File(
        rendered[render.PYPROJECT].content.replace(version.encode(), b'template-version = "0.0.1"')
    )
    text = (root / "pyproject.toml").read_text()
    assert version in text
    commit(
        root,
        {
            "pyproject.toml": text.replace(version, 'template-version = "0.0.1"'),
            str(changed): older[changed].content.decode(),
        },
    )
    (root / BASE).write_bytes(update.remember(older)[update.BASE].content)
    commit(root)
    merged(root)
    assert (root / changed).read_bytes() == rendered[changed].content
    assert (root / "pyproject.toml").read_text() == text
    assert (root / "README.md").read_text() == "Ours.\n"
    assert set(status(root).splitlines()) == {
        f"M  {BASE}",
        "M  pyproject.toml",
        f"M  {changed}",
    }
