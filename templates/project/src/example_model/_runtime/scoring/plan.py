"""Plan a job: which files are scored, how they are cut, and where the answers go."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from .. import headers
from ..errors import ProjectError
from ..faults import Fault, InvalidRows
from ..package import Package
from ..signature import Schema
from . import parts, places
from .parts import Make, Part
from .places import File, place

FORMAT = 1
KNOWN = "Give .csv, .jsonl, .json or .parquet files, or .csv.gz, .jsonl.zst and the like."


class Plan(msgspec.Struct, frozen=True):
    """What an output is made of. Parts of two different plans never make one output."""

    format: int
    model: str  # a hash of the package's code and of its manifest
    inputs: list[File]
    keep: list[str] | None
    missing: list[str]
    parts: list[Part]


@dataclass(frozen=True)
class Output:
    """Where answers go: a folder, or one file that is joined from such a folder."""

    url: str

    @property
    def make(self) -> Make | None:
        """The make of the one file, None for a folder."""
        made = parts.make(self.url.partition("?")[0])
        return None if made is None or made.kind == "json" or Path(self.url).is_dir() else made

    @property
    def folder(self) -> str:
        """Where the parts are."""
        return places.beside(self.url, ".parts") if self.make else self.url

    @property
    def rejected(self) -> str:
        """The rows that were left out, and why."""
        return places.beside(self.url, ".rejected.jsonl")


def plan(
    package: Package,
    model: Any,
    inputs: Sequence[str],
    output: Output,
    format: str | None,
    keep: list[str] | None,
    missing: Sequence[str],
) -> Plan:
    """Find the inputs, hold their headers against the model's row, and cut them into parts.

    Raises ProjectError for what cannot be scored, before the first row is.
    """
    _check_output(output)
    found = [file for url in inputs for file in _files(url, output)]
    schema = Schema.of(model)
    cut = []
    for file in found:
        made = parts.made(file.name)
        _check_header(file, made, schema, keep, missing)
        cut.append((file, made, parts.cut(file, made.kind, made.codec)))
    return Plan(
        FORMAT,
        package.digest,
        found,
        keep,
        list(missing),
        list(_named(cut, output, format)),
    )


def _check_output(output: Output) -> None:
    name = output.url.rstrip("/").rpartition("/")[2]
    is_file = re.search(r"\.[A-Za-z][A-Za-z0-9]{1,7}$", name) and not Path(output.url).is_dir()
    if output.make is None and is_file:
        raise ProjectError(
            f"Predictions cannot be written as {name}. Name a .csv, .jsonl or .parquet file, or a folder."
        )


def _files(url: str, output: Output) -> Iterator[File]:
    try:
        found = place(url).files(url)
    except FileNotFoundError:
        raise ProjectError(f"{url} is missing.") from None
    except OSError as error:
        raise ProjectError(f"{url} cannot be read: {error.strerror or error}.") from error
    if found and all(places.is_same(file.url, url) for file in found) and not parts.make(url):
        raise ProjectError(f"{url} is not a table. {KNOWN}")
    tables = sorted((file for file in found if parts.make(file.name)), key=lambda file: file.name)
    if not tables:
        raise ProjectError(f"{url} has no file to predict. {KNOWN}")
    if not parts.make(url) and places.is_within(output.url, url):
        raise ProjectError(
            f"The output {output.url} is inside the input {url}, and would be read as one. "
            "Name a place outside it."
        )
    return iter(tables)


def _check_header(
    file: File, made: Make, schema: Schema, keep: list[str] | None, missing: Sequence[str]
) -> None:
    try:
        header = parts.header(file.url, file.url, made.kind, made.codec)
    except OSError as error:
        raise ProjectError(f"{file.url} cannot be read: {error.strerror or error}.") from error
    if made.kind in ("json", "jsonl"):  # an object may be without an optional field
        return
    if schema.fields:
        headers.match(header, schema.fields, missing, (), file.url)
    if unknown := [name for name in keep or () if name not in header]:
        faults = [Fault(f'there is no column "{name}" to keep') for name in unknown]
        raise InvalidRows(faults, file.url)


def _named(
    cut: Sequence[tuple[File, Make, list[dict[str, Any]]]], output: Output, format: str | None
) -> Iterator[Part]:
    """The parts with their numbers, and with names for their outputs that no other one has."""
    number = 0
    names: dict[str, str] = {}
    inputs = {file.url for file, _, _ in cut}
    for file, made, ranges in cut:
        for n, some in enumerate(ranges):
            name = _output(made, n if len(ranges) > 1 else None, format)
            if output.make is not None:
                name = f"part-{number:05}.{output.make.kind}"
            if name in names:
                raise ProjectError(
                    f"{names[name]} and {file.url} would both be written to {name}. "
                    "Rename one of them, or score them one after the other."
                )
            target = output.url if output.make else places.join(output.folder, name)
            if any(places.is_same(target, each) for each in inputs):
                raise ProjectError(f"The output {target} is an input, too. Name another place.")
            names[name] = file.url
            yield Part(
                number, places.absolute(file.url), file.url, made.kind, made.codec, name, **some
            )
            number += 1


def _output(made: Make, n: int | None, format: str | None) -> str:
    stem = made.stem if n is None else f"{made.stem}-{n:05}"
    if format is not None:
        return f"{stem}.{format}"
    return f"{stem}{made.suffix}" if made.kind != "json" else f"{stem}.jsonl"


def differences(now: Plan, before: Plan) -> list[str]:
    """Say what has changed since an output was begun."""
    if before.format != now.format:
        return ["the version of this command"]
    known, found = ({file.url: file for file in each.inputs} for each in (before, now))
    changed = [url for url in {**known, **found} if known.get(url) != found.get(url)]
    said = changed[:10] + ["and more"] * (len(changed) > 10)
    if before.model != now.model:
        said.append("the model")
    if (before.keep, before.missing) != (now.keep, now.missing):
        said.append("the options")
    if not said and before.parts != now.parts:
        said.append("how files are cut")
    return said
