"""`poetry build`: the trained artifacts travel; what is broken, lost or secret does not get out."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROWS, Churn, poetry, run

MODEL = "churn/artifacts/model.onnx"
MANIFEST = "src/churn/artifacts/manifest.json"
BACKEND = "import sys; from poetry.core.masonry import api; api.build_wheel(sys.argv[1])"


@pytest.fixture(autouse=True)
def no_virtualenv_for_each_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POETRY_VIRTUALENVS_CREATE", "false")


def built(root: Path, pattern: str) -> Path:
    (found,) = (root / "dist").glob(pattern)
    return found


def content(archive: Path) -> dict[str, bytes]:
    """Every file of a wheel or an sdist, by its name there, an sdist's own folder left off."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist()}
    with tarfile.open(archive) as sdist:
        files = {info.name: sdist.extractfile(info) for info in sdist if info.isfile()}
        return {name.partition("/")[2]: file.read() for name, file in files.items() if file}


def front_end_wheel(root: Path, dist: Path) -> Path:
    """What `pip wheel` and `python -m build` make: they ask the build backend, and no Poetry."""
    dist.mkdir()
    run(sys.executable, "-c", BACKEND, dist, cwd=root)
    (wheel,) = dist.glob("*.whl")
    return wheel


def tracked(root: Path) -> Path:
    run("git", "init", "--quiet", cwd=root)
    return root


def git_ignored(root: Path) -> Path:
    with (root / ".gitignore").open("a") as file:
        file.write("\n*.onnx\nsrc/churn/artifacts/*\n")
    return tracked(root)


def kept_by_dvc(root: Path) -> Path:
    artifacts = root / "src/churn/artifacts"
    (artifacts / ".gitignore").write_text("/model.onnx\n")
    (artifacts / "model.onnx.dvc").write_text("outs:\n- md5: 0123\n  path: model.onnx\n")
    return tracked(root)


def outside_git(root: Path) -> Path:
    return root


def in_a_monorepo(root: Path) -> Path:
    inner = root.parent / "mono/models/churn"
    inner.parent.mkdir(parents=True)
    root.rename(inner)
    (root.parent / "mono/.gitignore").write_text("artifacts/\n*.onnx\ndist/\n")
    run("git", "init", "--quiet", cwd=root.parent / "mono")
    return inner


@pytest.mark.parametrize(
    "placed",
    [tracked, git_ignored, kept_by_dvc, outside_git, in_a_monorepo],
    ids=lambda p: p.__name__,
)
def test_wheel_sdist_and_wheel_from_sdist_carry_the_artifacts(
    churn: Churn, copy: Path, tmp_path: Path, placed: Callable[[Path], Path]
) -> None:
    model = (churn.root / "src" / MODEL).read_bytes()
    root = placed(copy)
    if (root / ".git").exists():
        run("git", "add", "--all", cwd=root)
        known = run("git", "ls-files", cwd=root).stdout.split()
        assert (f"src/{MODEL}" in known) == (placed is tracked)

    poetry("build", cwd=root)
    assert content(built(root, "*.whl"))[MODEL] == model
    assert content(built(root, "*.tar.gz"))[f"src/{MODEL}"] == model
    with tarfile.open(built(root, "*.tar.gz")) as archive:
        archive.extractall(tmp_path / "sdist", filter="data")
    (unpacked,) = (tmp_path / "sdist").iterdir()
    assert content(front_end_wheel(unpacked, tmp_path / "again"))[MODEL] == model


def test_two_builds_of_one_tree_are_the_same_to_the_last_byte(copy: Path, tmp_path: Path) -> None:
    shutil.copytree(copy, tmp_path / "other")
    os.utime(tmp_path / "other/src/churn/__main__.py", (1, 1))
    for root in (copy, tmp_path / "other"):
        poetry("build", cwd=root)
    for pattern in ("*.whl", "*.tar.gz"):
        one, other = (built(root, pattern) for root in (copy, tmp_path / "other"))
        assert one.read_bytes() == other.read_bytes()


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
    ("command", "damage", "said"),
    [
        ("build", lambda file: file.unlink(), "there is no trained model"),
        (
            "publish --build --dry-run",
            lambda file: file.write_text("[]"),
            "is not a valid manifest",
        ),
        (
            "publish --dry-run",
            lambda file: file.with_name("model.onnx").write_bytes(b""),
            "model.onnx is empty",
        ),
    ],
    ids=["no manifest", "an empty manifest", "an empty model"],
)
def test_broken_artifacts_are_neither_built_nor_published(
    copy: Path, command: str, damage: Callable[[Path], object], said: str
) -> None:
    damage(copy / MANIFEST)
    done = poetry(*command.split(), cwd=copy, code=1)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (copy / "dist").exists()


def test_every_problem_is_named_at_once_with_a_hint(copy: Path, tmp_path: Path) -> None:
    artifacts = copy / "src/churn/artifacts"
    manifest = json.loads((copy / MANIFEST).read_text())
    entry = manifest["artifacts"]["model.onnx"]
    names = ["gone.onnx", "lfs.onnx", "dvc.onnx", "pulled.onnx", "link.onnx", "old.skops"]
    manifest["artifacts"] |= dict.fromkeys(names, entry)
    manifest["artifacts"]["../out.onnx"] = entry
    manifest["artifacts"]["changed.json"] = entry | {"size": 1}
    manifest["artifacts"]["old.skops"] = entry | {
        "format": "skops",
        "libraries": {"scikit-learn": "0.1"},
    }
    (copy / MANIFEST).write_text(json.dumps(manifest))
    shutil.copy(artifacts / "model.onnx", artifacts / "old.skops")
    shutil.copy(artifacts / "model.onnx", tmp_path / "link.onnx")
    (artifacts / "link.onnx").symlink_to(tmp_path / "link.onnx")
    (artifacts / "model.onnx").write_bytes((artifacts / "model.onnx").read_bytes()[:1000])
    changed = b"[]"
    (artifacts / "changed.json").write_bytes(changed)
    lfs = f"version https://git-lfs.github.com/spec/v1\noid sha256:{entry['sha256']}\nsize 1\n"
    (artifacts / "lfs.onnx").write_text(lfs)
    (artifacts / "dvc.onnx").write_text("outs:\n- md5: 0123\n  path: dvc.onnx\n")
    (artifacts / "pulled.onnx.dvc").write_text("outs:\n- md5: 0123\n  path: pulled.onnx\n")
    (artifacts / "more.onnx").write_bytes(b"unlisted")
    (copy / "src/churn/dangling.txt").symlink_to("nowhere")
    with (copy / "configs/serve.yaml").open("a") as file:
        file.write("password: swordfish\n")
    last = len((copy / "configs/serve.yaml").read_text().splitlines())

    said = poetry("build", cwd=copy, code=1).stderr
    for words in (
        "gone.onnx is missing. Run",
        'pulled.onnx is missing. Run "poetry ml data pull"',
        "model.onnx is truncated: 1,000 of",
        "changed.json differs from its manifest. Run",
        'lfs.onnx is a git-LFS pointer, not the file itself. Run "git lfs pull"',
        'dvc.onnx is a DVC pointer, not the file itself. Run "poetry ml data pull"',
        "more.onnx is not in the manifest. Save it",
        "../out.onnx in manifest.json is outside artifacts/",
        f"link.onnx is a link to {tmp_path / 'link.onnx'} outside the project",
        "dangling.txt is a link to",
        "old.skops was written by scikit-learn 0.1",
        f'configs/serve.yaml, line {last}, looks like a value for "password". Keep it',
    ):
        assert words in said
    assert said.count("\n  - ") == 12
    assert "swordfish" not in said
    assert not (copy / "dist").exists()


def test_a_folder_that_dvc_keeps_is_pulled(copy: Path) -> None:
    shutil.rmtree(copy / "src/churn/artifacts")
    (copy / "src/churn/artifacts.dvc").write_text("outs:\n- md5: 0123.dir\n  path: artifacts\n")
    said = poetry("build", cwd=copy, code=1).stderr
    assert 'manifest.json is missing: there is no trained model. Run "poetry ml data pull".' in said


def test_what_no_file_can_be_called_is_missing(copy: Path) -> None:
    """A manifest may say anything: it is no reason to build without having looked."""
    manifest = json.loads((copy / MANIFEST).read_text())
    entry = manifest["artifacts"]["model.onnx"]
    manifest["artifacts"] |= {"nul\0": entry, "n" * 300: entry}
    (copy / MANIFEST).write_text(json.dumps(manifest))
    assert poetry("build", cwd=copy, code=1).stderr.count(" is missing. ") == 2


def test_what_depends_on_versions_is_not_built_without_a_lock(copy: Path) -> None:
    (copy / "poetry.lock").unlink()
    poetry("build", "--format", "wheel", cwd=copy)
    manifest = json.loads((copy / MANIFEST).read_text())
    libraries = {"scikit-learn": "1.0"}
    manifest["artifacts"]["model.onnx"] |= {"format": "skops", "libraries": libraries}
    (copy / MANIFEST).write_text(json.dumps(manifest))
    said = poetry("build", cwd=copy, code=1).stderr
    assert (
        "model.onnx depends on the versions of its libraries, but poetry.lock is missing. Run"
        in said
    )


def test_what_would_be_lost_is_said_before_the_build(copy: Path) -> None:
    path = copy / "pyproject.toml"
    plain = path.read_text().replace(', format = ["sdist", "wheel"]', "")
    path.write_text(plain.replace('include = [{ path = "src/churn/artifacts/**/*" }]', ""))
    with (copy / ".gitignore").open("a") as file:
        file.write("\n*.onnx\n")
    run("git", "init", "--quiet", cwd=copy)
    said = poetry("build", cwd=copy, code=1).stderr
    assert "model.onnx would not be in the wheel and the sdist. Write include" in said
    path.write_text(plain)
    assert "model.onnx would not be in the wheel. Write" in poetry("build", cwd=copy, code=1).stderr


def test_what_is_built_is_opened_and_removed_again(copy: Path) -> None:
    """Files that git does not know, and an explicit include: only the archives show them."""
    with (copy / ".gitignore").open("a") as file:
        file.write("\nsrc/churn/.netrc\nsrc/churn/notes.txt\n")
    (copy / "src/churn/.netrc").write_text("machine example.org login ann password 0123456789\n")
    (copy / "src/churn/notes.txt").write_text("the token: 3f1c9a7be2\n")
    path = copy / "pyproject.toml"
    path.write_text(
        path.read_text().replace(
            "include = [{ path =",
            'include = [{ path = "src/churn/*", format = ["sdist", "wheel"] }, { path =',
            1,
        )
    )
    run("git", "init", "--quiet", cwd=copy)
    (copy / "dist").mkdir()
    (copy / "dist/churn-0.0.9-py3-none-any.whl").write_bytes(b"an older one")
    for command in ("build", "publish --build --dry-run --no-interaction"):
        said = poetry(*command.split(), cwd=copy, code=1).stderr
        for archive in ("churn-0.1.0.tar.gz: src/", "churn-0.1.0-py3-none-any.whl: "):
            assert f"{archive}churn/.netrc looks like a credential file" in said
            assert f'{archive}churn/notes.txt, line 1, looks like a value for "token"' in said
        assert "3f1c9a7be2" not in said
        assert [path.name for path in (copy / "dist").iterdir()] == ["churn-0.0.9-py3-none-any.whl"]

    pardon = 'package = "churn"\nnot-secret = ["src/churn/.netrc", "notes.txt"]'
    path.write_text(path.read_text().replace('package = "churn"', pardon))
    poetry("build", cwd=copy)
    assert len(list((copy / "dist").iterdir())) == 3


def test_a_package_that_others_built_is_opened_before_it_is_published(copy: Path) -> None:
    wheel = front_end_wheel(copy, copy / "dist")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("churn/artifacts/more.onnx", b"unlisted")
    said = poetry("publish", "--dry-run", "--no-interaction", cwd=copy, code=1).stderr
    assert f"{wheel.name}: more.onnx is not in the manifest" in said
    assert wheel.exists()
    wheel.write_bytes(wheel.read_bytes()[:5000])
    said = poetry("publish", "--dry-run", "--no-interaction", cwd=copy, code=1).stderr
    assert f"{wheel.name} cannot be read" in said


def test_what_no_event_of_poetry_reaches_is_refused_when_it_is_loaded(
    churn: Churn, copy: Path, tmp_path: Path
) -> None:
    model = copy / "src" / MODEL
    model.write_bytes(model.read_bytes()[:-1])
    wheel = front_end_wheel(copy, tmp_path / "wheels")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    env = {"PYTHONPATH": str(tmp_path / "installed")}
    command = (churn.python, "-m", "churn", "predict", ROWS)
    done = run(*command, cwd=tmp_path, env=env, code=1)
    assert "model.onnx is truncated" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_of_the_environment_gets_into_a_package(copy: Path) -> None:
    canary = "canary-7f3b9d51c2"
    (copy / ".env").write_text(f"CHURN_SERVE_API_KEYS={canary}\n")
    run("git", "init", "--quiet", cwd=copy)
    env = {
        "CHURN_SERVE_API_KEYS": canary,
        "VAULT_TOKEN": canary,
        "POETRY_HTTP_BASIC_X_PASSWORD": canary,
    }
    done = poetry("build", "-vvv", cwd=copy, env=env)
    assert canary not in done.stdout + done.stderr
    for archive in (copy / "dist").iterdir():
        for name, data in content(archive).items():
            assert canary.encode() not in data, name
            assert Path(name).name != ".env"
