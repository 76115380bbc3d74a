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
import re
import stat
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.version import InvalidVersion, Version

from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.host import git
from poetry_ml_plugin.project import edit, pyproject
from poetry_ml_plugin.project.names import Names
from poetry_ml_plugin.project.pyproject import PyProject
from poetry_ml_plugin.template import find, render
from poetry_ml_plugin.template.render import PYPROJECT, File

BASE = PurePosixPath(".poetry-ml-base.tar.gz")
LARGEST = 64 * 2**20  # bytes that a base may have when unpacked
LARGEST_PACKED = 16 * 2**20
MOST = 10_000  # files that it may have
RUNTIME = "_runtime"  # the folder of the machinery; older templates have its modules in the package


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

    @property
    def moves_modules(self) -> bool:
        """Whether the machinery, which stood among the user's modules, gets a folder of its own."""
        before, after = (
            any(RUNTIME in path.parts for path in side) for side in (self.base, self.new)
        )
        return after and not before


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
        names = _names(own)
        python = base[PurePosixPath(".python-version")].content.decode().strip()
        python = max(python, pyproject.LOWEST, key=Version)
    except KeyError as error:
        raise MLError(f"{root / BASE} cannot be used: it has no {error}. {_MEND}") from error
    except ValueError as error:
        raise MLError(f"{root / BASE} cannot be used: {error}. {_MEND}") from error
    files = render.plan(names, python, own.description, template)
    if own.version:  # from the first day on it is the project's, not the template's
        text = files[PYPROJECT].content.decode()
        edited = edit.set_values(text, {(*own.table_of_metadata, "version"): own.version})
        files[PYPROJECT] = File(edited.encode(), files[PYPROJECT].executable)
    return files


def _names(own: PyProject) -> Names:
    """Read the names that a project was made with. They become parts of paths."""
    package = own.settings["package"]
    if not isinstance(package, str) or not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", package):
        raise ValueError(f"{package!r} is not the name of a package")
    return Names(own.name, package)


def _version(files: Mapping[PurePosixPath, File]) -> str:
    return str(pyproject.parse(files[PYPROJECT].content).settings.get("template-version", "0"))


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
    path = root / BASE
    try:
        state = path.lstat()
        if not stat.S_ISREG(state.st_mode):
            raise MLError(f"{path} is not a file. {_MEND}")
        if state.st_size > LARGEST_PACKED:
            raise MLError(f"{path} is larger than any that was written for a template. {_MEND}")
        return path.read_bytes()
    except OSError as error:
        raise MLError(
            f"{path} cannot be read: {error.strerror}. "
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
    """Read a base into memory. It came with the repository, and may be anybody's."""
    try:
        unzip = zlib.decompressobj(wbits=31)
        content = unzip.decompress(packed, LARGEST)
        if unzip.unconsumed_tail:
            raise tarfile.TarError(f"it holds more than {LARGEST:,} bytes")
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            return dict(_entry(archive, entry) for entry in islice(archive, MOST))
    except (tarfile.TarError, zlib.error, EOFError, ValueError) as error:
        raise MLError(f"{root / BASE} cannot be unpacked: {error}. {_MEND}") from error


def _entry(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> tuple[PurePosixPath, File]:
    """Read one file. Raises TarError for what no base of ours has: links, holes, other places."""
    path = PurePosixPath(entry.name)
    parts = {part.lower().rstrip(". ") for part in path.parts}
    if (
        entry.name != str(path)
        or path.is_absolute()
        or not parts
        or parts & {"", ".git", "git~1"}
        or re.search(r"[\x00-\x1f\\:]", entry.name)
    ):
        raise tarfile.TarError(f"{entry.name!r} is not the path of a file in a project")
    if entry.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or entry.issparse():
        raise tarfile.TarError(f"{entry.name} is not a plain file")
    file = archive.extractfile(entry)
    content = file.read() if file else b""
    if len(content) != entry.size:
        raise tarfile.TarError(f"{entry.name} is cut short")
    return path, File(content, bool(entry.mode & 0o100))
