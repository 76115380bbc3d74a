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

from . import config, formats
from .errors import ProjectError
from .package import Package

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


class Record(msgspec.Struct):
    """artifacts/manifest.json: the files, and the run that made them."""

    artifacts: dict[str, Artifact] = {}
    run: dict[str, Any] = {}


class Manifest:
    """The manifest of one package's artifacts."""

    def __init__(self, package: Package, folder: Path | None = None) -> None:
        self.package, self.folder = package, folder or package.artifacts_dir

    def save(self, name: str, value: Any) -> Artifact:
        """Write an artifact whole, and its entry into the manifest. The suffix of its name picks the format."""
        kind = _format(name)
        content = kind.dump(value)
        trusted = kind.names(content) if kind.names else []
        libraries = formats.versions(kind, trusted, self.package.name)
        manifest = self._known()
        entry = Artifact(_sha256(content), len(content), kind.name, libraries, trusted)
        manifest.artifacts[name] = entry
        write_whole(self.folder / name, content)
        self._write(manifest)
        return entry

    def remove(self, name: str) -> None:
        """Delete an artifact and its entry, if they are there."""
        manifest = self._known()
        if manifest.artifacts.pop(name, None):
            self._write(manifest)
        (self.folder / name).unlink(missing_ok=True)

    def load(self, name: str) -> Any:
        """Read an artifact once, hold those bytes against the manifest, and only then interpret them."""
        kind = _format(name)
        entry = self.read().artifacts.get(name)
        if entry is None:
            raise ProjectError(f"{name} is not in {self.folder / MANIFEST}. {self._mend()}")
        try:
            content = (self.folder / name).read_bytes()
        except FileNotFoundError:
            raise ProjectError(
                f"{self.folder / name} is missing. {self._fetch(self.folder / name)}"
            ) from None
        if fault := self._difference(content, entry):
            raise ProjectError(f"{self.folder / name} {fault}")
        if unlike := self._unlike(name, entry):
            raise ProjectError(f"{name}: {unlike}")
        try:
            return kind.load(content, entry.trusted) if kind.names else kind.load(content)
        except ProjectError as error:
            raise ProjectError(f"{name}: {error}") from error

    def load_model(self, stem: str) -> Any:
        """What training kept of an estimator: ONNX, or skops. Either is asked with run(outputs, inputs)."""
        if f"{stem}.skops" in self.read().artifacts:
            return formats.Estimator(self.load(f"{stem}.skops"))
        return self.load(f"{stem}.onnx")

    def is_data(self) -> bool:
        """Whether all artifacts are of formats that hold nothing but data, and start no threads."""
        return all(Path(name).suffix in formats.DATA for name in self.read().artifacts)

    def pins(self, entry: Artifact) -> list[str]:
        """The libraries that made an artifact, as requirements."""
        return [f"{library}=={version}" for library, version in entry.libraries.items()]

    def verify(self) -> list[str]:
        """Every artifact that could not be loaded, or is not in the manifest, and what mends it."""
        listed, found, home = self.read().artifacts, _files(self.folder), self.folder.resolve()
        missing = sorted(listed.keys() - found.keys())
        violations = [f"{name} is missing. {self._fetch(self.folder / name)}" for name in missing]
        for name, path in sorted(found.items()):
            if not path.resolve().is_relative_to(home):
                violations.append(
                    f"{name} is a link out of {self.folder}. Put the file itself there."
                )
            elif name not in listed:
                violations.append(
                    f"{name} is not in the manifest. Save it with manifest.save, or delete it."
                )
            elif not path.exists():
                violations.append(f"{name} is a link to nothing. {self._fetch(path)}")
            elif fault := self._difference(path.read_bytes(), listed[name]):
                violations.append(f"{name} {fault}")
        faults = ((name, self._unlike(name, entry)) for name, entry in sorted(listed.items()))
        return [*violations, *(f"{name}: {fault}" for name, fault in faults if fault)]

    def watch(self) -> Callable[[], bool]:
        """A question that may be asked often: whether an artifact has come to differ from its manifest.

        Files are read again only after one has changed.
        """

        def stamps() -> dict[str, tuple[int, int]]:
            found = ((path.name, path.stat()) for path in self.folder.iterdir())
            return {name: (stat.st_mtime_ns, stat.st_size) for name, stat in found}

        known: dict[str, tuple[int, int]] | None = None
        violated = False

        def differs() -> bool:
            nonlocal known, violated
            try:
                if (now := stamps()) != known:
                    violated = known is not None and bool(self.verify())
                    known = now
            except (OSError, ProjectError):
                return True
            return violated

        return differs

    def record(
        self,
        settings: msgspec.Struct,
        data: Iterable[Path],
        metrics: Mapping[str, Any],
        seed: int | None = None,
    ) -> None:
        """Note the run that made the artifacts: commit, data, configuration, seed, metrics, versions, time."""
        commit = self._git("rev-parse", "HEAD")
        manifest = self.read()
        manifest.run = {
            "commit": commit,
            "clean": None
            if commit is None
            else not self._git("status", "--porcelain", "--", *self._sources()),
            "config": config.plain(settings),
            "data": {self._relative(path): _sha256(path.read_bytes()) for path in data},
            "seed": seed,
            "metrics": dict(metrics),
            "python": platform.python_version(),
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        self._write(manifest)

    def record_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Replace the metrics of the run that made the artifacts."""
        manifest = self.read()
        manifest.run["metrics"] = dict(metrics)
        self._write(manifest)

    def trained_with(self, *keys: str) -> dict[str, Any]:
        """These keys of the configuration that the run had, as far as it had them."""
        known = self.read().run.get("config", {})
        return {key: known[key] for key in keys if key in known}

    def changed_data(self) -> list[str]:
        """The files of data that the run read, and that are gone or others now."""
        known = self.read().run.get("data", {}).items()
        paths = (
            (name, (self.package.project_dir or Path()) / name, digest) for name, digest in known
        )
        return [
            n for n, path, was in paths if not path.is_file() or _sha256(path.read_bytes()) != was
        ]

    def read(self) -> Record:
        """The manifest of the artifacts in the folder. Raises ProjectError where there is none, or no whole one."""
        path = self.folder / MANIFEST
        try:
            content = path.read_bytes()
            return msgspec.json.decode(content, type=Record)
        except FileNotFoundError:
            raise ProjectError(
                f"There is no trained model in {self.folder}. {self._fetch(path)}"
            ) from None
        except msgspec.DecodeError as error:
            if pointer := _pointer(content):
                raise ProjectError(f"{path} {pointer}") from None
            raise ProjectError(f"{path} cannot be read: {error}. {self._mend()}") from error

    def _known(self) -> Record:
        """The manifest, or a new one where none can be read: what is saved then mends that."""
        try:
            return self.read()
        except ProjectError:
            return Record()

    def _write(self, manifest: Record) -> None:
        content = msgspec.json.encode(manifest, order="sorted")
        write_whole(self.folder / MANIFEST, msgspec.json.format(content) + b"\n")

    def _unlike(self, name: str, entry: Artifact) -> str | None:
        """The libraries that are not of the versions that an artifact needs, and how to get those."""
        kind = formats.FORMATS.get(Path(name).suffix)
        unlike = formats.unlike(entry.libraries) if kind and kind.names else []
        return f"{'; '.join(unlike)}. {formats.install(*self.pins(entry))}" if unlike else None

    def _difference(self, content: bytes, entry: Artifact) -> str | None:
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
        return f"{fault}. {self._mend()}"

    def _sources(self) -> list[str]:
        """What a training reads: what it writes does not make the tree that it was run in unclean."""
        artifacts = f"src/{self.package.name}/artifacts"
        return [".", f":(exclude){artifacts}", ":(exclude)reports"]

    def _git(self, *words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", *words],
                cwd=self.package.project_dir,
                capture_output=True,
                text=True,
                check=True,
            )
        except (OSError, subprocess.CalledProcessError):
            return None
        return done.stdout.strip()

    def _relative(self, path: Path) -> str:
        return (
            path.relative_to(self.package.project_dir) if self.package.project_dir else path
        ).as_posix()

    def _fetch(self, path: Path) -> str:
        beside = (
            path.with_name(f"{path.name}.dvc"),
            path.parent.with_name(f"{path.parent.name}.dvc"),
        )
        return 'Run "dvc pull".' if any(file.exists() for file in beside) else self._mend()

    def _mend(self) -> str:
        if self.package.project_dir is None:
            return "Install a package that was built with its artifacts."
        return f"Run: {self.package.command} train"


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


def _pointer(content: bytes) -> str | None:
    for start, (kind, command) in POINTERS.items():
        if content.startswith(start):
            return f'is {kind}, not the file itself. Run "{command}".'
    return None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
