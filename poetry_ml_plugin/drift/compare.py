"""Logged rows beside what the manifest recorded of those that the model was judged on."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from poetry_ml_plugin.audit import artifacts
from poetry_ml_plugin.drift import statistics
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project.pyproject import Project

DOUBT = 0.01  # how likely a false alarm is allowed to be, over all columns together
PSI = 0.1  # from where a shift is worth a look, by custom
MISSING = 0.05  # by which the share of missing values may differ
UNSEEN = 0.01  # of the values that may be words of which the training saw none
PREDICTION = "prediction"


@dataclass(frozen=True)
class Shift:
    """One column then and now."""

    column: str
    missing: tuple[float, float]  # shares, then and now
    unseen: (
        float  # the share of words that the training saw none of, or of numbers out of its range
    )
    psi: float
    chance: float  # the p-value
    shares: tuple[tuple[str, float, float], ...]  # a label, and the shares then and now
    alarms: tuple[str, ...]  # in words


@dataclass(frozen=True)
class Reference:
    """What the manifest recorded."""

    rows: int
    columns: Mapping[str, Mapping[str, Any]]
    prediction: Mapping[str, Any] | None
    trained: str


def reference(project: Project) -> Reference:
    """Read what the training recorded. Raises MLError where it recorded nothing to compare with."""
    path = project.artifacts_dir / artifacts.MANIFEST
    try:
        run = json.loads(path.read_bytes())["run"]
        recorded = run.get("reference") or {}
        found = Reference(
            int(recorded.get("rows", 0)),
            recorded.get("columns", {}),
            recorded.get("prediction"),
            str(run.get("created")),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MLError(f"{project.at(path)} cannot be read. {artifacts.TRAIN}") from error
    if not found.rows or not (found.columns or found.prediction):
        raise MLError(
            f"{project.at(path)} records nothing of the rows to compare with: the training holds none out, "
            "or is older than this. Train again, with run.judge(Model(), held_out, metrics)."
        )
    return found


def compare(then: Reference, rows: Sequence[tuple[Mapping[str, Any], Any]]) -> list[Shift]:
    """Compare each recorded column, and the predictions, with those of logged rows."""
    columns = {name: [row.get(name) for row, _ in rows] for name in then.columns}
    known: dict[str, Mapping[str, Any]] = dict(then.columns)
    if then.prediction:
        columns[PREDICTION] = [_label(answer) for _, answer in rows]
        known[PREDICTION] = then.prediction
    doubt = DOUBT / (
        2 * max(len(known), 1)
    )  # two tests a column: of its values, and of missing ones
    return [_shift(name, said, then.rows, columns[name], doubt) for name, said in known.items()]


def _shift(
    name: str, then: Mapping[str, Any], size: int, values: Sequence[Any], doubt: float
) -> Shift:
    present = [value for value in values if value is not None]
    was, share = float(then.get("missing", 0)), 1 - len(present) / len(values)
    alarms = []
    gone = statistics.chance(
        [was * size, size - was * size], [len(values) - len(present), len(present)]
    )
    if abs(share - was) > MISSING and gone < doubt:
        alarms.append(f"{share:.0%} are missing, and {was:.0%} were")
    bins = _words(then, present) if "words" in then else _numbers(then, present)
    before = [old * size * (1 - was) for _, old, _ in bins]
    after = [float(new) for _, _, new in bins]
    psi, chance = statistics.psi(before, after), statistics.chance(before, after)
    unseen = after[-1] / max(sum(after), 1)
    if psi > PSI and chance < doubt:
        alarms.append(f"the shares moved: PSI {psi:.2f}")
    # Of some values of which there are none among so many, chance shows a few.
    if "words" in then and unseen > max(UNSEEN, 5 / size):
        others = sorted({str(value) for value in present} - then["words"].keys())
        alarms.append(
            f"{unseen:.0%} are words that the training saw none of, like {others[0][:40]}"
        )
    total = max(sum(after), 1)
    shares = tuple((label, old, new / total) for label, old, new in bins)
    return Shift(name, (was, share), unseen, psi, chance, shares, tuple(alarms))


def _words(then: Mapping[str, Any], values: Sequence[Any]) -> list[tuple[str, float, int]]:
    """The shares then and the counts now of each word, the rarest last, and of all that were not seen."""
    counts = dict.fromkeys(sorted(then["words"], key=lambda word: -then["words"][word]), 0)
    unseen = 0
    for value in values:
        if (word := str(value)) in counts:
            counts[word] += 1
        else:
            unseen += 1
    return [(w, then["words"][w], n) for w, n in counts.items()] + [("others", 0.0, unseen)]


def _numbers(then: Mapping[str, Any], values: Sequence[Any]) -> list[tuple[str, float, int]]:
    """The shares then and the counts now of the numbers between the edges, and of those beyond the last."""
    edges = then.get("edges", [])
    counts = [0] * (len(edges) + 1)
    for value in values:
        number = _number(value, then)
        if number is not None:
            counts[bisect_left(edges, number)] += 1
    labels = [*(f"up to {edge:.6g}" for edge in edges), "beyond"]
    return list(zip(labels, [*then.get("shares", []), 0.0], counts, strict=True))


def _number(value: Any, then: Mapping[str, Any]) -> float | None:
    if then.get("text"):
        return float(len(str(value)))
    if then.get("dates"):
        try:
            moment = datetime.fromisoformat(str(value)).replace(tzinfo=None)
        except ValueError:
            return None
        return (moment - datetime(1970, 1, 1)).total_seconds() / 86_400
    return float(value) if isinstance(value, int | float) else None


def _label(answer: Any) -> Any:
    """The answer itself, or its first field."""
    return next(iter(answer.values()), None) if isinstance(answer, dict) else answer
