"""Save artifacts with their hashes and their origin; load none that differs from what was saved."""

import hashlib
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from . import ProjectError, artifacts_dir, config, formats, project_dir

MANIFEST = "manifest.json"

# What git-LFS and DVC leave in the place of a file that they keep elsewhere, and how to get it.
POINTERS = {
    b"version https://git-lfs.github.com/spec/": ("a git-LFS pointer", "git lfs pull"),
    b"outs:\n": ("a DVC pointer", "dvc pull"),
}


class Artifact(msgspec.Struct):
    """What the manifest knows of one file."""

    sha256: str
    size: int  # bytes
    format: str = ""
    libraries: dict[str, str] = {}  # that made it, and their versions
    trusted: list[str] = []  # the names it may refer to, where its format can name code


class Manifest(msgspec.Struct):
    """artifacts/manifest.json: the files, and the run that made them."""

    artifacts: dict[str, Artifact] = {}
    run: dict[str, Any] = {}


def save(name: str, value: Any, folder: Path = artifacts_dir) -> Artifact:
    """Write an artifact whole, and its entry into the manifest. The suffix of its name picks the format."""
    kind = _format(name)
    content = kind.dump(value)
    trusted = kind.names(content) if kind.names else []
    libraries = formats.versions(kind, trusted)
    manifest = _known(folder)
    entry = Artifact(_sha256(content), len(content), kind.name, libraries, trusted)
    manifest.artifacts[name] = entry
    write_whole(folder / name, content)
    _write(manifest, folder)
    return entry


def remove(name: str, folder: Path = artifacts_dir) -> None:
    """Delete an artifact and its entry, if they are there."""
    manifest = _known(folder)
    if manifest.artifacts.pop(name, None):
        _write(manifest, folder)
    (folder / name).unlink(missing_ok=True)


def load(name: str, folder: Path = artifacts_dir) -> Any:
    """Read an artifact once, hold those bytes against the manifest, and only then interpret them."""
    kind = _format(name)
    entry = read(folder).artifacts.get(name)
    if entry is None:
        raise ProjectError(f"{name} is not in {folder / MANIFEST}. {_mend()}")
    try:
        content = (folder / name).read_bytes()
    except FileNotFoundError:
        raise ProjectError(f"{folder / name} is missing. {_fetch(folder / name)}") from None
    if fault := _difference(content, entry):
        raise ProjectError(f"{folder / name} {fault}")
    if unlike := _unlike(name, entry):
        raise ProjectError(f"{name}: {unlike}")
    try:
        return kind.load(content, entry.trusted) if kind.names else kind.load(content)
    except ProjectError as error:
        raise ProjectError(f"{name}: {error}") from error


def load_model(stem: str, folder: Path = artifacts_dir) -> Any:
    """What training kept of an estimator: ONNX, or skops. Either is asked with run(outputs, inputs)."""
    if f"{stem}.skops" in read(folder).artifacts:
        return formats.Estimator(load(f"{stem}.skops", folder))
    return load(f"{stem}.onnx", folder)


def pins(entry: Artifact) -> list[str]:
    """The libraries that made an artifact, as requirements."""
    return [f"{library}=={version}" for library, version in entry.libraries.items()]


def verify(folder: Path = artifacts_dir) -> list[str]:
    """Every artifact that could not be loaded, or is not in the manifest, and what mends it."""
    listed, found, home = read(folder).artifacts, _files(folder), folder.resolve()
    missing = sorted(listed.keys() - found.keys())
    violations = [f"{name} is missing. {_fetch(folder / name)}" for name in missing]
    for name, path in sorted(found.items()):
        if not path.resolve().is_relative_to(home):
            violations.append(f"{name} is a link out of {folder}. Put the file itself there.")
        elif name not in listed:
            violations.append(
                f"{name} is not in the manifest. Save it with manifest.save, or delete it."
            )
        elif not path.exists():
            violations.append(f"{name} is a link to nothing. {_fetch(path)}")
        elif fault := _difference(path.read_bytes(), listed[name]):
            violations.append(f"{name} {fault}")
    faults = ((name, _unlike(name, entry)) for name, entry in sorted(listed.items()))
    return [*violations, *(f"{name}: {fault}" for name, fault in faults if fault)]


def watch(folder: Path = artifacts_dir) -> Callable[[], bool]:
    """A question that may be asked often: whether an artifact has come to differ from its manifest.

    Files are read again only after one has changed.
    """

    def stamps() -> dict[str, tuple[int, int]]:
        found = ((path.name, path.stat()) for path in folder.iterdir())
        return {name: (stat.st_mtime_ns, stat.st_size) for name, stat in found}

    known: dict[str, tuple[int, int]] | None = None
    violated = False

    def differs() -> bool:
        nonlocal known, violated
        try:
            if (now := stamps()) != known:
                violated = known is not None and bool(verify(folder))
                known = now
        except (OSError, ProjectError):
            return True
        return violated

    return differs


def record(
    settings: msgspec.Struct,
    data: Iterable[Path],
    metrics: Mapping[str, Any],
    seed: int | None = None,
    folder: Path = artifacts_dir,
) -> None:
    """Note the run that made the artifacts: commit, data, configuration, seed, metrics, versions, time."""
    commit = _git("rev-parse", "HEAD")
    manifest = read(folder)
    manifest.run = {
        "commit": commit,
        "clean": None if commit is None else not _git("status", "--porcelain", "--", *_SOURCES),
        "config": config.plain(settings),
        "data": {_relative(path): _sha256(path.read_bytes()) for path in data},
        "seed": seed,
        "metrics": dict(metrics),
        "python": platform.python_version(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    _write(manifest, folder)


def record_metrics(metrics: Mapping[str, Any], folder: Path = artifacts_dir) -> None:
    """Replace the metrics of the run that made the artifacts."""
    manifest = read(folder)
    manifest.run["metrics"] = dict(metrics)
    _write(manifest, folder)


def trained_with(*keys: str, folder: Path = artifacts_dir) -> dict[str, Any]:
    """These keys of the configuration that the run had, as far as it had them."""
    known = read(folder).run.get("config", {})
    return {key: known[key] for key in keys if key in known}


def changed_data(folder: Path = artifacts_dir) -> list[str]:
    """The files of data that the run read, and that are gone or others now."""
    known = read(folder).run.get("data", {}).items()
    paths = ((name, (project_dir or Path()) / name, digest) for name, digest in known)
    return [n for n, path, was in paths if not path.is_file() or _sha256(path.read_bytes()) != was]


def read(folder: Path = artifacts_dir) -> Manifest:
    """The manifest of the artifacts in a folder. Raises ProjectError where there is none, or no whole one."""
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
        return msgspec.json.decode(content, type=Manifest)
    except FileNotFoundError:
        raise ProjectError(f"There is no trained model in {folder}. {_fetch(path)}") from None
    except msgspec.DecodeError as error:
        if pointer := _pointer(content):
            raise ProjectError(f"{path} {pointer}") from None
        raise ProjectError(f"{path} cannot be read: {error}. {_mend()}") from error


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


def _known(folder: Path) -> Manifest:
    """The manifest, or a new one where none can be read: what is saved then mends that."""
    try:
        return read(folder)
    except ProjectError:
        return Manifest()


def _write(manifest: Manifest, folder: Path) -> None:
    content = msgspec.json.encode(manifest, order="sorted")
    write_whole(folder / MANIFEST, msgspec.json.format(content) + b"\n")


def _format(name: str) -> formats.Format:
    try:
        return formats.FORMATS[Path(name).suffix]
    except KeyError:
        raise ProjectError(
            f"{name}: no format for this suffix. Known are {', '.join(formats.FORMATS)}; "
            f"add yours to {formats.__name__}.FORMATS."
        ) from None


def _files(folder: Path) -> dict[str, Path]:
    """What should be in the manifest: not itself, nor what git and DVC keep beside artifacts."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.name != MANIFEST and path.name[0] != "." and path.suffix != ".dvc"
        if path.is_symlink() or not path.is_dir()
    }


def _difference(content: bytes, entry: Artifact) -> str | None:
    """How what a file holds differs from what was saved, and what mends it."""
    if _sha256(content) == entry.sha256:
        return None
    if pointer := _pointer(content):
        return pointer
    fault = "differs from its manifest"
    if not content:
        fault = "is empty"
    elif len(content) < entry.size:
        fault = f"is truncated: {len(content):,} of {entry.size:,} bytes"
    return f"{fault}. {_mend()}"


def _pointer(content: bytes) -> str | None:
    for start, (kind, command) in POINTERS.items():
        if content.startswith(start):
            return f'is {kind}, not the file itself. Run "{command}".'
    return None


def _unlike(name: str, entry: Artifact) -> str | None:
    """The libraries that are not of the versions that an artifact needs, and how to get those."""
    kind = formats.FORMATS.get(Path(name).suffix)
    unlike = formats.unlike(entry.libraries) if kind and kind.names else []
    return f"{'; '.join(unlike)}. {formats.install(*pins(entry))}" if unlike else None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# What a training writes does not make the tree that it was run in unclean.
_SOURCES = (".", f":(exclude)src/{__package__}/artifacts", ":(exclude)reports")


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *words], cwd=project_dir, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _relative(path: Path) -> str:
    return (path.relative_to(project_dir) if project_dir else path).as_posix()


def _fetch(path: Path) -> str:
    beside = path.with_name(f"{path.name}.dvc"), path.parent.with_name(f"{path.parent.name}.dvc")
    return 'Run "dvc pull".' if any(file.exists() for file in beside) else _mend()


def _mend() -> str:
    if project_dir is None:
        return "Install a package that was built with its artifacts."
    return f'Run "poetry run python -m {__package__} train".'
