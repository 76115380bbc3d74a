"""Render a template under another name, and put it in its place whole."""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath

import tomlkit

from poetry_ml_plugin import platforms, project, staging
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.names import Names

DISTRIBUTION = "poetry-ml-plugin"

# The template's own words, which become the project's.
TEMPLATE = Names("example-model", "example_model")

PYPROJECT = PurePosixPath("pyproject.toml")

# What use of the template in a checkout leaves behind, and never becomes part of a project.
LEFTOVERS = frozenset(
    [
        *(".git", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".venv"),
        *("__pycache__", "dist", "poetry.lock"),
    ]
)


@dataclass(frozen=True)
class File:
    """One file of a project to be."""

    content: bytes
    executable: bool = False


@dataclass(frozen=True)
class Template:
    """A running project: its files, the words in them that become a new project's, its origin."""

    files: Mapping[PurePosixPath, File]
    names: Names
    source: str = ""  # as --template names it; empty for the plugin's own default
    version: str = ""  # empty for one of the plugin's, which are as old as the plugin is


def template_dir(name: str = "project") -> Path:
    """A template that ships with the plugin: inside the installed package, beside it in a checkout."""
    inside = Path(str(resources.files("poetry_ml_plugin"))) / "templates" / name
    if inside.is_dir():
        return inside
    return Path(__file__).resolve().parents[1] / "templates" / name


def plan(
    names: Names, python: str, description: str | None = None, template: Template | None = None
) -> dict[PurePosixPath, File]:
    """Every file of a new project by its path: the template with its word replaced.

    `python` is the interpreter's minor version, like "3.12".
    """
    template = template or Template(read(template_dir()), TEMPLATE)
    files = rename(template, names)
    _adapt(files, python, " ".join((description or "").split()), template)
    return files


def rename(
    template: Template, names: Names, more: Mapping[str, str] | None = None
) -> dict[PurePosixPath, File]:
    """A template's files with its words replaced, in their paths and in their text; `more` in the latter."""
    words = template.names
    replacements = {
        words.distribution: names.distribution,
        words.package: names.package,
        words.package.upper(): names.package.upper(),
        **(more or {}),
    }
    return {
        PurePosixPath(str(path).replace(words.package, names.package)): File(
            _replace(file.content, replacements), file.executable
        )
        for path, file in template.files.items()
    }


def read(source: Path) -> dict[PurePosixPath, File]:
    """The files of a template, by their paths in it."""
    return {
        path: File((source / path).read_bytes(), os.access(source / path, os.X_OK))
        for path in paths(source)
        if (source / path).is_file()
    }


def paths(source: Path) -> list[PurePosixPath]:
    """What is in a template, without what use of it where it stands leaves behind."""
    found = (PurePosixPath(path.relative_to(source).as_posix()) for path in source.rglob("*"))
    return sorted(path for path in found if belongs(path))


def belongs(path: PurePosixPath) -> bool:
    """Whether a path in a template is a part of it, and was not left behind by its use."""
    # A template may have been trained where it stands: a project trains its own.
    is_artifact = "artifacts" in path.parent.parts and not path.name.startswith(".")
    return not is_artifact and not LEFTOVERS.intersection(path.parts)


def write(files: Mapping[PurePosixPath, File], target: Path) -> None:
    """Make `target` with these files in it: all of them or, on any failure, none.

    Raises MLError where `target` is a file or a folder with something in it, or cannot be written.
    """
    check_target(target)
    if target.is_dir():  # it stays the one it is: a shell may be in it, or a disk be mounted there
        add(files, target)
        return
    with _told(target), _parents(target), staging.stage(target.parent, target.name) as stage:
        _fill(stage, files)
        with platforms.uninterrupted():
            _put(stage, target)
            platforms.flush_folder(target.parent)


def _put(stage: Path, target: Path) -> None:
    try:
        platforms.put_folder(stage, target)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise
        raise MLError(f"{target} was just made by another process. It was left alone.") from error


def add(files: Mapping[PurePosixPath, File], root: Path) -> None:
    """Put new files into a folder, and pyproject.toml last: all of them or, on any failure, none.

    pyproject.toml may be there, and is replaced. As long as it is not, what a killed process has put
    in place is taken back by staging.clean.
    """
    with _told(root), staging.stage(root, "") as stage:
        _fill(stage, files)
        made: list[Path] = []
        with platforms.uninterrupted():
            try:
                for name in files.keys() - {PYPROJECT}:
                    _make_parents(root / name, made)
                    platforms.put_file(stage / name, root / name)
                    made.append(root / name)
                for folder in {path.parent for path in made}:
                    platforms.flush_folder(folder)
                _rewrite(stage / PYPROJECT, root / PYPROJECT)
            except BaseException:  # Ctrl-C, too, where signals do not wait
                for path in reversed(made):
                    path.rmdir() if path.is_dir() else path.unlink()
                raise


def _rewrite(source: Path, target: Path) -> None:
    target = target.resolve()  # a link stays one
    if target.exists():
        shutil.copymode(target, source)
    source.replace(target)


def missing(files: Mapping[PurePosixPath, File], root: Path) -> dict[PurePosixPath, File]:
    """Those of the files that a folder can take: nothing is there, and no parent is a file."""
    return {
        name: file
        for name, file in files.items()
        if not os.path.lexists(root / name)
        and all(
            (root / parent).is_dir() or not os.path.lexists(root / parent)
            for parent in name.parents
        )
    }


def check_target(target: Path) -> None:
    """Raises MLError where a project cannot be put at `target`."""
    with _told(target):
        there = next((above for above in target.parents if os.path.lexists(above)), None)
        if there and not there.is_dir():
            raise MLError(f"{there} is a file. Choose another folder.")
        if target.is_dir():
            staging.clean(target)
            if any(target.iterdir()):
                raise MLError(
                    f"{target} is not empty. Choose another folder, "
                    "or add what it does not have with --into."
                )
        elif os.path.lexists(target):
            raise MLError(f"{target} is a file. Choose another folder.")


def _fill(folder: Path, files: Mapping[PurePosixPath, File]) -> None:
    """Write files into an empty folder, and see them to the disk."""
    made: list[Path] = [folder]
    for name, file in files.items():
        path = folder / name
        _make_parents(path, made)
        with path.open("xb") as new:
            new.write(file.content)
            new.flush()
            os.fsync(new.fileno())
        if file.executable:
            path.chmod(0o755)
    for parent in reversed(made):
        platforms.flush_folder(parent)


def _make_parents(path: Path, made: list[Path]) -> None:
    """Make the folders that a file needs, and note them."""
    if not path.parent.is_dir():
        _make_parents(path.parent, made)
        path.parent.mkdir()
        made.append(path.parent)


@contextlib.contextmanager
def _parents(target: Path) -> Iterator[None]:
    """The folders above `target`; those that were made for it go again if nothing comes of it."""
    made: list[Path] = []
    try:
        _make_parents(target, made)
        yield
    except BaseException:
        for path in reversed(made):
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


@contextlib.contextmanager
def _told(target: Path) -> Iterator[None]:
    """A failure of the file system, as one sentence."""
    try:
        yield
    except OSError as error:
        raise MLError(
            f"{target} cannot be written: {error.strerror}. Nothing of it is left. Choose another place, or mend that."
        ) from error


def _replace(content: bytes, replacements: Mapping[str, str]) -> bytes:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text.encode()


def _adapt(
    files: dict[PurePosixPath, File], python: str, description: str, template: Template
) -> None:
    """Say in pyproject.toml, the README and .python-version what holds for this project."""
    path = PYPROJECT
    own = tomlkit.parse(files[path].content)
    stood = str(own.get("project", {}).get("description", ""))
    plugin = importlib.metadata.version(DISTRIBUTION)
    changes = {
        ("project", "requires-python"): f">={python}",
        ("project", "description"): description or stood,
        ("tool", project.TOOL, "template-version"): template.version or plugin,
        ("tool", project.TOOL, "template-source"): template.source,
        ("tool", "poetry", "requires-plugins", DISTRIBUTION): f">={plugin}",
    }
    if "project" not in own:  # Poetry's older tables
        changes = {keys: value for keys, value in changes.items() if keys[0] != "project"}
    if not template.source:
        del changes["tool", project.TOOL, "template-source"]
    if not from_index():
        del changes["tool", "poetry", "requires-plugins", DISTRIBUTION]
    own["tool"][project.TOOL].pop("template", None)
    files[path] = File(project.edit(tomlkit.dumps(own), changes).encode())
    files[PurePosixPath(".python-version")] = File(f"{python}\n".encode())
    readme = PurePosixPath("README.md")
    if readme in files:
        files[readme] = File(_readme(files[readme].content, stood, description, python))


def _readme(content: bytes, stood: str, description: str, python: str) -> bytes:
    """A README with the project's description, where the template's has a line to itself."""
    lines = content.splitlines(keepends=True)
    for n, line in enumerate(lines if stood and description else []):
        if line.strip() == stood.encode():
            lines[n] = line.replace(stood.encode(), description.encode())
    newer = f"Python {python} or newer"
    return b"".join(lines).replace(b"Python 3.10 or newer", newer.encode())


def from_index() -> bool:
    """Whether the plugin was installed by its name, so that others get the same one by it."""
    return importlib.metadata.distribution(DISTRIBUTION).read_text("direct_url.json") is None
