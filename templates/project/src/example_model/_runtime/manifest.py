"""Save artifacts with their hashes and their origin; load none that differs from what was saved."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from . import formats, runs, staging
from .errors import ProjectError
from .package import Package

if TYPE_CHECKING:
    from .predictor import Estimator
    from .run import Run

MANIFEST = "manifest.json"
METRICS = "reports/metrics.json"
FORMAT = 1  # of the file; a reader of this version reads no later one

# What Git LFS and DVC leave in the place of a file that they keep elsewhere, and how to get it.
POINTERS = {
    b"version https://git-lfs.github.com/spec/": ("a Git LFS pointer", "git lfs pull"),
    b"outs:\n": ("a DVC pointer", "poetry ml data pull"),
}


class Artifact(msgspec.Struct):
    """What the manifest knows of one file."""

    sha256: str
    size: int  # bytes
    format: str = ""
    libraries: dict[str, str] = {}  # that made it, and their versions
    needs: list[str] = []  # the distributions that loading it takes
    trusted: list[str] = []  # the names it may refer to, where its format can name code


class Record(msgspec.Struct):
    """The content of manifest.json: the files, and the run that made them."""

    artifacts: dict[str, Artifact] = {}
    run: dict[str, Any] = {}
    format: int = FORMAT


class Manifest:
    """The artifacts of one package, and the record of the run that made them.

    Within `run`, all of it works on the set that the run is saving.
    """

    def __init__(self, package: Package, folder: Path | None = None) -> None:
        self.package = package
        self._folder = folder or package.artifacts_dir
        self._staged: Path | None = None

    @property
    def folder(self) -> Path:
        """Where artifacts are read and written."""
        return self._staged or self._folder

    def save(self, name: str, value: Any) -> Artifact:
        """Write an artifact whole, and its entry into the manifest. The suffix of its name picks the format.

        Raises ProjectError where the value would not come back from that format as it is.
        """
        packed = formats.pack(name, value, self.package.name)
        content = packed.content
        entry = Artifact(
            _sha256(content),
            len(content),
            packed.format,
            packed.libraries,
            packed.needs,
            packed.trusted,
        )
        record = self._known()
        record.artifacts[name] = entry
        staging.write_whole(self._written(self.folder / name), content)
        self._write(record)
        return entry

    def remove(self, name: str) -> None:
        """Delete an artifact and its entry, if they are there."""
        record = self._known()
        if record.artifacts.pop(name, None):
            self._write(record)
        (self.folder / name).unlink(missing_ok=True)

    def load(self, name: str) -> Any:
        """Read an artifact once, compare those bytes with the manifest, and only then interpret them."""
        formats.format_of(name)
        entry = self.read().artifacts.get(name)
        if entry is None:
            raise ProjectError(f"{name} is not in {self.folder / MANIFEST}. {self._train()}")
        try:
            content = (self.folder / name).read_bytes()
        except FileNotFoundError:
            raise ProjectError(f"{self.folder / name} is missing. {self._fetch(name)}") from None
        except OSError as error:
            raise ProjectError(
                f"{self.folder / name} cannot be read: {error.strerror}. {self._train()}"
            ) from error
        if fault := self._difference(content, entry):
            raise ProjectError(f"{self.folder / name} {fault}")
        if fault := _other_versions(name, entry):
            raise ProjectError(f"{name}: {fault}")
        return formats.unpack(name, content, entry.trusted)

    def load_model(self, stem: str) -> "Estimator":
        """Load a saved estimator, whichever format it is in: it answers as scikit-learn's do."""
        from . import estimators  # late: not every project has numpy

        name = estimators.artifact(stem, self.read().artifacts)
        return estimators.load(self.load(name))

    def read(self) -> Record:
        """Read the manifest. Raises ProjectError where there is none, or none that can be read."""
        self._settle()
        path = self.folder / MANIFEST
        try:
            content = path.read_bytes()
            record = msgspec.json.decode(content, type=Record)
        except FileNotFoundError:
            missing = f"There is no trained model in {self.folder}."
            raise ProjectError(f"{missing} {self._fetch(MANIFEST)}") from None
        except OSError as error:
            raise ProjectError(
                f"{path} cannot be read: {error.strerror}. {self._train()}"
            ) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if pointer := _pointer(content):
                raise ProjectError(f"{path} {pointer}") from None
            raise ProjectError(f"{path} cannot be read: {error}. {self._train()}") from error
        if record.format > FORMAT:
            raise ProjectError(
                f"{path} has format {record.format}, and this code reads {FORMAT}. "
                "Run: poetry ml update"
            )
        return record

    def is_data(self) -> bool:
        """Whether all artifacts are of formats that hold nothing but data, and start no threads."""
        return all(Path(name).suffix in formats.DATA for name in self.read().artifacts)

    @property
    def recorded(self) -> dict[str, Any]:
        """What is known of the training; empty where there is no manifest that can be read."""
        return self._known().run

    @property
    def independent(self) -> bool | None:
        """Whether the training found that a row's prediction depends on no other row of the call.

        None where it did not test that, or there is no manifest that can be read.
        """
        recorded = self.recorded.get("independent")
        return recorded if isinstance(recorded, bool) else None

    def verify(self) -> list[str]:
        """Name every artifact that could not be loaded or is not in the manifest, and say what to do."""
        listed, found, home = self.read().artifacts, _files(self.folder), self.folder.resolve()
        missing = sorted(listed.keys() - found.keys())
        problems = [f"{name} is missing. {self._fetch(name)}" for name in missing]
        for name, path in sorted(found.items()):
            if not path.resolve().is_relative_to(home):
                problems.append(
                    f"{name} is a link out of {self.folder}. Put the file itself there."
                )
            elif name not in listed:
                problems.append(
                    f"{name} is not in the manifest. Delete it, or save it in a training."
                )
            elif not path.exists():
                problems.append(f"{name} is a link to nothing. {self._fetch(name)}")
            elif fault := self._difference(path.read_bytes(), listed[name]):
                problems.append(f"{name} {fault}")
        faults = ((name, _other_versions(name, entry)) for name, entry in sorted(listed.items()))
        return [*problems, *(f"{name}: {fault}" for name, fault in faults if fault)]

    def watch(self) -> Callable[[], bool]:
        """Return a function that says whether an artifact has come to differ from its manifest.

        It may be called often: files are read again only after one has changed.
        """

        def stamps() -> dict[str, tuple[int, int]]:
            found = ((path.name, path.stat()) for path in self.folder.iterdir())
            return {name: (stat.st_mtime_ns, stat.st_size) for name, stat in found}

        known: dict[str, tuple[int, int]] | None = None
        differing = False

        def differs() -> bool:
            nonlocal known, differing
            try:
                if (now := stamps()) != known:
                    differing = known is not None and bool(self.verify())
                    known = now
            except (OSError, ProjectError):
                return True
            return differing

        return differs

    def changed_data(self) -> list[str]:
        """Name the files of data that the run read, and that are gone or changed now."""
        known = self.read().run.get("data", {}).items()
        root = self.package.project_dir or Path()
        paths = ((name, root / name, digest) for name, digest in known)
        return [name for name, path, was in paths if not path.is_file() or file_digest(path) != was]

    @contextmanager
    def run(
        self, settings: msgspec.Struct, data: Iterable[Path] = (), seed: int | None = None
    ) -> Iterator["Run"]:
        """A training: what is saved within replaces all artifacts at its end, or nothing does.

        `data` are the files that it read. The former model stays whole where the training raises, is
        interrupted or killed.
        """
        from .run import Run

        if self._staged:
            raise ProjectError("A training runs already: manifest.run cannot be nested.")
        self._written(self._folder / MANIFEST)
        if self.package.project_dir and self.is_own:
            self.package.written(self.package.project_dir / METRICS)
        self._settle()
        self._staged = staging.stage(self._folder)
        staged = self._staged
        try:
            self._write(Record())
            run = Run(self, settings, list(data), seed)
            yield run
            self._write(msgspec.structs.replace(self.read(), run=run.facts()))
            if problems := self.verify():
                raise ProjectError("The artifacts were not saved: " + " ".join(problems))
            self._staged = None
            self._settle()  # another training may have ended meanwhile
            staging.commit(staged, self._folder)
        finally:
            self._staged = None
            staging.discard(staged)
        self._settle()
        run.report()

    @property
    def is_own(self) -> bool:
        """Whether these are the package's own artifacts, and not those of a folder that was named."""
        return self._folder == self.package.artifacts_dir

    def _written(self, path: Path) -> Path:
        return self.package.written(path) if self.is_own else path

    def _settle(self) -> None:
        """Finish what a training has committed, and what tells of it, if that was cut short."""
        if self._staged or not staging.is_pending(self._folder):
            return
        self._written(self._folder / MANIFEST)
        try:
            staging.finish(self._folder, MANIFEST, self._stale)
            self._tell()
            staging.end(self._folder)
        except OSError as error:
            raise ProjectError(
                f"The last training could not be put into {self._folder}: {error.strerror}. "
                f"Run, where that can be written: {self.package.command} verify"
            ) from error

    def _stale(self, committed: Path) -> Iterable[str]:
        """The files of the former run that the committed one has not."""
        try:
            former = msgspec.json.decode((self._folder / MANIFEST).read_bytes(), type=Record)
        except (OSError, ValueError):
            return ()
        new = msgspec.json.decode((committed / MANIFEST).read_bytes(), type=Record)
        return former.artifacts.keys() - new.artifacts.keys()

    def _tell(self) -> None:
        """Write reports/metrics.json anew from the manifest, and the run's line into reports/runs.jsonl."""
        root = self.package.project_dir
        if root is None or not self.is_own:
            return
        content = (self._folder / MANIFEST).read_bytes()
        record = msgspec.json.decode(content, type=Record)
        staging.write_whole(
            self.package.written(root / METRICS),
            msgspec.json.format(msgspec.json.encode(record.run.get("metrics", {}))) + b"\n",
        )
        libraries = {k: v for each in record.artifacts.values() for k, v in each.libraries.items()}
        runs.add(self.package, record.run, libraries)

    def _known(self) -> Record:
        """Read the manifest, or begin a new one where none can be read: saving repairs that."""
        try:
            return self.read()
        except ProjectError:
            return Record()

    def _write(self, record: Record) -> None:
        content = msgspec.json.encode(record, order="sorted")
        path = self._written(self.folder / MANIFEST)
        staging.write_whole(path, msgspec.json.format(content) + b"\n")

    def _difference(self, content: bytes, entry: Artifact) -> str | None:
        """Say how the content of a file differs from what was saved, and what to do."""
        if _sha256(content) == entry.sha256:
            return None
        if pointer := _pointer(content):
            return pointer
        fault = "differs from its manifest"
        if not content:
            fault = "is empty"
        elif len(content) < entry.size:
            fault = f"is truncated: {len(content):,} of {entry.size:,} bytes"
        return f"{fault}. {self._train()}"

    def _fetch(self, name: str) -> str:
        path = self.folder / name
        beside = path.with_name(f"{path.name}.dvc"), self.folder.with_name("artifacts.dvc")
        return (
            "Run: poetry ml data pull" if any(file.exists() for file in beside) else self._train()
        )

    def _train(self) -> str:
        if self.package.project_dir is None:
            return "Install a package that was built with its artifacts."
        return f"Run: {self.package.command} train"


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
            return f"is {kind}, not the file itself. Run: {command}"
    return None


def _other_versions(name: str, entry: Artifact) -> str | None:
    """Name the libraries that are not of the versions that an artifact needs, and how to get those."""
    kind = formats.FORMATS.get(Path(name).suffix)
    differing = formats.unlike(entry.libraries) if kind and kind.modules else []
    wanted = [f"{library}=={version}" for library, version in entry.libraries.items()]
    return f"{'; '.join(differing)}. {formats.install(*wanted)}" if differing else None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
