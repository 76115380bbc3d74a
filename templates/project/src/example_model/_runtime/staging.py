"""Replace the files of a folder as one set: staged beside it, committed by one rename, moved into place.

A set that was committed is complete. Whoever reads the folder next moves into place what a killed
process left, so no reader sees files of two sets.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that no reader, and no crash, ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def stage(folder: Path) -> Path:
    """Make an empty folder beside `folder` for a new set, and remove those that dead processes left."""
    for left in folder.parent.glob(f".{folder.name}-staged-*"):
        if not _is_alive(int(left.name.split("-")[2])):
            shutil.rmtree(left, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{folder.name}-staged-{os.getpid()}-"
    staged = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
    (staged / ".gitignore").write_text(
        "*\n"
    )  # neither git nor a build may take it for the project's
    return staged


def commit(staged: Path, folder: Path) -> None:
    """Make the staged set the one that counts. From here on it is complete, whatever happens."""
    committed = _committed(folder)
    staged.replace(committed)
    _flush(committed.parent)


def is_pending(folder: Path) -> bool:
    """Whether a set was committed and is not in place yet."""
    return _committed(folder).is_dir()


def finish(folder: Path, last: str, stale: Callable[[Path], Iterable[str]]) -> None:
    """Move a committed set into place.

    `last` is the file that lists the others, and the last to be moved; `stale` names the files of
    `folder` that the committed set, whose folder it is given, does not have. May be interrupted and
    repeated at any point. `end` removes the empty folder.
    """
    committed = _committed(folder)
    folder.mkdir(exist_ok=True)
    found = [p.relative_to(committed) for p in committed.rglob("*") if not p.is_dir()]
    if Path(last) in found:
        for former in stale(committed):
            (folder / former).unlink(missing_ok=True)
    for name in sorted(found, key=lambda name: (name == Path(last), name)):
        if name != Path(".gitignore"):
            if not (folder / name).parent.resolve().is_relative_to(folder.resolve()):
                raise OSError(errno.ELOOP, f"{name} is below a link out of it")
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # another process has moved it
                (committed / name).replace(folder / name)
    _flush(folder)


def end(folder: Path) -> None:
    """Forget the committed set: everything that tells of it is written."""
    shutil.rmtree(_committed(folder), ignore_errors=True)


def discard(staged: Path) -> None:
    """Remove a staged set, if it was not committed."""
    shutil.rmtree(staged, ignore_errors=True)


def _committed(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}-committed")


def _is_alive(pid: int) -> bool:
    if os.name == "nt":  # where asking would end the process
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _flush(folder: Path) -> None:
    """Have a rename on the disk, where folders can be flushed."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
