"""Lookup of templates: those that ship, a folder, or a git URL."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import git, platforms
from poetry_ml_plugin.project import edit, pyproject
from poetry_ml_plugin.project.names import Names
from poetry_ml_plugin.project.pyproject import PyProject
from poetry_ml_plugin.template import render
from poetry_ml_plugin.template.render import File, Template

DEFAULT = render.DEFAULT
SHIPPED = {
    DEFAULT: "classify penguins (tabular data)",
    "regression": "predict the fuel consumption of cars (tabular data)",
    "text": "classify the mood of tweets (text)",
    "image": "classify handwritten digits (images)",
    "plain": "any JSON in and out, no sample data",
}
FROM_DATA = "data"
"""The template for a table of the user's own. It is not whole without that, and so no choice of --template."""

README = PurePosixPath("README.md")
PROTOCOLS = "file:https:ssh"  # those that are safe from a listener, and start no program

# A host begins with a letter or a digit, as neither an option of ssh nor one of git does.
_HOST = r"[A-Za-z0-9][\w.-]*"
_URL = re.compile(
    rf"(?P<url>(?:https|ssh)://(?:{_HOST}@)?{_HOST}(?::\d+)?/[^\s@]+|file:///[^\s@]+"
    rf"|{_HOST}@{_HOST}:[^\s@-][^\s@]*)(?:@(?P<ref>\w[\w./+-]*))?"
)
_SCHEME = re.compile(r"[A-Za-z][\w+.-]*:(//|:)|[\w.-]+@[\w.-]+:")


def get(word: str | None, start: Path, home: Path) -> Template:
    """Get the template that a word names: one of SHIPPED, a git URL with or without @REF, or a folder.

    A folder is looked for from `start`, and remembered as it is seen from `home`, the project's folder.
    Raises MLError that says all that makes a template unfit.
    """
    word = (DEFAULT if word is None else word).removeprefix("git+")
    if word in (*SHIPPED, FROM_DATA):
        return _shipped(word)
    if _SCHEME.match(word):
        return _fetch(word)
    folder = (start / Path(word).expanduser()).resolve()
    if not word or not folder.is_dir():
        raise MLError(
            f'"{word}" is not a template: it is neither one of {", ".join(SHIPPED)}, nor a folder, '
            "nor a git URL like https://example.org/templates.git@v1."
        )
    source = platforms.relative(folder, home).as_posix()
    return _foreign(folder, f"./{source}" if source in SHIPPED else source, called=word)


def foreign(template: Template) -> bool:
    """Tell whether a template is not one of the plugin's own."""
    return template.version != ""


def _fetch(word: str) -> Template:
    found = _URL.fullmatch(word)
    if not found:
        raise MLError(
            f'"{_hide(word)}" cannot be fetched. A git URL begins with https://, ssh://, file:// or '
            "user@host:, has no password in it (git asks your credential helper), "
            "and may end with @ and a branch, a tag or a commit."
        )
    env = {"GIT_ALLOW_PROTOCOL": PROTOCOLS, "GIT_TERMINAL_PROMPT": "0"}
    plain = ["-c", "core.autocrlf=false"]
    with tempfile.TemporaryDirectory(prefix="poetry-ml-") as folder:
        clone = ["clone", "--quiet", "--no-checkout", "--template=", "--", found["url"], folder]
        git.ask(Path.home(), *plain, *clone, timeout=600, env=env)
        commit = _commit(Path(folder), found["ref"] or "HEAD")
        if commit:
            git.ask(Path(folder), *plain, "checkout", "--quiet", "--detach", commit, env=env)
            return _foreign(Path(folder), word, commit)
    raise MLError(f'{found["url"]} has no branch, tag or commit "{found["ref"]}".')


def _commit(repository: Path, revision: str) -> str:
    for name in (f"refs/remotes/origin/{revision}", revision):
        words = ("rev-parse", "--quiet", "--verify", "--short=12", f"{name}^{{commit}}")
        if git.code(repository, *words) == 0:
            return git.ask(repository, *words).strip()
    return ""


def _hide(word: str) -> str:
    return re.sub(r"(//[^/:@\s]*):[^@\s]*@", r"\1:***@", word)


def _shipped(word: str) -> Template:
    source = "" if word == DEFAULT else word
    return _read(render.read(render.template_dir(word)), word, [], source)


def _foreign(folder: Path, source: str, version: str = "", called: str = "") -> Template:
    refused: list[str] = []
    files = _files(folder, refused)
    template = _read(files, called or source, refused, source)
    own = version or _document(files).version or "0"
    return replace(template, version=own)


def _read(
    files: dict[PurePosixPath, File], called: str, refused: list[str], source: str
) -> Template:
    table = _table(files, refused)
    word = table.get("word")
    if table and not (isinstance(word, str) and re.fullmatch("[a-z_][a-z0-9_]*", word)):
        refused.append(f"[tool.{pyproject.TOOL}.template] names no package as its word")
    below = _below(table, refused) if "extends" in table else {}
    files = _described(files, below, refused) if table else files
    if README in below:
        stood, own = _document(below).description, _document(files).description
        below[README] = File(render.describe(below[README].content, stood, own))
    if refused:
        raise MLError("\n  - ".join([f"{called} is not a template:", *refused]))
    names = Names(str(word).replace("_", "-"), str(word))
    return Template(dict(sorted({**below, **files}.items())), names, source)


def _described(
    files: dict[PurePosixPath, File], below: Mapping[PurePosixPath, File], refused: list[str]
) -> dict[PurePosixPath, File]:
    """Add the tables of the template that is extended, where a pyproject.toml describes no project."""
    own = _document(files)
    if own.is_described and (own.standard or own.name):
        return files
    if render.PYPROJECT not in below:
        refused.append("its pyproject.toml has no [project], which describes a new project")
        return files
    added = {key: value for key, value in own.data.items() if key != "tool"}
    tools = {**pyproject.table(own.data, "tool"), pyproject.TOOL: _settings(own)}
    try:
        content = edit.extend(below[render.PYPROJECT].content, {**added, "tool": tools})
    except MLError:
        refused.append("its pyproject.toml cannot be merged with that of the template it extends")
        return files
    return {**files, render.PYPROJECT: File(content)}


def _settings(own: PyProject) -> dict[str, Any]:
    return {key: value for key, value in own.settings.items() if key != "template"}


def _below(table: dict[str, Any], refused: list[str]) -> dict[PurePosixPath, File]:
    """Read the files of the template that another one extends, without those it leaves out."""
    if table["extends"] not in list(SHIPPED):
        refused.append(f"extends must be one of {', '.join(SHIPPED)}")
        return {}
    base = _shipped(table["extends"])
    if base.names.package != table.get("word"):
        refused.append(f"its word must be {base.names.package}, as in what it extends")
    files = dict(base.files)
    without = table.get("without", [])
    if not isinstance(without, list) or not all(isinstance(path, str) for path in without):
        refused.append('without must be a list of files, like ["data/raw/penguins.csv"]')
        return files
    for left_out in without:
        if files.pop(PurePosixPath(left_out), None) is None:
            refused.append(f"without names {left_out}, which {table['extends']} does not have")
    return files


def _table(files: dict[PurePosixPath, File], refused: list[str]) -> dict[str, Any]:
    try:
        section = _document(files).settings
    except KeyError:
        refused.append("it has no pyproject.toml")
        return {}
    except ValueError as error:
        refused.append(f"its pyproject.toml is not valid TOML: {error}")
        return {}
    table = pyproject.table(section, "template")
    if not table:
        refused.append(
            f"its pyproject.toml has no [tool.{pyproject.TOOL}.template] with a line like "
            'word = "churn", the package\'s name'
        )
        return {}
    if section.get("package", table.get("word")) != table.get("word"):
        refused.append(f"[tool.{pyproject.TOOL}] package and the template's word are not the same")
    return table


def _document(files: dict[PurePosixPath, File]) -> PyProject:
    return pyproject.parse(files[PurePosixPath("pyproject.toml")].content)


def _files(folder: Path, refused: list[str]) -> dict[PurePosixPath, File]:
    files = {}
    for relative in _listed(folder):
        path = folder / relative
        if not _is_inside(path, folder):
            refused.append(f"{relative} is a link that leads out of the template, or nowhere")
        elif path.is_file():
            files[relative] = File(path.read_bytes(), os.access(path, os.X_OK))
        elif path.is_symlink() or not path.is_dir():
            refused.append(f"{relative} is not a file")
    return files


def _listed(folder: Path) -> list[PurePosixPath]:
    """List a template's files: those that git does not ignore, or all without git."""
    if not git.available() or not git.outer_repository(folder):
        return render.paths(folder)
    said = git.ask(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    found = {PurePosixPath(name) for name in said.split("\0") if name}
    return sorted(p for p in found if render.belongs(p) and os.path.lexists(folder / p))


def _is_inside(path: Path, folder: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # dangling, or in a circle
        return False
