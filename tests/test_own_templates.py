"""Templates: the samples that ship, folders, git URLs; and what must not be one."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from conftest import REPOSITORY, Churn, poetry, run
from test_update import PYPROJECT, fill, git

from poetry_ml_plugin.commands import template_check as command
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import pyproject
from poetry_ml_plugin.project.names import Names
from poetry_ml_plugin.project.pyproject import Project
from poetry_ml_plugin.template import find, render, scaffold

CHURN = Names("churn", "churn")
SAMPLES = [name for name in find.SHIPPED if name != find.DEFAULT]
SMALL = {
    "pyproject.toml": PYPROJECT.format(version="1"),
    "src/our_model/__init__.py": "",
    "README.md": "# our-model\n",
}
# Poetry runs this script of a project as it installs the project.
SCRIPT = 'import pathlib; pathlib.Path({!r}).write_text("was run")\n'
BUILDS = """
[tool.poetry]
packages = [{ include = "our_model", from = "src" }]

[tool.poetry.build]
script = "compile.py"

[build-system]
requires = ["poetry-core (>=2.1,<3)"]
build-backend = "poetry.core.masonry.api"
"""


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ann")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ann@example.org")


def get(word: str, start: Path) -> render.Template:
    return find.get(word, start, start)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_trains_and_passes_its_own_checks(churn: Churn, tmp_path: Path, name: str) -> None:
    root = tmp_path / "churn"
    scaffold.write(render.plan(CHURN, "3.10", template=get(name, tmp_path)), root)
    env = {"PYTHONPATH": str(root / "src")}
    run(churn.python, "-m", "churn", "train", cwd=root, env=env)
    run(churn.python, "-m", "churn", "evaluate", cwd=root, env=env)
    run(churn.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=root, env=env)
    run(churn.python, "-m", "ruff", "check", "--no-cache", cwd=root)
    run(churn.python, "-m", "ruff", "format", "--check", "--no-cache", cwd=root)
    run(sys.executable, "-m", "mypy", "--python-executable", churn.python, cwd=root)
    # All that is needed is in the shared environment, because the project there needs no less.
    assert requirements(root) <= requirements(churn.root)


def requirements(root: Path) -> set[str]:
    document = pyproject.load(root / "pyproject.toml").unwrap()
    groups = document["tool"]["poetry"]["group"].values()
    in_groups = {f"{k} {v}" for group in groups for k, v in group["dependencies"].items()}
    return {*document["project"]["dependencies"], *in_groups}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_shares_all_but_what_is_the_users_with_the_default(
    tmp_path: Path, name: str
) -> None:
    own = render.template_dir(name)
    theirs = {
        PurePosixPath("data.py"),
        PurePosixPath("models/model.py"),
        PurePosixPath("models/train.py"),
        *([PurePosixPath("models/schema.py")] if name != "plain" else []),
    }
    package = own / "src/example_model"
    found = {PurePosixPath(p.relative_to(package)) for p in package.rglob("*.py")}
    assert PurePosixPath("models/train.py") in found
    assert found <= theirs
    files = render.plan(CHURN, "3.10", template=get(name, tmp_path))
    assert PurePosixPath("src/churn/_runtime/service/app.py") in files
    assert PurePosixPath("data/raw/penguins.csv") not in files
    for path, file in files.items():
        assert b"penguin" not in file.content.lower(), path
    says = files[PurePosixPath("pyproject.toml")].content.decode()
    assert f'template-source = "{name}"' in says
    assert ".template]" not in says


def test_wheel_and_sdist_carry_every_template(tmp_path: Path, wheel: Path) -> None:
    tracked = set(git("ls-files", "templates", cwd=REPOSITORY).split())
    assert "templates/text/data/raw/tweets.csv" in tracked
    in_wheel = zipfile.ZipFile(wheel).namelist()
    assert {f"poetry_ml_plugin/{name}" for name in tracked} <= set(in_wheel)
    poetry("build", "--format", "sdist", "--output", tmp_path, cwd=REPOSITORY)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    assert tracked <= in_sdist


def test_check_installs_a_template_and_runs_its_tests(tmp_path: Path) -> None:
    said = poetry("ml", "template", "check", "plain", cwd=tmp_path).stdout
    assert "Run its tests" in said
    assert "passed" in said
    assert "plain is a valid template" in said
    assert list(tmp_path.iterdir()) == []


def test_a_word_that_cannot_be_replaced_is_named(tmp_path: Path) -> None:
    fill(tmp_path / "t", dict(SMALL))
    (tmp_path / "t/model.bin").write_bytes(b"\xff our_model")
    with pytest.raises(MLError, match=r"still contain the template's word: model\.bin"):
        command.write(get("t", tmp_path), Project(tmp_path / "p", "quite_another_name"))


def test_a_folder_that_is_no_template_hears_all_reasons_at_once(tmp_path: Path) -> None:
    fill(tmp_path / "t", {**SMALL, "pyproject.toml": "[project]\nname = 'x'\n"})
    (tmp_path / "t/leak").symlink_to("/etc/hostname")
    (tmp_path / "t/up").symlink_to("..", target_is_directory=True)
    (tmp_path / "t/nowhere").symlink_to("gone")
    (tmp_path / "t/circle").symlink_to("circle")
    done = poetry("ml", "new", "x", "--template", "t", cwd=tmp_path, code=1)
    for words in ("leak is a link", "up is a link", "nowhere", "circle", "has no [tool"):
        assert words in done.stderr
    assert not (tmp_path / "x").exists()
    assert done.stderr.startswith("t is not a template:")  # as it was typed
    (tmp_path / "bare").mkdir()
    said = poetry("ml", "new", "x", "--template", "bare", cwd=tmp_path, code=1).stderr
    assert said == "bare is not a template:\n  - it has no pyproject.toml\n"
    assert (
        "is not a template"
        in poetry("ml", "new", "x", "--template", "", cwd=tmp_path, code=1).stderr
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('word = "../x"', "names no package"),
        ('word = "other"', "are not the same"),
        ('word = "our_model"\nextends = "../project"', "extends must be one of"),
        ('word = "our_model"\nextends = "project"', "must be example_model"),
        ('word = "our_model"\nextends = ["project"]', "extends must be one of"),
        ('word = "example_model"\nextends = "project"\nwithout = "Procfile"', "must be a list"),
        ('word = "example_model"\nextends = "project"\nwithout = 3', "must be a list"),
    ],
    ids=[
        "no package",
        "another package",
        "extends a folder",
        "another word",
        "extends a list",
        "without a word",
        "without a number",
    ],
)
def test_a_wrong_table_is_named(tmp_path: Path, line: str, said: str) -> None:
    text = SMALL["pyproject.toml"].replace('word = "our_model"', line)
    fill(tmp_path / "t", {**SMALL, "pyproject.toml": text})
    with pytest.raises(MLError, match=said):
        get("t", tmp_path)


@pytest.mark.parametrize(
    "text", ["tool = 3\n", "tool.poetry-ml-plugin = 'x'\nproject = 1\n"], ids=["tool", "tables"]
)
def test_a_pyproject_of_another_kind_is_named(tmp_path: Path, text: str) -> None:
    fill(tmp_path / "t", {"pyproject.toml": text})
    with pytest.raises(MLError, match=r"has no \[tool"):
        get("t", tmp_path)


def test_a_description_is_replaced_where_it_is_one(tmp_path: Path) -> None:
    text = SMALL["pyproject.toml"].replace("What it is for.", "churn")
    fill(tmp_path / "t", {**SMALL, "pyproject.toml": text})
    readme = "# Churning\r\n\r\nchurn\r\n\r\ncaf\u00e9, a churn of 3 %\r\n"
    (tmp_path / "t/README.md").write_bytes(readme.encode("latin-1"))
    files = render.plan(CHURN, "3.12", "Who leaves", get("t", tmp_path))
    expected = readme.replace("\r\nchurn\r\n", "\r\nWho leaves\r\n").encode("latin-1")
    assert files[PurePosixPath("README.md")].content == expected


def test_a_template_may_extend_the_default_one(tmp_path: Path) -> None:
    text = SMALL["pyproject.toml"].replace("our_model", "example_model")
    lines = 'extends = "project"\nwithout = ["Procfile"{}]\n'
    fill(tmp_path / "t", {"pyproject.toml": text + lines.format(""), "NOTICE": "example-model\n"})
    files = render.plan(CHURN, "3.12", template=get("t", tmp_path))
    assert files[PurePosixPath("NOTICE")].content == b"churn\n"
    assert PurePosixPath("src/churn/_runtime/service/app.py") in files
    assert PurePosixPath("Procfile") not in files
    fill(tmp_path / "t", {"pyproject.toml": text + lines.format(', "no/such"')})
    with pytest.raises(MLError, match="without names no/such"):
        get("t", tmp_path)


def test_a_template_may_extend_with_its_own_table_alone(tmp_path: Path) -> None:
    said = """\
[tool.poetry-ml-plugin.template]
word = "example_model"
extends = "project"
without = ["data/raw/penguins.csv"]

[tool.black]
line-length = 90
"""
    fill(tmp_path / "t", {"pyproject.toml": said})
    files = render.plan(CHURN, "3.12", "Who leaves", get("t", tmp_path))
    toml = pyproject.parse(files[render.PYPROJECT].content)
    assert (toml.name, toml.description, toml.settings["package"]) == (
        "churn",
        "Who leaves",
        "churn",
    )
    assert toml.data["tool"]["black"] == {"line-length": 90}
    assert "template" not in toml.settings
    assert toml.scripts == {"churn": "churn.__main__:main"}
    assert PurePosixPath("data/raw/penguins.csv") not in files


def test_a_template_that_describes_no_project_is_refused(tmp_path: Path) -> None:
    said = '[tool.poetry-ml-plugin.template]\nword = "our_model"\n'
    fill(tmp_path / "t", {**SMALL, "pyproject.toml": said})
    with pytest.raises(MLError, match=r"has no \[project\]"):
        get("t", tmp_path)


@pytest.mark.parametrize("name", ["", "name = 'our-first'\n"], ids=["none", "another"])
def test_a_project_has_the_name_that_was_asked_for(tmp_path: Path, name: str) -> None:
    said = f"[project]\n{name}version = '1'\n[tool.poetry-ml-plugin.template]\nword = 'our_model'\n"
    fill(tmp_path / "t", {**SMALL, "pyproject.toml": said})
    files = render.plan(Names("my-churn", "my_churn"), "3.12", template=get("t", tmp_path))
    toml = pyproject.parse(files[render.PYPROJECT].content)
    assert (toml.name, toml.settings["package"]) == ("my-churn", "my_churn")


def test_the_word_is_replaced_as_a_word(tmp_path: Path) -> None:
    text = "our_model your_model our_models OUR_MODEL_PORT test_our_model.x our-model your-model"
    fill(
        tmp_path / "t",
        {
            **SMALL,
            "NOTES.txt": f"{text}\nsrc/our_model/x \\nour_model \u00fcour_model\n",
            "charts/our-model.yaml": "",
            "charts/your_model.yaml": "",
            "test_our_model.py": "",
        },
    )
    files = render.plan(Names("my-churn", "my_churn"), "3.12", template=get("t", tmp_path))
    assert files[PurePosixPath("NOTES.txt")].content.decode() == (
        "my_churn your_model our_models MY_CHURN_PORT test_my_churn.x my-churn your-model\n"
        "src/my_churn/x \\nmy_churn \u00fcour_model\n"
    )
    assert {"charts/my-churn.yaml", "charts/your_model.yaml", "test_my_churn.py"} <= {
        str(path) for path in files
    }


def test_a_new_name_that_holds_the_word_is_replaced_once(tmp_path: Path) -> None:
    fill(tmp_path / "t", dict(SMALL))
    files = render.plan(Names("our-model-b", "our_model_b"), "3.12", template=get("t", tmp_path))
    assert files[PurePosixPath("README.md")].content == b"# our-model-b\n"


def test_a_template_in_a_folder_that_is_called_like_its_word_is_checked(tmp_path: Path) -> None:
    fill(tmp_path / "our_model", dict(SMALL))
    template = get("our_model", tmp_path)
    command.write(template, Project(tmp_path / "p", "quite_another_name"))
    assert (tmp_path / "p/README.md").read_text() == "# quite-another-name\n"


def test_a_folder_that_is_called_like_a_sample_is_not_trusted_for_it(tmp_path: Path) -> None:
    fill(tmp_path / "text", dict(SMALL))
    template = get("./text", tmp_path)
    assert find.foreign(template)
    assert template.source == "./text"
    assert get(template.source, tmp_path) == template
    assert not find.foreign(get("text", tmp_path))


def test_a_link_within_the_template_is_what_it_leads_to(tmp_path: Path) -> None:
    fill(tmp_path / "t", dict(SMALL))
    (tmp_path / "t/AGAIN.md").symlink_to("README.md")
    files = render.plan(CHURN, "3.12", template=get("t", tmp_path))
    assert files[PurePosixPath("AGAIN.md")].content == b"# churn\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A template with three versions in a git repository."""
    root = tmp_path / "origin"
    fill(root, {**SMALL, ".gitignore": ".env\n"})
    git("init", "--quiet", "--initial-branch", "main", cwd=root)
    for version in ("one", "two", "three"):
        fill(root, {"README.md": f"# our-model {version}\n"})
        git("add", "--all", cwd=root)
        git("commit", "--quiet", "--message", version, cwd=root)
        git("branch", version, cwd=root)
    git("tag", "v1", "one", cwd=root)
    fill(root, {".env": "SECRET=1\n"})
    return root


@pytest.mark.parametrize(
    ("ref", "version"),
    [("", "three"), ("@v1", "one"), ("@two", "two"), ("@COMMIT", "two")],
    ids=["default", "tag", "branch", "commit"],
)
def test_a_git_url_with_a_branch_a_tag_or_a_commit(
    repository: Path, tmp_path: Path, ref: str, version: str
) -> None:
    commit = git("rev-parse", "two", cwd=repository).strip()
    url = repository.as_uri() + ref.replace("COMMIT", commit)
    words = ("ml", "new", "churn", "--template", url, "--no-install")
    poetry(*words, cwd=tmp_path)
    root = tmp_path / "churn"
    assert (root / "README.md").read_text() == f"# churn {version}\n"
    assert f'template-source = "{url}"' in (root / "pyproject.toml").read_text()
    assert not (root / ".env").exists()
    assert git("status", "--porcelain", cwd=root) == ""


def test_a_folder_in_a_repository_is_taken_without_what_git_ignores(repository: Path) -> None:
    fill(repository, {"new.txt": "not yet added\n"})
    files = get(str(repository), repository).files
    assert {str(path) for path in files} == {*SMALL, ".gitignore", "new.txt"}


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch pwned",
        "-c core.fsmonitor=touch",
        "ext::sh -c touch% pwned",
        "https://ann:secret@example.org/t.git",
        "http://example.org/t.git",
        "git://example.org/t.git",
        "ssh://-oProxyCommand=touch pwned/t.git",
        "ssh://ann@-oProxyCommand=touch/t.git",
        "ann@-oProxyCommand=touch:t.git",
        "file:///t@--upload-pack=touch",
        "fd::17/t",
    ],
)
def test_a_url_that_could_run_or_leak_something_is_not_fetched(tmp_path: Path, url: str) -> None:
    with pytest.raises(MLError) as error:
        get(url, tmp_path)
    assert "is not a template" in str(error.value) or "cannot be fetched" in str(error.value)
    assert "secret" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_repository_or_ref_is_one_line(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(MLError, match=r"clone failed: fatal: .*none"):
        get((tmp_path / "none").as_uri(), tmp_path)
    with pytest.raises(MLError, match='no branch, tag or commit "v9"'):
        get(f"{repository.as_uri()}@v9", tmp_path)


def test_no_code_of_a_foreign_template_runs_before_the_user_agrees(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    fill(
        tmp_path / "t",
        {
            **SMALL,
            "compile.py": SCRIPT.format(str(marker)),
            "pyproject.toml": SMALL["pyproject.toml"] + BUILDS,
        },
    )
    done = poetry("ml", "new", "a", "--template", "t", cwd=tmp_path, code=1)
    assert "would run the code of ../t" in done.stdout
    assert "poetry install" in done.stdout
    assert "Start the project" in git("log", "--oneline", cwd=tmp_path / "a")
    assert not (tmp_path / "a/poetry.lock").exists()
    assert not marker.exists()
    assert "Do you trust it?" in answered("no", "ml", "new", "b", "--template", "t", cwd=tmp_path)
    assert not marker.exists()
    poetry("ml", "new", "c", "--template", "t", "--trust", "--no-train", cwd=tmp_path)
    assert marker.read_text() == "was run"
    poetry("env", "remove", "--all", cwd=tmp_path / "c")


def answered(answer: str, *words: str, cwd: Path) -> str:
    """What Poetry says on a terminal where this is typed."""
    pty = pytest.importorskip("pty", reason="needs a terminal as POSIX has it")
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    command = [sys.executable, "-m", "poetry", "--no-ansi", *words]
    done = subprocess.run(
        command, cwd=cwd, stdin=theirs, capture_output=True, text=True, check=False
    )
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout + done.stderr
