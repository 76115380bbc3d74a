"""Poetry's own builders, but that large files are streamed, and stored where they do not compress.

Poetry reads a file into memory whole, and takes half a minute to find that the 500 MB of a model do
not compress. An archive without a large file is Poetry's to the last byte.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import zipfile
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from tarfile import PAX_FORMAT, TarFile
from typing import IO, Any

from poetry.core.masonry.builders.builder import BuildIncludeFile
from poetry.core.masonry.builders.sdist import SdistBuilder
from poetry.core.masonry.builders.wheel import WheelBuilder
from poetry.core.masonry.utils.helpers import distribution_name, normalize_file_permissions

from poetry_ml_plugin.host.gzip_stream import BEST, Gzip

LARGE = 8 << 20  # bytes
PIECE = 1 << 20
SAMPLES = 32  # of 64 KiB at most
WORTH = 0.9  # of its size: what a file has to shrink to for it to be compressed
FAST = 1

# What the methods that are replaced here read like in poetry-core 2.1.1 to 2.5.0. Where they read
# otherwise, nothing is replaced before somebody has looked.
KNOWN = {
    (WheelBuilder, "_add_file"): "085daeff353b2a47",
    (SdistBuilder, "build"): "f30a92c52e8ab35c",
}

BUILT = logging.getLogger(SdistBuilder.__module__)  # whose lines `poetry build` shows


def put_in(stream: bool, sbom: bytes | None) -> Callable[[], None]:
    """Have `poetry build` use these builders. What is returned takes them out again.

    Where another plugin has put in its own, or Poetry is not the one expected, nothing is changed.
    """
    formats = getattr(import_module("poetry.masonry.builders"), "BUILD_FORMATS", None)
    stock = {"sdist": SdistBuilder, "wheel": WheelBuilder}
    stream = stream and is_known()
    if formats != stock or not (stream or sbom):
        return lambda: None
    formats["wheel"] = partial(Wheel, stream=stream, sbom=sbom)
    formats["sdist"] = Sdist if stream else SdistBuilder
    return lambda: formats.update(stock)


def is_known() -> bool:
    """Tell whether the methods of the installed poetry-core can be replaced."""
    try:
        return all(fingerprint(getattr(*method)) == known for method, known in KNOWN.items())
    except (AttributeError, OSError, TypeError):  # it is gone, or has no source to look at
        return False


def fingerprint(method: Callable[..., Any]) -> str:
    """Hash the source of a method."""
    return hashlib.sha256(inspect.getsource(method).encode()).hexdigest()[:16]


class Wheel(WheelBuilder):
    """Streams what is large, and may say what is locked in dist-info/sboms (PEP 770)."""

    def __init__(self, *args: Any, stream: bool, sbom: bytes | None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._stream, self._sbom = stream, sbom

    def prepare_metadata(self, metadata_directory: Path) -> Path:
        dist_info = super().prepare_metadata(metadata_directory)
        if self._sbom is not None:
            path = dist_info / "sboms" / f"{distribution_name(self._package.name)}.cdx.json"
            path.parent.mkdir()
            path.write_bytes(self._sbom)
        return dist_info

    def _add_file(self, wheel: zipfile.ZipFile, full_path: Path, rel_path: Path) -> None:
        if not self._stream or full_path.stat().st_size < LARGE:
            super()._add_file(wheel, full_path, rel_path)
            return
        info = zipfile.ZipInfo(rel_path.as_posix(), self._zipfile_date_time)
        mode = normalize_file_permissions(full_path.stat().st_mode)
        info.external_attr = (mode & 0xFFFF) << 16
        info.file_size = full_path.stat().st_size
        if level := level_for(full_path):
            info.compress_type = zipfile.ZIP_DEFLATED
            info._compresslevel = level  # type: ignore[attr-defined]
        sha256 = hashlib.sha256()
        with full_path.open("rb") as file, wheel.open(info, "w") as target:
            while piece := file.read(PIECE):
                sha256.update(piece)
                target.write(piece)
        digest = urlsafe_b64encode(sha256.digest()).decode("ascii").rstrip("=")
        self._records.append((rel_path.as_posix(), digest, info.file_size))


class Sdist(SdistBuilder):
    """Compresses each large file as it deserves, in one gzip stream."""

    def build(self, target_dir: Path | None = None) -> Path:
        files = sorted(
            self.find_files_to_add(exclude_build=False), key=lambda f: f.relative_to_source_root()
        )
        if all(file.path.stat().st_size < LARGE for file in files):
            return super().build(target_dir)
        BUILT.info("Building <info>sdist</info>")
        folder = target_dir or self.default_target_dir
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{distribution_name(self._package.name)}-{self._meta.version}"
        target, beside = folder / f"{name}.tar.gz", folder / f".{name}.tar.gz"
        try:
            with beside.open("wb") as file:
                self._pack(files, file, name)
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
        BUILT.info(f"Built <comment>{target.name}</comment>")
        return target

    def _pack(self, files: list[BuildIncludeFile], file: IO[bytes], name: str) -> None:
        gzip: Any = Gzip(file, self._archive_mtime)  # all of a file that TarFile asks for
        with TarFile(fileobj=gzip, mode="w", format=PAX_FORMAT, copybufsize=PIECE) as tar:
            for member in files:
                info = tar.gettarinfo(
                    member.path, f"{name}/{member.relative_to_source_root().as_posix()}"
                )
                gzip.use(BEST if info.size < LARGE else level_for(member.path))
                with member.path.open("rb") as content:
                    tar.addfile(self.clean_tarinfo(info), content)
            gzip.use(BEST)
            if self._poetry.package.build_should_generate_setup():
                self.add_file_to_tar(tar, f"{name}/setup.py", self.build_setup())
            self.add_file_to_tar(tar, f"{name}/PKG-INFO", self.build_pkg_info())
        gzip.close()


def level_for(path: Path) -> int:
    """Choose the compression level of a large file: 0 if samples of it hardly shrink."""
    size, sample = path.stat().st_size, b""
    with path.open("rb") as file:
        for n in range(SAMPLES):
            file.seek(n * size // SAMPLES)
            sample += file.read(min(1 << 16, size // SAMPLES))  # no part twice: that would shrink
    return FAST if len(zlib.compress(sample, FAST)) < WORTH * len(sample) else 0
