"""Batch scoring: files in, files with predictions out, by parts that are each written whole."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from ..errors import ProjectError
from ..package import Package
from . import engines, places, score
from .engines import Engine
from .parts import Part
from .plan import Output, Plan, plan
from .progress import Progress
from .records import Records
from .score import Job, Outcome


@dataclass(frozen=True)
class Options:
    """What may be chosen."""

    format: str | None = None
    keep: list[str] | None = None
    missing: Sequence[str] = ()
    skip: bool = False
    max_errors: int = 0
    force: bool = False
    all_frames: bool = False


class Interrupted(ProjectError):
    """Raised for Ctrl-C."""


def predict(
    package: Package, inputs: Sequence[str], url: str, options: Options, engine: Engine
) -> Iterator[str]:
    """Score inputs into an output, going on where an earlier run stopped. Yields lines to be printed.

    Raises ProjectError where that cannot be done, or not to its end: what is done stays.
    """
    output = Output(url)
    planned = plan(
        package,
        score.model(package.name),
        inputs,
        output,
        options.format,
        options.keep,
        options.missing,
    )
    records = Records(output)
    done = records.begin(planned, options.force)
    if done:
        yield f"{len(done)} of {len(planned.parts)} parts are done already: going on with the others."
    job = Job(
        package.name,
        planned.model,
        places.absolute(output.folder),
        options.keep,
        list(options.missing),
        options.skip,
        options.max_errors if options.skip else 0,
        options.all_frames,
    )
    left = [part for part in planned.parts if part.number not in done]
    progress = Progress(sum(part.weight for part in left))
    try:
        for outcome in _outcomes(job, left, done, engine, progress, output, len(planned.parts)):
            done[outcome.number] = outcome
    finally:
        seconds = progress.close()
        records.sweep()
    records.finish(planned, list(done.values()))
    yield _told(planned, list(done.values()), progress.rows / seconds if left else 0, output)


def _outcomes(
    job: Job,
    left: Sequence[Part],
    done: dict[int, Outcome],
    engine: Engine,
    progress: Progress,
    output: Output,
    total: int,
) -> Iterator[Outcome]:
    """The outcomes of the parts that are left. Raises ProjectError at the first that has no output."""
    finished, rejected = len(done), sum(each.rejected for each in done.values())
    try:
        with closing(engine(job, left, progress.add)) as outcomes:  # type: ignore[type-var]
            for outcome in outcomes:
                if outcome.error:
                    raise ProjectError(outcome.error)
                finished += 1
                rejected += outcome.rejected
                yield outcome
                if job.skip and rejected > job.max_errors:
                    raise ProjectError(score.too_many(job.max_errors))
    except (ProjectError, KeyboardInterrupt) as error:
        kept = f"{finished} of {total} parts are done, and stay in {output.folder}."
        if not finished:
            kept = "No part is done yet."
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted(
                f"Interrupted. {kept} The same command goes on from there."
            ) from error
        raise ProjectError(f"{error} {kept}") from error


def _told(planned: Plan, outcomes: Sequence[Outcome], speed: float, output: Output) -> str:
    rows, rejected = sum(o.rows for o in outcomes), sum(o.rejected for o in outcomes)
    said = f"Predicted {rows:,} rows of {len(planned.inputs):,} files"
    if len(planned.inputs) == 1:
        said = said.removesuffix("s")
    if speed:
        said += f", {speed:,.0f} rows/s"
    if rejected:
        said += f"; {rejected:,} more do not fit, see {output.rejected}"
    return f"{said}: {output.url}"


__all__ = ["Interrupted", "Options", "engines", "predict"]
