"""Save artifacts with their hashes and their origin; load none that differs from what was saved."""

import hashlib
import importlib.metadata
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from . import ProjectError, artifacts_dir, project_dir

MANIFEST = "manifest.json"


class Format(NamedTuple):
    """How one kind of artifact becomes bytes and comes back."""

    dump: Callable[[Any], bytes]
    load: Callable[[bytes], Any]
    libraries: tuple[str, ...] = ()  # whose versions are worth knowing later


def load_onnx(content: bytes) -> Any:
    """An onnxruntime.InferenceSession that leaves the other cores to other requests."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


FORMATS = {
    ".onnx": Format(
        lambda model: bytes(model.SerializeToString()),
        load_onnx,
        ("onnx", "onnxruntime", "scikit-learn", "skl2onnx"),
    ),
    ".json": Format(
        lambda value: msgspec.json.format(msgspec.json.encode(value)), msgspec.json.decode
    ),
    ".txt": Format(str.encode, bytes.decode),
    ".bin": Format(bytes, bytes),
}


class Artifact(msgspec.Struct):
    """What the manifest knows of one file."""

    sha256: str
    size: int  # bytes
    libraries: dict[str, str] = {}


class Manifest(msgspec.Struct):
    """artifacts/manifest.json: the files, and the run that made them."""

    artifacts: dict[str, Artifact] = {}
    run: dict[str, Any] = {}


def save(name: str, value: Any, folder: Path = artifacts_dir) -> None:
    """Write an artifact whole, and its entry into the manifest. The suffix of its name picks the format."""
    kind = _format(name)
    content = kind.dump(value)
    manifest = read(folder) if (folder / MANIFEST).exists() else Manifest()
    manifest.artifacts[name] = Artifact(_sha256(content), len(content), _versions(kind.libraries))
    write_whole(folder / name, content)
    _write(manifest, folder)


def load(name: str, folder: Path = artifacts_dir) -> Any:
    """Read an artifact once, hold those bytes against the manifest, and only then interpret them."""
    kind = _format(name)
    entry = read(folder).artifacts.get(name)
    if entry is None:
        raise ProjectError(f"{name} is not in {folder / MANIFEST}. {_mend()}")
    try:
        content = (folder / name).read_bytes()
    except FileNotFoundError:
        raise ProjectError(f"{folder / name} is missing. {_mend()}") from None
    if _sha256(content) != entry.sha256:
        raise ProjectError(f"{folder / name} differs from its manifest. {_mend()}")
    return kind.load(content)


def verify(folder: Path = artifacts_dir) -> list[str]:
    """Every artifact that is missing, differs from the manifest or is not in it; none is a good answer."""
    listed = read(folder).artifacts
    found = {path.name: path for path in folder.iterdir() if not path.name.startswith(".")}
    found.pop(MANIFEST, None)
    return [
        *(f"{name} is missing" for name in sorted(listed.keys() - found.keys())),
        *(f"{name} is not in the manifest" for name in sorted(found.keys() - listed.keys())),
        *(
            f"{name} differs from its manifest"
            for name in sorted(listed.keys() & found.keys())
            if _sha256(found[name].read_bytes()) != listed[name].sha256
        ),
    ]


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
    config: Mapping[str, Any],
    data: Iterable[Path],
    metrics: Mapping[str, Any],
    folder: Path = artifacts_dir,
) -> None:
    """Note the run that made the artifacts: commit, data, configuration, metrics, versions, time."""
    commit = _git("rev-parse", "HEAD")
    manifest = read(folder)
    manifest.run = {
        "commit": commit,
        "clean": None if commit is None else not _git("status", "--porcelain"),
        "config": dict(config),
        "data": {_relative(path): _sha256(path.read_bytes()) for path in data},
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


def read(folder: Path = artifacts_dir) -> Manifest:
    """The manifest of the artifacts in a folder. Raises ProjectError where there is none, or no whole one."""
    path = folder / MANIFEST
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise ProjectError(f"There is no trained model in {folder}. {_mend()}") from None
    except msgspec.DecodeError as error:
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


def _write(manifest: Manifest, folder: Path) -> None:
    content = msgspec.json.encode(manifest, order="sorted")
    write_whole(folder / MANIFEST, msgspec.json.format(content) + b"\n")


def _format(name: str) -> Format:
    try:
        return FORMATS[Path(name).suffix]
    except KeyError:
        raise ProjectError(
            f"{name}: no format for this suffix. Known are {', '.join(FORMATS)}; "
            f"add yours to {__name__}.FORMATS."
        ) from None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _versions(libraries: Iterable[str]) -> dict[str, str]:
    installed = {}
    for library in libraries:
        try:
            installed[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


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


def _mend() -> str:
    if project_dir is None:
        return "Install a package that was built with its artifacts."
    return f'Run "python -m {__package__} train".'
