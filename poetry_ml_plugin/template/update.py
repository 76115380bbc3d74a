"""Updates: the template as a project was made from it, and as it is now.

To merge a template's changes, one must have the template as it was. A commit or a tag that holds it is
lost in a squash and in a shallow clone; a plugin that carries the templates of all its releases knows
neither those of other people, nor what was changed between two releases; fetching the old release needs
an index that has it. So a project carries its own base: everything that was rendered for it, but data/, in
one file of some 40 KB, which goes wherever the project goes and which each update renews.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.version import InvalidVersion, Version

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import git
from poetry_ml_plugin.project import edit, pyproject
from poetry_ml_plugin.project.names import Names
from poetry_ml_plugin.template import find, render
from poetry_ml_plugin.template.render import PYPROJECT, File

BASE = PurePosixPath(".poetry-ml-base.tar.gz")
LARGEST = 64 * 2**20  # bytes that a base may have when unpacked


@dataclass(frozen=True)
class Update:
    """The template as a project had it last, and as it is now; `kept` are changes left out by wish."""

    base: dict[PurePosixPath, File]
    new: dict[PurePosixPath, File]
    kept: list[str]
    version: str

    @property
    def needed(self) -> bool:
        """Whether there is any difference."""
        return self.base.keys() != self.new.keys() or any(
            self.new[path] != file for path, file in self.base.items() if path != BASE
        )


def remember(files: Mapping[PurePosixPath, File]) -> dict[PurePosixPath, File]:
    """Add its base to a rendered project, for a later update to find."""
    return {**files, BASE: File(_pack(files))}


def recall(root: Path) -> dict[PurePosixPath, File]:
    """Read the files of a project as its template had them last. Raises MLError where that is not known."""
    return _unpack(_read(root), root)


def plan(root: Path, source: str | None = None) -> Update:
    """Render the project's template anew, for the names that it was made with.

    `source` is where the template is, where that is not what the project says.
    """
    section = pyproject.describe(root).settings
    packed = _read(root)
    base = {path: file for path, file in _unpack(packed, root).items() if not _is_data(path)}
    template = find.get(source or section.get("template-source"), root, root)
    new = remember(_render_like(base, template, root))
    version = _version(new)
    if not template.version and _is_older(version, _version(base)):
        raise MLError(
            f"{root} has the template of version {_version(base)}, newer than this plugin, {version}. "
            "Update the plugin first: poetry self update poetry-ml-plugin"
        )
    new = {path: file for path, file in new.items() if not _is_data(path)}
    base[BASE] = File(packed)  # as it is there, whatever today's zlib would make of it
    wishes = _wishes(section, root)
    differing = (p for p in {*base, *new} if base.get(p) != new.get(p))
    kept = sorted(str(path) for path in differing if _is_kept(path, wishes))
    for side in (base, new):
        for path in [path for path in side if _is_kept(path, wishes)]:
            del side[path]
    crlf = _with_crlf(root)
    base, new = _like(base, crlf), _like(new, crlf)
    if _is_kept(PYPROJECT, wishes):  # but for the one line that says what the project now has
        text = (root / PYPROJECT).read_bytes().decode()
        edited = edit.set_values(text, {("tool", pyproject.TOOL, "template-version"): version})
        base[PYPROJECT], new[PYPROJECT] = File(text.encode()), File(edited.encode())
    return Update(base, new, kept, version)


def _render_like(
    base: Mapping[PurePosixPath, File], template: render.Template, root: Path
) -> dict[PurePosixPath, File]:
    try:
        own = pyproject.parse(base[PYPROJECT].content)
        names = Names(own.name, own.settings["package"])
        if not (isinstance(names.package, str) and names.package.isidentifier()):
            raise ValueError(f"{names.package!r} is not a package")
        python = base[PurePosixPath(".python-version")].content.decode().strip()
    except (KeyError, TypeError, ValueError) as error:
        raise MLError(f"{root / BASE} cannot be used: {error}. {_MEND}") from error
    python = max(python, pyproject.LOWEST, key=Version)
    files = render.plan(names, python, own.description, template)
    if own.version:  # from the first day on it is the project's, not the template's
        text = files[PYPROJECT].content.decode()
        edited = edit.set_values(text, {(*own.table_of_metadata, "version"): own.version})
        files[PYPROJECT] = File(edited.encode(), files[PYPROJECT].executable)
    return files


def _version(files: Mapping[PurePosixPath, File]) -> str:
    return str(pyproject.parse(files[PYPROJECT].content).settings.get("template-version", ""))


def _is_older(version: str, other: str) -> bool:
    try:
        return Version(version) < Version(other)
    except InvalidVersion:  # a commit: the project had another template
        return False


def _is_data(path: PurePosixPath) -> bool:
    return path.parts[0] == "data"


def _wishes(section: dict[str, Any], root: Path) -> list[str]:
    wishes = section.get("keep", [])
    if isinstance(wishes, list) and all(isinstance(wish, str) for wish in wishes):
        return wishes
    raise MLError(
        f"{root / PYPROJECT}: keep in [tool.{pyproject.TOOL}] must be a list of files and folders, "
        'like ["README.md", "notebooks"].'
    )


def _is_kept(path: PurePosixPath, wishes: list[str]) -> bool:
    """Tell whether [tool.poetry-ml-plugin] keep names a path, or a folder it is in."""
    places = [str(path), *map(str, path.parents)]
    return any(fnmatchcase(place, wish.rstrip("/")) for wish in wishes for place in places)


def _with_crlf(root: Path) -> set[str]:
    """List the files that are committed with Windows line ends."""
    entries = git.ask(root, "ls-files", "--eol", "-z", "--", ".").split("\0")
    return {entry.partition("\t")[2] for entry in entries if entry.startswith("i/crlf")}


def _like(files: Mapping[PurePosixPath, File], crlf: set[str]) -> dict[PurePosixPath, File]:
    return {
        path: File(file.content.replace(b"\n", b"\r\n"), file.executable)
        if str(path) in crlf
        else file
        for path, file in files.items()
    }


_MEND = f"Restore it with: git checkout COMMIT -- {BASE}"


def _read(root: Path) -> bytes:
    try:
        return (root / BASE).read_bytes()
    except OSError as error:
        raise MLError(
            f"{root / BASE} cannot be read: {error.strerror}. "
            f"An update needs it: it records the template that the project was made from. {_MEND}"
        ) from error


def _pack(files: Mapping[PurePosixPath, File]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, file in sorted(files.items()):
            if not _is_data(path):
                entry = tarfile.TarInfo(str(path))
                entry.size = len(file.content)
                entry.mode = 0o755 if file.executable else 0o644
                archive.addfile(entry, io.BytesIO(file.content))
    return gzip.compress(out.getvalue(), mtime=0)


def _unpack(packed: bytes, root: Path) -> dict[PurePosixPath, File]:
    """Unpack a base as a stranger may have made it: nothing but plain files of its own folder."""
    try:
        content = zlib.decompressobj(wbits=31).decompress(packed, LARGEST)
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            files = {
                PurePosixPath(entry.name): File(_content(archive, entry), bool(entry.mode & 0o100))
                for entry in archive
                if not entry.isdir()
            }
        if PYPROJECT not in files:
            raise ValueError(f"it has no {PYPROJECT}")
    except (tarfile.TarError, zlib.error, EOFError, ValueError, OverflowError) as error:
        raise MLError(f"{root / BASE} cannot be unpacked: {error}. {_MEND}") from error
    return files


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    path = PurePosixPath(entry.name)
    if path.is_absolute() or ".." in path.parts or ".git" in path.parts or "\\" in entry.name:
        raise ValueError(f"{entry.name!r} in it is outside the project")
    if not entry.isreg() or entry.issparse() or entry.size > LARGEST:
        raise ValueError(f"{entry.name!r} in it is not a plain file")
    file = archive.extractfile(entry)
    content = file.read() if file else b""
    if len(content) != entry.size:
        raise ValueError(f"{entry.name!r} in it is cut short")
    return content
