"""The files that travel: what git tracks and the trained artifacts, packed the same way every time."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

import tomlkit

from poetry_ml_plugin import git, project
from poetry_ml_plugin.errors import MLError

if TYPE_CHECKING:
    from poetry_ml_plugin.project import Project

# What never leaves this machine, even where it was committed.
SECRETS = (
    *(".env", ".env.*", ".netrc", ".pypirc", "*.pem", "*.key", "id_rsa*", "id_ed25519*"),
    *(
        f"{name}.{kind}"
        for name in ("secrets", "credentials")
        for kind in ("json", "toml", "yaml", "yml")
    ),
)
HARMLESS = (".env.example",)
FOLDERS = frozenset(["__pycache__", ".git", ".venv", "venv", "node_modules"])
DATA = "data"
# Without git to say what belongs to the project.
STRAY_FOLDERS = frozenset(["build", "dist", "notebooks", "reports"])
WANTED_DOTFILES = (".python-version", ".slugignore")

ALWAYS = ("pyproject.toml", "poetry.lock")
MTIME = 315_532_800  # 1980-01-01, the first that a zip file made from these can hold
CHUNK = 1 << 20


@dataclass(frozen=True)
class Member:
    """A file that travels: one on disk, or content of ours in its place."""

    name: str
    source: Path | bytes
    executable: bool = False

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size


@dataclass(frozen=True)
class Bundle:
    """All the files that travel, by name, and what is to be said of the others."""

    members: tuple[Member, ...]
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    violations: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        return frozenset(member.name for member in self.members)

    @property
    def size(self) -> int:
        """In bytes, unpacked."""
        return sum(member.size for member in self.members)


@dataclass(frozen=True)
class Packed:
    """A tarball's measures. `sources` is the same for the same files wherever they are packed."""

    sources: str
    sha256: str
    size: int


@dataclass
class _Sorting:
    """The heap of what travels and the heap of what stays."""

    kept: dict[str, Member] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


def plan(found: Project, defaults: dict[str, str]) -> Bundle:
    """What travels of a project. `defaults` are files, by name, that are added where it has none."""
    root = found.root
    tracked = git.tracked(root)
    by_git = "pyproject.toml" in tracked  # not so in a repository that nothing was added to
    sorting = _Sorting()
    for name in sorted(tracked if by_git else _walk(root)):
        _sort(root, name, sorting)
    for name in (*ALWAYS, *artifacts(found)):
        if (root / name).is_file():
            sorting.kept[name] = Member(name, root / name)
    notes = []
    if by_git and (strangers := _strangers(root, sorting.kept)):
        notes.append(f"git does not track {', '.join(strangers)}: left here. Send it with: git add")
    if content := _without_plugins(root):
        sorting.kept["pyproject.toml"] = Member("pyproject.toml", content[0])
        notes += content[1]
    for name, text in defaults.items():
        if name not in sorting.kept:
            sorting.kept[name] = Member(name, text.encode())
            notes.append(f'{name} is not there: one with "{text.strip()}" goes along.')
    members = tuple(sorting.kept[name] for name in sorted(sorting.kept))
    return Bundle(members, tuple(sorting.left_out), tuple(notes), tuple(sorting.violations))


def artifacts(found: Project) -> list[str]:
    """The trained files that the manifest declares, and the manifest, by their names in the project."""
    folder = found.artifacts_dir.relative_to(found.root).as_posix()
    try:
        listed = json.loads((found.artifacts_dir / "manifest.json").read_bytes())["artifacts"]
        names = [str(name) for name in listed]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # the check of the artifacts says so
    inside = [name for name in names if ".." not in PurePosixPath(name).parts]
    return [f"{folder}/{name}" for name in ["manifest.json", *inside]]


def pack(bundle: Bundle, out: BinaryIO, tell: Callable[[int], None] = lambda done: None) -> Packed:
    """Write a gzipped tarball, holding no more than a chunk of a file in memory."""
    gzip = _Gzip(out)
    done = 0
    for member in bundle.members:
        for content in (_header(member), *_rounded(member)):
            gzip.write(content)
            done += len(content)
            tell(done)
    gzip.write(b"\0" * 1024)
    gzip.close()
    return Packed(gzip.content.hexdigest(), gzip.hash.hexdigest(), gzip.size)


def _sort(root: Path, name: str, sorting: _Sorting) -> None:
    path = root / name
    parts = PurePosixPath(name).parts
    secret = any(fnmatch(path.name, pattern) for pattern in SECRETS)
    if (secret and path.name not in HARMLESS) or FOLDERS.intersection(parts) or parts[0] == DATA:
        sorting.left_out.append(name)
    elif path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
        sorting.violations.append(f"{name} is a link out of the project. Copy what it points to.")
    elif path.is_file():
        sorting.kept[name] = Member(name, path, bool(path.stat().st_mode & stat.S_IXUSR))


def _strangers(root: Path, kept: Mapping[str, Member]) -> list[str]:
    """The files of code and configuration that somebody forgot to add."""
    new = git.untracked(root) - kept.keys()
    return sorted(name for name in new if name.startswith(("src/", "configs/")))


def _walk(root: Path) -> Iterator[str]:
    """The files that look like a project's own, where git does not say which are."""
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and name not in STRAY_FOLDERS | FOLDERS
            and not (here / name / "pyvenv.cfg").exists()
        ]
        for name in files:
            if not name.startswith(".") or name in WANTED_DOTFILES or name.startswith(".env"):
                yield (here / name).relative_to(root).as_posix()


def _without_plugins(root: Path) -> tuple[bytes, list[str]] | None:
    """The pyproject.toml that travels, and what is to be said of it; None where it goes as it stands."""
    document = project.load(root / "pyproject.toml")
    tool = document.get("tool", {})
    notes = []
    if tool.get("poetry", {}).pop("requires-plugins", None) is not None:
        # Outside of what the lock file's hash is made from. A server would resolve it at every build.
        notes.append("requires-plugins stays behind: a server needs no plugin of Poetry.")
    # It only says where to deploy to; with it, the first deploy would differ from the second.
    where = tool.get(project.TOOL, {}).pop("deploy", None)
    return (tomlkit.dumps(document).encode(), notes) if notes or where is not None else None


def _header(member: Member) -> bytes:
    info = tarfile.TarInfo(member.name)
    info.size = member.size
    info.mtime = MTIME
    info.mode = 0o755 if member.executable else 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def _rounded(member: Member) -> Iterator[bytes]:
    """A file's content in chunks, filled up to whole blocks. Raises MLError where it changes meanwhile."""
    left = size = member.size
    source = member.source
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        while left and (part := file.read(min(CHUNK, left))):
            left -= len(part)
            yield part
    if left:
        raise MLError(f"{member.name} changed while it was read. Run the command again.")
    yield b"\0" * (-size % 512)


class _Gzip:
    """One gzip stream whose incompressible parts are stored as they are, which is ten times as fast.

    Trained weights hardly ever shrink. Each write of a chunk decides anew.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._crc = self._length = 0
        self._level = 6
        self._deflate = _deflate(self._level)
        self.content = hashlib.sha256()
        """Of what went in, which does not depend on who compressed it."""
        self.hash = hashlib.sha256()
        self.size = 0
        self._emit(b"\x1f\x8b\x08\0\0\0\0\0\0\xff")  # no name, no time: the same every time

    def write(self, part: bytes) -> None:
        self.content.update(part)
        self._crc = zlib.crc32(part, self._crc)
        self._length += len(part)
        level = 0 if _dense(part) else 6
        if level != self._level:
            # End at a whole byte, so that a stream of another level can follow.
            self._emit(self._deflate.flush(zlib.Z_FULL_FLUSH))
            self._level, self._deflate = level, _deflate(level)
        self._emit(self._deflate.compress(part))

    def close(self) -> None:
        self._emit(self._deflate.flush(zlib.Z_FINISH))
        self._emit(self._crc.to_bytes(4, "little") + (self._length % 2**32).to_bytes(4, "little"))

    def _emit(self, data: bytes) -> None:
        self.hash.update(data)
        self.size += len(data)
        self._out.write(data)


def _deflate(level: int) -> zlib._Compress:
    return zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)


def _dense(part: bytes) -> bool:
    """Whether a chunk is large and a sample from its middle does not shrink."""
    if len(part) < 1 << 16:
        return False
    middle = len(part) // 2
    sample = part[middle : middle + 16_384]
    return len(zlib.compress(sample, 1)) > 0.97 * len(sample)
