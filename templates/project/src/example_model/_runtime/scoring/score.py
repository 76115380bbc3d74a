"""Score one part: read its rows, ask the model, write rows and answers whole."""

import functools
import gc
import importlib
import platform
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import msgspec

from .. import arrow, frames, readers
from ..errors import ProjectError
from ..faults import Fault, InvalidRows
from ..fields import Field
from ..pieces import Piece
from . import parts, places
from .answers import Answered, Asked
from .parts import Part
from .writers import Column, packed, writing

SIZE = 8_192  # rows that are predicted at once, in every engine: some models' answers depend on it
RECORDS = ".scoring"  # the folder with what is known of parts, below that of the outputs

ALONE = (
    threading.Lock()
)  # a model is never asked by two threads at once: a worker of Dask may have several

Report = Callable[[int, float], None]
"""Called with the rows and the share of the part that were scored since it was called last."""


class Job(msgspec.Struct, frozen=True):
    """What is asked for, apart from the inputs: all that a process must know to score a part."""

    package: str  # its import name
    digest: str  # of its code and artifacts
    folder: str  # where the outputs go
    keep: list[str] | None  # the columns of the input that go into the output; all if it is None
    missing: list[str]  # fields without a column
    skip: bool  # whether rows that do not fit are left out
    max_errors: int  # rows that may be left out, of all parts
    all_frames: bool  # whether an error in the user's code is shown with those of the machinery


class Outcome(msgspec.Struct, frozen=True):
    """What came of a part."""

    number: int
    rows: int = 0
    rejected: int = 0
    error: str = ""  # why there is no output


@functools.cache
def project(package: str) -> Any:
    """The project of this package, as its command line knows it; its model is loaded once a process."""
    return importlib.import_module(f"{package}.__main__").main.context_settings["obj"]


@functools.cache
def model(package: str) -> Any:
    """Load the project's model, once in each process."""
    loaded = project(package).model()
    gc.freeze()  # rows of text are many small lists: looking for garbage must not take longer, too
    return loaded


@functools.cache
def check(package: str, digest: str) -> None:
    """Raise ProjectError where this process has the package in another state than the job began with."""
    if project(package).package.digest != digest:
        raise ProjectError(
            f"The package {package} changed while it predicted, or differs on {platform.node()}."
        )


def run(job: Job, part: Part, report: Report = lambda rows, share: None) -> Outcome:
    """Score a part. Whatever makes that impossible is the outcome's error: no engine tries it again."""
    try:
        with ALONE:
            return _score(job, part, report)
    except InvalidRows as error:
        hint = "" if job.skip else " To leave such rows out: --on-error skip."
        return Outcome(part.number, error=f"{error}.{hint}")
    except ProjectError as error:
        return Outcome(part.number, error=str(error))
    except OSError as error:  # of reading is a ProjectError already
        output = places.join(job.folder, part.output)
        return Outcome(part.number, error=f"{output} cannot be written: {parts.reason(error)}.")
    except Exception as error:
        text = "" if job.all_frames else frames.of_user(error)
        text = text or "".join(traceback.format_exception(error))
        return Outcome(part.number, error=f"{part.source} cannot be predicted:\n{text}")


def run_encoded(job: bytes, part: bytes) -> bytes:
    """Score a part, for a process that knows none of these types before."""
    decode = msgspec.json.decode
    return msgspec.json.encode(run(decode(job, type=Job), decode(part, type=Part)))


def _score(job: Job, part: Part, report: Report) -> Outcome:
    check(job.package, job.digest)
    asked = Asked(model(job.package), part.source, job.missing, job.skip)
    wanted = parts.made(part.output)
    carried = Carried(asked.fields, job.keep, is_free=wanted.kind == "jsonl")
    rows = rejected = 0
    said: list[Fault] = []
    output = places.join(job.folder, part.output)
    with (
        places.place(output).writing(output) as file,
        packed(file, wanted.codec) as pack,
        writing(pack, wanted.kind) as writer,
    ):
        for piece, share in _read(part):
            answered = asked.about(piece)
            if len(answered.kept):
                writer.write([*carried.of(piece, answered), *answered.answers])
            rows += len(answered.kept)
            rejected += len(piece.lines) - len(answered.kept)
            said += answered.faults
            if rejected > job.max_errors:
                raise ProjectError(
                    f"{too_many(job.max_errors)} The last: {part.source}, {said[-1]}."
                )
            report(len(piece.lines), share)
        if not rows:
            header = parts.header(part.url, part.source, part.kind, part.codec)
            writer.write([*carried.none(header), *asked.no_answers()])
    return record(job, part, Outcome(part.number, rows, rejected), said)


def too_many(most: int) -> str:
    """Say that more rows were rejected than may be."""
    return f"More than {most:,} rows do not fit the model (--max-errors)."


def _read(part: Part) -> Iterator[tuple[Piece, float]]:
    """The rows of a part in pieces, each with its share of the part."""
    with parts.reading(part.source):
        yield from _batches(part) if part.kind == "parquet" else _pieces(part)


def _batches(part: Part) -> Iterator[tuple[Piece, float]]:
    groups = range(part.start, part.end or 0)
    with places.place(part.url).open(part.url) as file:
        total = 0

        def check(rows: int) -> None:
            nonlocal total
            total = rows

        for piece in readers.parquet_pieces(file, SIZE, part.source, check, groups=groups):
            yield piece, len(piece.lines) / total


def _pieces(part: Part) -> Iterator[tuple[Piece, float]]:
    with places.place(part.url).open(part.url) as file:
        stream, before = parts.stream(file, part), part.start
        for piece in _text(part, stream):
            now = file.tell()
            yield piece, max(0, now - before) / max(1, part.weight)
            before = max(before, now)


def _text(part: Part, stream: BinaryIO) -> Iterator[Piece]:
    if part.kind == "csv":
        return readers.csv_pieces(stream, SIZE, (), part.source, part.skipped)
    if part.kind == "jsonl":
        return readers.line_pieces(stream, SIZE, part.source, part.skipped)
    return readers.json_pieces(stream, SIZE, part.source)


class Carried:
    """The columns of the input that go into the output: the same ones for every row of a table."""

    def __init__(self, known: Sequence[Field], keep: list[str] | None, is_free: bool) -> None:
        self._known = {part.key: part for part in known}
        self._keep, self._is_free = keep, is_free
        self._names: list[str] = []

    def of(self, piece: Piece, answered: Answered) -> list[Column]:
        """Those of the rows of a piece that were answered."""
        names = self._chosen(piece)
        whole = len(answered.kept) == len(piece.lines)
        return [self._column(name, piece, answered, whole) for name in names]

    def none(self, header: Sequence[str]) -> list[Column]:
        """Those of no rows, where a file has a header and nothing else."""
        names = header if self._keep is None else self._keep
        return [Column(name, [], self._hint(name, text=True)) for name in names]

    def _chosen(self, piece: Piece) -> list[str]:
        there = list(piece.header) or list(piece.cells)
        if self._is_free and piece.partial:
            return [name for name in there if self._keep is None or name in self._keep]
        if not self._names:
            further = () if piece.header else self._known
            self._names = self._keep or list(dict.fromkeys([*there, *further]))
            if self._keep == []:
                self._names = []
        if self._keep is None and (new := [name for name in there if name not in self._names]):
            raise ProjectError(
                f"Not every row has the columns {', '.join(new)}. Choose some with --keep."
            )
        return self._names

    def _column(self, name: str, piece: Piece, answered: Answered, whole: bool) -> Column:
        cells = piece.cells
        hint = self._hint(name, piece.text)
        if isinstance(cells, arrow.Cells):
            column = cells.batch.column(name)
            return Column(name, column if whole else column.take(answered.kept), hint)
        values = cells.get(name) or [msgspec.UNSET] * len(piece.lines)
        if not whole:
            values = [values[n] for n in answered.kept]
        return Column(name, values, hint, answered.columns.get(name))

    def _hint(self, name: str, text: bool) -> Any:
        return self._known[name].type if name in self._known else str if text else Any


def record(job: Job, part: Part, outcome: Outcome, said: Sequence[Fault]) -> Outcome:
    """Note that a part is done, last of all: what has no record is scored again."""
    records = places.join(job.folder, RECORDS)
    if said:
        lines = b"".join(msgspec.json.encode(_rejection(part, fault)) + b"\n" for fault in said)
        places.write(places.join(records, rejected_name(part.number)), lines)
    places.write(places.join(records, record_name(part.number)), msgspec.json.encode(outcome))
    return outcome


def record_name(number: int) -> str:
    """The name of what is known of a part."""
    return f"{number:05}.json"


def rejected_name(number: int) -> str:
    """The name of the file with the rows of a part that were left out."""
    return f"{number:05}.rejected.jsonl"


def _rejection(part: Part, fault: Fault) -> dict[str, Any]:
    return {
        "file": part.source,
        "row": fault.line or fault.row,
        "column": fault.field,
        "reason": fault.message,
    }
