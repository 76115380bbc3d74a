"""Render a template under another name, and put it in its place whole."""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath

from poetry_ml_plugin import platforms, project, staging
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.names import Names

# The template's own words, which become the project's.
TEMPLATE = Names("example-model", "example_model")

PYPROJECT = PurePosixPath("pyproject.toml")

# What use of the template in a checkout leaves behind, and never becomes part of a project.
LEFTOVERS = frozenset(
    [".mypy_cache", ".pytest_cache", ".ruff_cache", ".venv", "__pycache__", "dist", "poetry.lock"]
)


@dataclass(frozen=True)
class File:
    """One file of a project to be."""

    content: bytes
    executable: bool = False


def template_dir(name: str = "project") -> Path:
    """A template that ships with the plugin: inside the installed package, beside it in a checkout."""
    inside = Path(str(resources.files("poetry_ml_plugin"))) / "templates" / name
    if inside.is_dir():
        return inside
    return Path(__file__).resolve().parents[1] / "templates" / name


def plan(names: Names, python: str, description: str | None = None) -> dict[PurePosixPath, File]:
    """Every file of a new project by its path: the template with its word replaced.

    `python` is the interpreter's minor version, like "3.12".
    """
    source = template_dir()
    own = project.load(source / "pyproject.toml").unwrap()
    files = render(source, names)
    _adapt(files, python, own["project"]["description"], " ".join((description or "").split()))
    return files


def render(
    source: Path, names: Names, more: Mapping[str, str] | None = None
) -> dict[PurePosixPath, File]:
    """The files of a template by their paths, its word replaced in both, and `more` words in texts."""
    replacements = {
        TEMPLATE.distribution: names.distribution,
        TEMPLATE.package: names.package,
        TEMPLATE.package.upper(): names.package.upper(),
        **(more or {}),
    }
    files = {}
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if not path.is_file() or LEFTOVERS.intersection(relative.parts) or _is_artifact(relative):
            continue
        name = PurePosixPath(relative.as_posix().replace(TEMPLATE.package, names.package))
        executable = bool(path.stat().st_mode & stat.S_IXUSR)
        files[name] = File(_replace(path.read_bytes(), replacements), executable)
    return files


def write(files: Mapping[PurePosixPath, File], target: Path) -> None:
    """Make `target` with these files in it: all of them or, on any failure, none.

    Raises MLError where `target` is a file or a folder with something in it, or cannot be written.
    """
    check_target(target)
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
    with _told(root), staging.stage(root, "new") as stage:
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
            except OSError:
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
        if target.is_dir():
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


def _is_artifact(path: Path) -> bool:
    """Whether the template was trained where it stands: a project trains its own."""
    return "artifacts" in path.parent.parts and not path.name.startswith(".")


def _replace(content: bytes, replacements: Mapping[str, str]) -> bytes:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text.encode()


def _adapt(files: dict[PurePosixPath, File], python: str, stood: str, description: str) -> None:
    """Say in pyproject.toml, the README and .python-version what holds for this project."""
    path = PYPROJECT
    changes = {
        ("project", "requires-python"): f">={python}",
        ("project", "description"): description or stood,
        ("tool", project.TOOL, "template-version"): importlib.metadata.version("poetry-ml-plugin"),
    }
    files[path] = File(project.edit(files[path].content.decode(), changes).encode())
    files[PurePosixPath(".python-version")] = File(f"{python}\n".encode())
    readme = PurePosixPath("README.md")
    text = files[readme].content.decode().replace(stood, description or stood)
    files[readme] = File(text.replace("Python 3.10 or newer", f"Python {python} or newer").encode())
