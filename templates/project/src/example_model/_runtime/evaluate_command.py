"""What `evaluate` shows: metrics beside those of other runs, and a page where skore is installed."""

from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import msgspec

from . import card, evaluation, runs
from .errors import ProjectError
from .evaluation import Evaluated
from .formats import need
from .manifest import Manifest
from .runs import Entry
from .signature import Schema

PAGE = "reports/index.html"


def show(
    manifest: Manifest, model: Any, found: Evaluated, revision: str | None, markdown: bool
) -> Iterator[str]:
    """Say how good the model is, beside other runs, and write reports/index.html."""
    own = msgspec.convert(manifest.read().run, Entry)
    others = {} if revision is None else {revision: runs.at(manifest.package, revision)}
    if not markdown:
        yield f"{evaluation.summary(found.metrics)}."
        yield "The evaluation is in reports/evaluation.json."
    if markdown or others or find_spec("skore"):
        metrics, changes = _beside(manifest, own, found, others), _changes({"now": own, **others})
        if markdown or others:
            yield from [*in_markdown(metrics), *in_markdown(changes)]
    if find_spec("skore"):
        from . import report  # late: it needs libraries that few projects have

        page = {"run": own, "metrics": metrics, "changes": changes}
        slices = in_markdown(report.write(manifest.package, model, found, page))
        told = card.renew(manifest.package, own, Schema.of(model), slices)
        yield from [] if markdown else [*told, f"The page is {PAGE}."]
    elif not markdown:
        yield "A page with figures, slices and mistakes needs skore. Run: poetry ml add report"


def _beside(manifest: Manifest, own: Entry, found: Evaluated, others: dict[str, Entry]) -> Any:
    """Return a DataFrame of the metrics, those of other runs, and those of naive predictions."""
    before = [entry for entry in runs.read(manifest.package) if entry.created < own.created]
    columns = {"now": Entry(metrics=found.metrics)}
    if before:
        columns["run before"] = before[-1]
    with suppress(ProjectError):
        columns["last commit"] = runs.at(manifest.package, "HEAD")
    columns |= {**others, "naive": Entry(metrics=evaluation.naive(found))}
    numbers = {name: entry.numbers for name, entry in columns.items() if entry.metrics}
    return need("pandas").DataFrame(numbers)


def _changes(runs: dict[str, Entry]) -> Any:
    """Return a DataFrame of the settings, data and libraries in which runs differ."""
    facts = {
        name: {**run.config, **run.data, "python": run.python, **run.libraries}
        for name, run in runs.items()
    }
    table = need("pandas").DataFrame(facts).astype(str)
    return table[table.nunique(axis=1) > 1]


def in_markdown(table: Any) -> list[str]:
    """Return a DataFrame as the lines of a table."""
    if not len(table):
        return []
    texts = table.map(lambda cell: f"{cell:.4g}" if isinstance(cell, float) else str(cell))
    rows = [["", *table], ["---", *["--:"] * table.shape[1]], *map(list, texts.itertuples())]
    return [*(f"| {' | '.join(row)} |" for row in rows), ""]
