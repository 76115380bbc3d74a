"""Data versions: DVC with remotes on S3, on the web and in a folder; what is not here is named with what brings it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Churn, poetry, run

DATA = "data/raw/penguins.csv"
MODEL = "src/churn/artifacts/model.onnx"


@pytest.fixture(scope="module")
def s3(analysis: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server of S3 with an empty bucket, on this machine: its address, and its process."""
    python = analysis / "bin/python"
    with listening(python, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0") as started:
        request = urllib.request.Request(f"{started[0]}/bucket", method="PUT")
        urllib.request.urlopen(request, timeout=30).close()
        yield started


@contextmanager
def listening(*command: str | Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server that says where it listens, ended at the end: its address, and its process."""
    words = [str(word) for word in command]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
    ) as process:
        assert process.stdout is not None
        try:
            found = None
            for line in process.stdout:
                if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                    break
            assert found, "the server did not start"
            yield found[0], process
        finally:
            process.kill()


class Checkout:
    """A clone of a project, whose commands run in the environment that has DVC."""

    def __init__(self, source: Path, root: Path, analysis: Path, **env: str) -> None:
        self.root = root
        run("git", "clone", "--quiet", source, root, cwd=root.parent)
        for key, value in (("user.name", "Ann"), ("user.email", "ann@example.org")):
            run("git", "config", key, value, cwd=root)
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        self.env = {"VIRTUAL_ENV": str(analysis), "PYTHONPATH": str(root / "src"), **keys, **env}

    def ml(self, *words: str, code: int = 0) -> str:
        done = poetry("ml", *words, cwd=self.root, code=code, env=self.env)
        return done.stdout + done.stderr

    def commit(self) -> None:
        run("git", "add", "--all", cwd=self.root)
        run("git", "commit", "--quiet", "--message", "Change it", cwd=self.root)


@pytest.fixture
def checkout(churn: Churn, analysis: Path, tmp_path: Path) -> Checkout:
    (tmp_path / "first").mkdir()
    return Checkout(churn.root, tmp_path / "first" / "churn", analysis)


def test_data_goes_to_s3_and_comes_back_in_a_clone_where_it_is_trained_on_and_reproduced(
    checkout: Checkout, s3: tuple[str, subprocess.Popen[str]], analysis: Path, tmp_path: Path
) -> None:
    root, content = checkout.root, (checkout.root / DATA).read_bytes()
    refused = checkout.ml("data", "add", DATA, code=1)
    assert f"{DATA} is kept by git, and can be kept by one of them only" in refused
    run("git", "rm", "--quiet", "--cached", DATA, cwd=root)
    assert "Next: git add" in checkout.ml("data", "add", DATA)
    assert "No remote is set. Run: poetry ml data remote URL" in checkout.ml("data", "push", code=1)
    checkout.ml("data", "remote", "s3://bucket/churn", "--endpoint-url", s3[0])
    assert "* storage  s3://bucket/churn" in checkout.ml("data", "remote")
    checkout.ml("data", "push")
    checkout.commit()
    assert DATA not in run("git", "ls-files", cwd=root).stdout.splitlines()

    (tmp_path / "second").mkdir()
    second = Checkout(root, tmp_path / "second" / "churn", analysis)
    refused = second.ml("train", code=1)
    assert f"{DATA} is kept by DVC, and not here. Run: poetry ml data pull" in refused
    # Straight from the remote: neither the clone nor its cache has the data.
    assert "byte-identical" in second.ml("reproduce")
    assert not (second.root / DATA).exists()
    second.ml("data", "pull")
    assert (second.root / DATA).read_bytes() == content
    assert "accuracy" in second.ml("train")
    assert "up to date" in second.ml("data", "status")

    s3[1].kill()
    refused = second.ml("data", "status", code=1)
    assert (
        "The remote storage is s3://bucket/churn. Credentials come from AWS_ACCESS_KEY_ID"
        in refused
    )
    assert "run the command again" in refused


def test_artifacts_of_dvc_are_built_as_real_bytes_or_not_at_all_and_come_from_the_web(
    checkout: Checkout, analysis: Path, tmp_path: Path
) -> None:
    root, remote = checkout.root, tmp_path / "remote"
    run("git", "rm", "--quiet", "--cached", MODEL, cwd=root)
    checkout.ml("data", "add", MODEL)
    checkout.ml("data", "remote", str(remote))
    checkout.ml("data", "push")
    web = (sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", remote)
    with listening(*web) as (url, _):
        checkout.ml("data", "remote", url, "--name", "public")
        checkout.commit()
        (tmp_path / "second").mkdir()
        second = Checkout(root, tmp_path / "second" / "churn", analysis)
        built = poetry("build", cwd=second.root, code=1, env=second.env)
        assert 'model.onnx is missing. Run "poetry ml data pull"' in built.stdout + built.stderr
        assert 'Run "poetry ml data pull"' in second.ml("deploy", "docker", code=1)
        second.ml("data", "pull")
        poetry("build", cwd=second.root, env=second.env)
    refused = second.ml("data", "status", code=1)
    assert "The remote public is http://127.0.0.1" in refused
    assert "read-only" in refused


def test_what_cannot_be_kept_is_said_before_anything_is_done(
    checkout: Checkout, tmp_path: Path
) -> None:
    assert "poetry ml data add PATH" in checkout.ml("data", "pull", code=1)
    assert "does not exist. Nothing was added" in checkout.ml("data", "add", "data/none", code=1)
    (tmp_path / "outside.csv").touch()
    outside = str(tmp_path / "outside.csv")
    assert "Copy it into data/ first" in checkout.ml("data", "add", outside, code=1)
    refused = checkout.ml("data", "remote", "s3://key:secret@bucket/churn", code=1)
    assert "holds a credential" in refused
    assert "secret@" not in refused
    run("git", "reset", "--quiet", "--hard", cwd=checkout.root)
    refused = checkout.ml("data", "push", "--remote", "none", code=1)
    assert "keeps no data" in refused or 'There is no remote "none"' in refused


def test_a_folder_of_a_thousand_small_files_is_better_as_an_archive(checkout: Checkout) -> None:
    folder = checkout.root / "data/interim/images"
    folder.mkdir(parents=True)
    for n in range(1_000):
        (folder / f"{n}.txt").write_text(str(n))
    said = checkout.ml("data", "add", "data/interim/images")
    assert "images has 1,000 files of 0.0 KB on average" in said
    assert "tar -czf images.tar.gz images" in said
    checkout.commit()
    assert "data/interim/images.dvc" in run("git", "ls-files", cwd=checkout.root).stdout


def test_without_dvc_a_command_offers_to_add_it(churn: Churn, tmp_path: Path) -> None:
    checkout = Checkout(churn.root, tmp_path / "churn", churn.python.parents[1])
    assert "This needs dvc. Run: poetry ml add data. Or pass --yes." in checkout.ml(
        "data", "status", code=1
    )
