"""What the columns of a training were like, and what of another file is not like that."""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import columns as columnar
from . import delimited, tables
from .dialect import PLAIN, Dialect, Source
from .faults import Fault, InvalidRows
from .fields import Field

FREQUENT = 20  # words of a column that are recorded
MISSING_SHARE = 0.05  # by which the share of missing values may differ
OUTSIDE_SHARE = 0.01  # of values that may lie outside the range at the training
WORDS_SHARE = 0.25  # of rows that may have moved from one word to another


def describe(table: Any) -> dict[str, Any]:
    """Return the ranges, frequent words and shares of missing values of a table's columns, as plain data."""
    found = {key: _described(values) for key, values in table.columns.items()}
    return {"rows": len(table), "columns": {key: value for key, value in found.items() if value}}


def _described(values: Any) -> dict[str, Any] | None:
    if values.ndim != 1:
        return None
    if values.dtype == object:
        known = [str(value) for value in values if value is not None]
        ranked = sorted(Counter(known).items(), key=lambda each: (-each[1], each[0]))[:FREQUENT]
        shares = {word: round(count / len(known), 4) for word, count in ranked}
        return {"missing": _share(len(values) - len(known), len(values)), "words": shares}
    numbers = _numbers(values)
    known = numbers[~np.isnan(numbers)]
    result: dict[str, Any] = {"missing": _share(len(numbers) - len(known), len(numbers))}
    if len(known):
        picks = np.quantile(known, [0, 0.25, 0.5, 0.75, 1])
        result["range"] = [float(f"{value:.6g}") for value in picks]
        result["dates"] = values.dtype.kind == "M"
    return result


def reference(table: Any, fields: Iterable[Field], predicted: columnar.Columns) -> dict[str, Any]:
    """Return what later rows and predictions are compared with, as plain data; nothing of private fields."""
    private = {field.key for field in fields if field.is_private}
    found = {k: _binned(v) for k, v in table.columns.items() if k not in private and v.ndim == 1}
    answer = next(iter(columnar.flat(predicted).values()))
    return {"rows": len(table), "columns": found, "prediction": _binned(answer)}


def _binned(values: Any) -> dict[str, Any]:
    """The shares of a column's words, or of its numbers up to each decile; of free text, of its length."""
    known = [value for value in values.tolist() if value is not None and value == value]
    result: dict[str, Any] = {"missing": _share(len(values) - len(known), len(values))}
    numbers = np.array([len(str(value)) for value in known], float)
    if values.dtype.kind in "OUSb":
        counts = Counter(str(getattr(value, "value", value)) for value in known)
        if len(counts) <= FREQUENT and len(known) >= 2 * len(counts):
            words = {word: _share(count, len(known)) for word, count in sorted(counts.items())}
            return {**result, "words": words}
        result["text"] = True
    else:
        numbers = _numbers(values)
        numbers = numbers[np.isfinite(numbers)]
        result["dates"] = values.dtype.kind == "M"
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, 11))) if len(numbers) else numbers
    counted = np.bincount(np.searchsorted(edges, numbers), minlength=len(edges)).tolist()
    shares = [_share(count, len(numbers)) for count in counted]
    return {**result, "edges": edges.tolist(), "shares": shares}


def _share(part: int, whole: int) -> float:
    return round(part / max(whole, 1), 4)


def _numbers(values: Any) -> Any:
    """Values as float64; dates as days since 1970."""
    if values.dtype.kind == "M":
        seconds = values.astype("datetime64[s]").astype(np.float64)
        return np.where(np.isnat(values), np.nan, seconds / 86_400)
    return values.astype(np.float64)


def check(
    path: Path,
    row: Any,
    target: str,
    answer: Any,
    *,
    missing: Collection[str] = (),
    dialect: Dialect = PLAIN,
    recorded: Mapping[str, Any] | None = None,
) -> list[str]:
    """Return what of a file does not fit Row, and what differs from the columns of the training."""
    delimited.check_kind(path)
    if path.suffix in delimited.TEXTS:
        written = _written(path, dialect)
        if written:
            return [written]
    Source(path, dialect)
    try:
        found, faults = _scanned(path, row, target, answer, missing, dialect)
    except InvalidRows as error:
        return [f"{path.name}: {fault}" for fault in error.faults]
    problems = list(_summed(faults))
    if recorded and found is not None:
        now = {key: _described(values) for key, values in found.items()}
        sizes = recorded["rows"], len(next(iter(found.values())))
        for key, then in recorded["columns"].items():
            if (value := now.get(key)) is not None:
                problems += [f"{key}: {said}" for said in _shifts(then, value, found[key], sizes)]
    return problems


def _written(path: Path, dialect: Dialect) -> str | None:
    seen = delimited.sniff(path)
    for part, noun in (
        ("encoding", "encoding"),
        ("delimiter", "delimiter"),
        ("decimal", "decimal mark"),
    ):
        is_now, was = getattr(seen, part), getattr(dialect, part)
        if is_now != was and not (part == "encoding" and {is_now, was} <= {"utf-8", "cp1252"}):
            return f'{path.name} is written in another way: its {noun} is "{is_now}", not "{was}".'
    return None


def _scanned(
    path: Path, row: Any, target: str, answer: Any, missing: Collection[str], dialect: Dialect
) -> tuple[Any, list[Fault]]:
    """The columns of the rows that fit, and the faults of the others."""
    with tempfile.TemporaryDirectory() as folder:
        if dialect != PLAIN or path.suffix not in (".csv", ".jsonl", ".parquet"):
            plain = Path(folder, path.with_suffix(".csv").name)
            dialect.rewrite(path, plain, row, target, answer, missing)
            path, missing = plain, ()
        pieces, faults = [], []
        for piece in tables.scan(path, row, target, answer=answer, missing=missing, skip=True):
            faults += list(piece.rejected)
            if len(piece):
                pieces.append(piece)
    if not pieces:
        return None, faults
    names = pieces[0].columns
    return {
        name: columnar.join([piece.columns[name] for piece in pieces]) for name in names
    }, faults


def _summed(faults: Iterable[Fault]) -> Iterator[str]:
    """One line for the faults of a column that are alike."""
    alike: dict[tuple[str, str], list[Fault]] = defaultdict(list)
    for fault in faults:
        alike[fault.field, fault.message].append(fault)
    for found in alike.values():
        more = f", and in {len(found) - 1:,} more rows" if len(found) > 1 else ""
        yield f"{found[0]}{more}"


def _shifts(
    then: Mapping[str, Any], now: Mapping[str, Any], values: Any, rows: tuple[int, int]
) -> Iterator[str]:
    was, share = then["missing"], now["missing"]
    # Four standard errors: chance alone hardly ever gives as much.
    noise = 4 * (max(was * (1 - was), 0.01) * (1 / rows[0] + 1 / rows[1])) ** 0.5
    if abs(share - was) > max(MISSING_SHARE, noise):
        yield f"{share:.0%} are missing, and {was:.0%} were at the training"
    if "range" in then and "range" in now:
        yield from _moved(then, now, _numbers(values))
    if then.get("words") and now.get("words"):
        words = {*then["words"], *now["words"]}
        apart = sum(abs(then["words"].get(w, 0) - now["words"].get(w, 0)) for w in words) / 2
        noise = 2 * (len(words) * (1 / rows[0] + 1 / rows[1])) ** 0.5
        if len(then["words"]) < FREQUENT and apart > max(WORDS_SHARE, noise):
            yield f"its words have other shares than at the training: {apart:.0%} of the rows moved"


def _moved(then: Mapping[str, Any], now: Mapping[str, Any], numbers: Any) -> Iterator[str]:
    low, lower, middle, upper, high = then["range"]

    def shown(value: float) -> str:
        if then.get("dates"):
            return str(np.datetime64(int(value), "D"))
        return f"{value:,.6g}"

    known = numbers[~np.isnan(numbers)]
    slack = 1e-5 * max(abs(low), abs(high))
    outside = (known < low - slack) | (known > high + slack)
    share = float(outside.mean())
    if share > OUTSIDE_SHARE and outside.sum() >= 3:
        span = f"{shown(low)} to {shown(high)}"
        yield f"{share:.0%} of the values lie outside {span}, the range at the training"
    spread = upper - lower
    median = now["range"][2]
    if spread > 0 and len(known) >= 20 and abs(median - middle) > spread:
        yield f"the median is {shown(median)}, and was {shown(middle)} at the training"
