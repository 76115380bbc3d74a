"""Where files are: on this machine, or in an object store that pyarrow or fsspec knows."""

import contextlib
import fnmatch
import glob
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import msgspec

from ..errors import ProjectError

BLOCK = 2**20
UNFINISHED = ".scoring-tmp"
MAGIC = "*?["  # what makes a pattern of a path
REMOTE_MAGIC = "*["  # and of a URL, where a question mark begins its options


class File(msgspec.Struct, frozen=True):
    """A file that was found: `name` is its path below the folder that it was named by."""

    url: str
    name: str
    size: int
    changed: int  # nanoseconds since 1970


class Place(Protocol):
    """Files by their paths or URLs. What goes wrong is an OSError, FileNotFoundError where none is there."""

    def files(self, url: str) -> list[File]:
        """The file of this URL, those in the folder of this URL, or those that fit the pattern."""
        ...

    def open(self, url: str) -> BinaryIO: ...

    def writing(self, url: str) -> Any:
        """A context that gives a file to write. It is in its place, whole, only after a good end."""
        ...

    def remove(self, url: str) -> None: ...

    def remove_folder(self, url: str) -> None: ...

    def sweep(self, url: str) -> None:
        """Remove what processes that were killed have left of this file, or in this folder."""
        ...


def place(url: str) -> Place:
    """The place of a path or URL. Raises ProjectError where no library knows its scheme."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return Local()
    try:
        import pyarrow
        import pyarrow.fs
    except ModuleNotFoundError as error:
        raise ProjectError(f"{url} needs pyarrow. Run: poetry ml add parquet") from error
    try:
        return Remote(scheme, pyarrow.fs.FileSystem.from_uri(f"{scheme}://{rest}")[0])
    except pyarrow.ArrowInvalid:
        return Remote(scheme, _fsspec(scheme))


def _fsspec(scheme: str) -> Any:
    import pyarrow.fs

    try:
        import fsspec

        return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(fsspec.filesystem(scheme)))
    except (ImportError, ValueError) as error:
        raise ProjectError(
            f"{scheme}:// is not known to pyarrow, and fsspec cannot open it: {error}"
        ) from error


def read(url: str) -> bytes | None:
    """The content of a small file, None where there is none."""
    try:
        with place(url).open(url) as file:
            return file.read()
    except FileNotFoundError:
        return None


def write(url: str, content: bytes) -> None:
    """Write a small file whole."""
    with place(url).writing(url) as file:
        file.write(content)


def absolute(url: str) -> str:
    """A path that other processes understand, wherever they run; a URL is one."""
    return url if "://" in url else os.path.abspath(url)


def join(folder: str, name: str) -> str:
    """The path or URL of a name below a folder."""
    base, mark, query = folder.partition("?") if "://" in folder else (folder, "", "")
    return f"{base.rstrip('/')}/{name}{mark}{query}"


def beside(url: str, suffix: str) -> str:
    """The path or URL with a suffix."""
    base, mark, query = url.partition("?") if "://" in url else (url, "", "")
    return f"{base.rstrip('/')}{suffix}{mark}{query}"


def is_same(url: str, other: str) -> bool:
    """Whether two paths or URLs are of one file."""
    return is_within(url, other) and is_within(other, url)


def is_within(url: str, folder: str) -> bool:
    """Whether one path or URL is another, or below it."""
    if "://" in url or "://" in folder:
        return f"{url.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")
    return Path(url).resolve().is_relative_to(Path(folder).resolve())


class Local:
    """This machine's files."""

    def files(self, url: str) -> list[File]:
        path = Path(url)
        if path.is_dir():
            found = (Path(top, name) for top, _, names in os.walk(path) for name in names)
            shown = ((each, each.relative_to(path)) for each in found)
            return [_found(each, below.as_posix()) for each, below in shown if _is_shown(below)]
        if path.exists() or not set(MAGIC) & set(url):
            return [_found(path, path.name)]
        base = _fixed(url, MAGIC)
        paths = [Path(each) for each in glob.glob(url, recursive=True)]
        return [_found(each, each.relative_to(base).as_posix()) for each in paths if each.is_file()]

    def open(self, url: str) -> BinaryIO:
        return Path(url).open("rb")

    @contextmanager
    def writing(self, url: str) -> Iterator[BinaryIO]:
        path = Path(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = _unfinished(path)
        try:
            with beside.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)

    def remove(self, url: str) -> None:
        Path(url).unlink(missing_ok=True)

    def remove_folder(self, url: str) -> None:
        path = Path(url)
        aside = _unfinished(path)
        with contextlib.suppress(FileNotFoundError):  # by one rename: half a folder says nothing
            path.replace(aside)
            shutil.rmtree(aside, ignore_errors=True)

    def sweep(self, url: str) -> None:
        path = Path(url)
        beside = path.parent.glob(f".{glob.escape(path.name)}*{UNFINISHED}")
        for left in [*beside, *path.rglob(f".*{UNFINISHED}")]:
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


class Remote:
    """The files of an object store."""

    def __init__(self, scheme: str, system: Any) -> None:
        self._scheme, self._system = scheme, system

    def files(self, url: str) -> list[File]:
        from pyarrow.fs import FileSelector, FileType

        path, query = _split(url)
        is_pattern = bool(set(REMOTE_MAGIC) & set(path))
        base = _fixed(path, REMOTE_MAGIC) if is_pattern else path
        (info,) = self._system.get_file_info([base])
        if info.type == FileType.File:
            return [self._found(info, info.base_name, query)]
        if info.type == FileType.NotFound:
            raise FileNotFoundError(url)
        infos = self._system.get_file_info(FileSelector(base, recursive=True))
        named = [
            (info, info.path.removeprefix(f"{base.rstrip('/')}/"))
            for info in infos
            if info.type == FileType.File
        ]
        return [
            self._found(info, name, query)
            for info, name in named
            if _is_shown(Path(name)) and (not is_pattern or fnmatch.fnmatchcase(info.path, path))
        ]

    def open(self, url: str) -> BinaryIO:
        file: BinaryIO = self._system.open_input_file(_split(url)[0])
        return file

    @contextmanager
    def writing(self, url: str) -> Iterator[BinaryIO]:
        # Closing an upload completes it, after an error too: so it begins when all is there.
        with tempfile.TemporaryFile() as file:
            yield file
            file.seek(0)
            with self._system.open_output_stream(_split(url)[0]) as upload:
                shutil.copyfileobj(file, upload, BLOCK)

    def remove(self, url: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._system.delete_file(_split(url)[0])

    def remove_folder(self, url: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._system.delete_dir(_split(url)[0])

    def sweep(self, url: str) -> None:
        pass  # an upload is there when it is complete

    def _found(self, info: Any, name: str, query: str) -> File:
        return File(f"{self._scheme}://{info.path}{query}", name, info.size, info.mtime_ns or 0)


def _split(url: str) -> tuple[str, str]:
    """The path in the object store, and the options that a URL ends with."""
    path, mark, query = url.partition("://")[2].partition("?")
    return path.rstrip("/"), f"{mark}{query}"


def _fixed(path: str, magic: str) -> str:
    """The folder of a pattern that all files which fit it are in."""
    return path[: min(path.index(mark) for mark in magic if mark in path)].rpartition("/")[0]


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{UNFINISHED}")


def _found(path: Path, name: str) -> File:
    stat = path.stat()
    return File(str(path), name, stat.st_size, stat.st_mtime_ns)


def _is_shown(path: Path) -> bool:
    """Whether a path is none of the hidden files, and of those that tell of others, like _SUCCESS."""
    return not any(part[0] in "._" for part in path.parts)
