"""A project from a stranger: nothing of it runs, nothing is written outside it, nothing fails open."""

from __future__ import annotations

import ast
import gzip
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import REPOSITORY, Churn, poetry, run
from test_checks import not_ok, replace, results

from poetry_ml_plugin.audit import artifacts
from poetry_ml_plugin.build import contents
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import git, inside
from poetry_ml_plugin.project import edit, pyproject
from poetry_ml_plugin.project.pyproject import Project
from poetry_ml_plugin.template import extras, update

MANIFEST = "src/churn/artifacts/manifest.json"
NOBODY = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}  # no registry
NO_ENV = {"POETRY_VIRTUALENVS_CREATE": "false"}


def project_in(root: Path) -> Project:
    found = pyproject.read(root)
    assert found is not None
    return found


# The guard fails closed.


def with_setting(line: str) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        replace(root, "pyproject.toml", 'package = "churn"', f'package = "churn"\n{line}')

    return damage


def with_names(*names: str) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        manifest = json.loads((root / MANIFEST).read_text())
        manifest["artifacts"] |= dict.fromkeys(names, manifest["artifacts"]["model.onnx"])
        (root / MANIFEST).write_text(json.dumps(manifest))

    return damage


def as_folder(name: str) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        (root / "src/churn/artifacts" / name).unlink()
        (root / "src/churn/artifacts" / name).mkdir()

    return damage


def pending(root: Path) -> None:
    (root / "src/churn/.artifacts-committed").mkdir()


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no glob": (with_setting('not-secret = [""]'), "not-secret has an entry that names no file"),
    "a dot": (with_setting('not-secret = ["."]'), "not-secret has an entry that names no file"),
    "a number": (with_setting("strict = 1"), "strict must be true or false"),
    "absolute": (with_names("/etc/passwd"), "/etc/passwd in manifest.json is outside artifacts/"),
    "a drive": (with_names("C:\\\\x.onnx"), "in manifest.json is outside artifacts/"),
    "above": (with_names("../x.onnx"), "../x.onnx in manifest.json is outside artifacts/"),
    "no name": (with_names(""), "in manifest.json is outside artifacts/"),
    "bad bytes": (lambda root: (root / MANIFEST).write_bytes(b'{"\xff'), "not a valid manifest"),
    "deep": (lambda root: (root / MANIFEST).write_text("[" * 100_000), "not a valid manifest"),
    "half a letter": (
        lambda root: (root / MANIFEST).write_text(
            '{"artifacts": {"\\ud800": {"sha256": "", "size": 1}}}'
        ),
        "not a valid manifest",
    ),
    "an artifact that is a folder": (as_folder("model.onnx"), "model.onnx is a folder, not a file"),
    "a manifest that is a folder": (as_folder("manifest.json"), "manifest.json is a folder, not a"),
    "a killed training": (
        pending,
        "src/churn/.artifacts-committed holds the new ones. Run: poetry run python -m churn verify",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_odd_is_one_sentence_and_is_not_built(copy: Path, name: str) -> None:
    damage, said = BROKEN[name]
    damage(copy)
    try:
        problems = contents.before(project_in(copy))
    except MLError as error:
        assert said in str(error)
        return
    assert any(said in f"{problem.message}. {problem.hint}" for problem in problems)
    assert all("\n" not in problem.message for problem in problems)
    found = results(copy)
    assert found["artifacts"].status in ("error", "warning")
    assert {"deploy-docker", "deploy-heroku", "artifacts"} <= not_ok(found).keys()


def test_a_build_that_cannot_be_checked_is_refused_with_the_way_around(
    copy: Path, tmp_path: Path
) -> None:
    """Whatever goes wrong in the guard itself."""
    broken = "import poetry_ml_plugin.audit.leaks as it\nit.in_tree = lambda project: 1 / 0\n"
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(broken)
    env = {
        **NO_ENV,
        "PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
    }
    said = poetry("build", cwd=copy, env=env, code=1).stderr
    assert "could not be checked, so it was not built: ZeroDivisionError" in said
    assert "run: poetry --no-plugins build" in said.replace("\n", " ")
    assert not (copy / "dist").exists()
    poetry("--no-plugins", "build", cwd=copy, env=env)
    assert len(list((copy / "dist").iterdir())) == 2
    broken = (
        "import poetry_ml_plugin.build.contents as it\nit.after = lambda project, path: 1 / 0\n"
    )
    (tmp_path / "site/sitecustomize.py").write_text(broken)
    shutil.rmtree(copy / "dist")
    said = poetry("build", cwd=copy, env=env, code=1).stderr
    assert "could not be checked, so it was not built: ZeroDivisionError" in said
    assert list((copy / "dist").iterdir()) == []


def test_a_file_that_cannot_be_read_is_named(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "serve.yaml":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    (problem,) = contents.before(project_in(copy))
    assert problem.message == "configs/serve.yaml cannot be read: Permission denied"


# The runtime says it in a sentence, too.


@pytest.mark.parametrize(
    "name", ["bad bytes", "deep", "an artifact that is a folder", "a manifest that is a folder"]
)
def test_the_project_itself_refuses_odd_artifacts_in_a_sentence(
    churn: Churn, copy: Path, name: str
) -> None:
    BROKEN[name][0](copy)
    for verb in (["predict", "--example"], ["verify"]):
        said = churn.verb(*verb, cwd=copy, code=1).stderr
        assert "Traceback" not in said
        assert "Run: " in said


# One wrapper starts git, with settings of its own.


def test_git_is_started_in_one_place_of_each_program() -> None:
    found = set()
    for folder in ("poetry_ml_plugin", "templates"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_bytes())):
                first = node.elts[:1] if isinstance(node, ast.List | ast.Tuple) else []
                words = [each.value for each in first if isinstance(each, ast.Constant)]
                if (
                    isinstance(node, ast.Constant)
                    and str(node.value).startswith("git ")
                    and is_run(node, path)
                ):
                    words = ["git"]
                if words == ["git"]:
                    found.add(path.relative_to(REPOSITORY).as_posix())
    assert found == {
        "poetry_ml_plugin/host/git.py",
        "templates/project/src/example_model/_runtime/git.py",
    }


def is_run(word: ast.Constant, path: Path) -> bool:
    """Tell whether a text is what a call of a shell is given."""
    tree = ast.parse(path.read_bytes())
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args)
    names = ("system", "popen", "getoutput", "getstatusoutput")
    return any(
        isinstance(call.func, ast.Attribute)
        and call.func.attr in names
        and getattr(call.args[0], "value", None) == word.value
        for call in calls
    )


def seem_bare(folder: Path, witness: Path) -> None:
    """Make a folder look like a repository without a work tree, as a commit can contain one."""
    program = folder / "monitor"
    program.write_text(f"#!/bin/sh\ntouch {witness}\n")
    program.chmod(0o755)
    for name in ("objects", "refs"):
        (folder / name).mkdir()
        (folder / name / ".gitkeep").write_text("")
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "config").write_text(
        f"[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n\tfsmonitor = {program}\n"
    )


def with_a_monitor(root: Path, witness: Path) -> None:
    run("git", "init", "--quiet", cwd=root)
    program = root.parent / "monitor"
    program.write_text(f"#!/bin/sh\ntouch {witness}\n")
    program.chmod(0o755)
    run("git", "config", "core.fsmonitor", program, cwd=root)
    for name in ("pre-commit", "post-checkout", "post-index-change"):
        hook = root / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        shutil.copy(program, hook)


@pytest.mark.parametrize("make", [seem_bare, with_a_monitor], ids=lambda make: make.__name__)
def test_no_program_that_a_repository_names_runs(
    copy: Path, tmp_path: Path, make: Callable[[Path, Path], None]
) -> None:
    witness = tmp_path / "ran"
    make(copy, witness)
    run("git", "status", cwd=copy)
    assert witness.exists()  # so it would
    witness.unlink()
    project = project_in(copy)
    git.tracked(copy), git.untracked(copy), git.sizes(copy), git.revision(copy, ["src"])
    git.ignoring(copy, ["src/churn/data.py"]), git.outer_repository(copy)
    contents.before(project)
    results(copy)
    poetry("ml", "update", "--dry-run", cwd=copy, code=1)
    assert not witness.exists()


def test_polite_calls_of_git_leave_the_environment_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.name")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "Ann")
    before = dict(os.environ)
    with git.safely():
        said = run("git", "config", "--list", cwd=Path("/")).stdout.splitlines()
        assert {"user.name=Ann", "core.fsmonitor=false", "safe.bareRepository=explicit"} <= {
            line.replace("barerepository", "bareRepository") for line in said
        }
    assert dict(os.environ) == before


# Nothing is written through a link that leads out of the project.


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "file").write_text("theirs\n")
    return folder


def link(root: Path, name: str, target: Path) -> None:
    path = root / name
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


WRITERS: dict[str, tuple[str, str, list[str]]] = {
    "check --fix": (".gitignore", "file", ["ml", "check", "--fix"]),
    "deploy docker": (
        "Dockerfile",
        "file",
        ["ml", "deploy", "docker", "--files-only", "--overwrite"],
    ),
    "deploy fly": ("fly.toml", "file", ["ml", "deploy", "fly", "--overwrite"]),
    "deploy kubernetes": ("kubernetes", "", ["ml", "deploy", "kubernetes"]),
    "add ci": (".github", "", ["ml", "add", "ci"]),
    "add devcontainer": (".devcontainer", "", ["ml", "add", "devcontainer"]),
}


@pytest.mark.parametrize("name", WRITERS)
def test_no_command_writes_through_a_link_that_leads_outside(
    copy: Path, outside: Path, name: str
) -> None:
    linked, target, words = WRITERS[name]
    run("git", "init", "--quiet", cwd=copy)
    if name == "deploy kubernetes":
        poetry("ml", "deploy", "docker", "--files-only", cwd=copy)
    (copy / ".env.local").write_text("API_KEY=abc\n")
    link(copy, linked, outside / target)
    done = poetry(*words, cwd=copy, code=1, env=NOBODY)
    assert f"outside {copy}" in (done.stdout + done.stderr).replace("\n", " ")
    assert [path.name for path in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == "theirs\n"


def test_pyproject_is_not_written_through_a_link(copy: Path, outside: Path) -> None:
    shutil.copy(copy / "pyproject.toml", outside / "file")
    link(copy, "pyproject.toml", outside / "file")
    before = (outside / "file").read_text()
    with pytest.raises(MLError, match="leads to"):
        edit.amend(copy, {("tool", "x"): 1})
    assert (outside / "file").read_text() == before


def test_links_within_a_folder_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert inside.resolve(tmp_path / "link/new", tmp_path) == tmp_path / "real/new"
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(MLError):
        inside.resolve(tmp_path / "circle", tmp_path / "real")


@pytest.mark.parametrize("linked", ["src/churn/artifacts", "reports"])
def test_a_training_writes_nothing_through_a_link(
    churn: Churn, copy: Path, outside: Path, linked: str
) -> None:
    link(copy, linked, outside)
    said = churn.verb("train", cwd=copy, code=1).stderr
    assert f"outside {copy}" in said
    assert "Traceback" not in said
    assert [path.name for path in outside.iterdir()] == ["file"]


def test_a_link_that_is_an_artifact_is_replaced_by_a_training(
    churn: Churn, copy: Path, outside: Path
) -> None:
    """As where DVC keeps its cache elsewhere: what the link leads to stays as it is."""
    link(copy, "src/churn/artifacts/model.onnx", outside / "file")
    churn.verb("train", cwd=copy)
    assert not (copy / "src/churn/artifacts/model.onnx").is_symlink()
    assert (outside / "file").read_text() == "theirs\n"


# What a stranger packed.


def packed(*entries: tarfile.TarInfo, content: bytes = b"") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for entry in entries:
            entry.size = len(content) if entry.isreg() else 0
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(out.getvalue())


def linked_entry() -> tarfile.TarInfo:
    entry = tarfile.TarInfo("pyproject.toml")
    entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return entry


def sparse() -> bytes:
    """A header of GNU tar that promises a gigabyte of which nothing is there."""
    entry = tarfile.TarInfo("pyproject.toml")
    entry.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    block[483:495] = b"10000000000\0"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return gzip.compress(bytes(block) + b"\0" * 1024)


BASES: dict[str, bytes] = {
    "nothing": b"",
    "no gzip": b"broken",
    "cut short": gzip.compress(b"\0" * 10_000)[:20],
    "no tar": gzip.compress(b"x" * 2000),
    "empty": packed(),
    "outside": packed(tarfile.TarInfo("../pyproject.toml")),
    "absolute": packed(tarfile.TarInfo("/pyproject.toml")),
    "git's own": packed(tarfile.TarInfo(".git/hooks/pre-commit")),
    "a link": packed(linked_entry()),
    "bad bytes": packed(tarfile.TarInfo("pyproject.toml"), content=b"\xff\xfe"),
    "no names": packed(tarfile.TarInfo("pyproject.toml"), content=b"[project]\n"),
    "sparse": sparse(),
}


@pytest.mark.parametrize("name", BASES)
def test_a_broken_base_is_one_sentence(copy: Path, name: str) -> None:
    (copy / update.BASE).write_bytes(BASES[name])
    with pytest.raises(
        MLError, match=r"poetry-ml-base.tar.gz cannot be (unpacked|used): "
    ) as error:
        update.plan(copy)
    assert str(error.value).count("\n") == 0


def test_a_sparse_member_of_an_sdist_is_refused(copy: Path) -> None:
    archive = copy / "churn-0.1.0.tar.gz"
    archive.write_bytes(sparse())
    (problem,) = contents.after(project_in(copy), archive)
    assert "cannot be read" in problem.message


# Nothing with credentials is sent.


@pytest.mark.parametrize(
    "name",
    [
        ".github/workflows/ci.yml",
        "docs/notes.rst",
        "compose.yaml",
        "src/churn/notes.txt",
        "ops/a.tf",
    ],
)
def test_what_a_build_refuses_is_not_deployed(copy: Path, name: str) -> None:
    run("git", "init", "--quiet", cwd=copy)
    (copy / name).parent.mkdir(parents=True, exist_ok=True)
    (copy / name).write_text('\npassword = "Sw0rdfish-9"\n')
    run("git", "add", "--all", cwd=copy)
    said = f"{name}, line 2, looks like"
    assert any(said in problem.message for problem in contents.before(project_in(copy)))
    for target in ("docker", "heroku"):
        done = poetry("ml", "deploy", target, cwd=copy, code=1)
        assert said in done.stderr
        assert "Sw0rdfish" not in done.stderr


def test_what_git_ignores_and_an_image_would_have_is_searched(copy: Path) -> None:
    run("git", "init", "--quiet", cwd=copy)
    (copy / ".gitignore").write_text("notes.txt\n")
    (copy / "src/churn/notes.txt").write_text('password = "Sw0rdfish-9"\n')
    said = poetry("ml", "deploy", "docker", cwd=copy, code=1).stderr
    assert "src/churn/notes.txt, line 1, looks like" in said


def test_names_of_a_manifest_stay_below_its_folder() -> None:
    for name in ("", ".", "/x", "../x", "a/../../x", "C:/x", "C:x", "\\\\host\\x", "a\\..\\x"):
        assert not artifacts.is_inside(name), name
    for name in ("model.onnx", "a/b.json", "..model", "a b"):
        assert artifacts.is_inside(name), name


def test_an_extra_is_refused_below_a_link(copy: Path, outside: Path) -> None:
    link(copy, ".devcontainer", outside)
    with pytest.raises(MLError, match="leads to"):
        extras.plan(project_in(copy), "devcontainer")
