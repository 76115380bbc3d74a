"""Rows made from real ones, with the unusual values that a saved estimator must answer alike."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from .predictor import FAULTS, Column, Spec

ROWS = 8  # of each probe
GROUPS = 32  # columns of a wide table are probed together, in this many groups

Ask = Callable[[Mapping[str, Any]], dict[str, Any]]


class Batch(NamedTuple):
    """Rows, and what the estimator answers to them by method; None where it raises an error.

    `fault` is what is wrong with the values of `names`, where a saved estimator may refuse that.
    """

    name: str
    columns: dict[str, Any]
    answers: dict[str, Any] | None
    fault: str = ""
    names: tuple[str, ...] = ()


def draw(spec: Spec, columns: Mapping[str, Any], ask: Ask) -> Iterator[Batch]:
    """Ask an estimator about copies of rows whose values are missing, infinite, extreme or unknown.

    What it refuses of missing and infinite ones is noted in its columns.
    """
    rows = np.arange(ROWS) % len(next(iter(columns.values())))
    base = {name: values[rows] for name, values in columns.items()}
    groups = [spec.columns[i::GROUPS] for i in range(min(GROUPS, len(spec.columns)))]
    for kind, change in CHANGES.items():
        fault = kind if kind in FAULTS else ""
        changed = [(group, trial) for group in groups if (trial := _changed(base, group, change))]
        for (group, trial), answers in zip(changed, _answers(ask, changed), strict=True):
            names = tuple(column.name for column in group)
            if fault and answers is None:
                for column in group:
                    column.refuses.append(fault)
            else:
                yield Batch(f"{kind} values of {', '.join(names)}", trial, answers, fault, names)


def _answers(ask: Ask, changed: list[tuple[list[Column], dict[str, Any]]]) -> list[Any]:
    """What the estimator answers to each group's rows: asked all at once, and one by one if that fails."""
    if not changed:
        return []
    trials = [trial for _, trial in changed]
    together = {name: np.concatenate([trial[name] for trial in trials]) for name in trials[0]}
    answers = _asked(ask, together)
    if answers is None:
        return [_asked(ask, trial) for trial in trials]
    return [
        {method: _rows(answer, i * ROWS) for method, answer in answers.items()}
        for i in range(len(trials))
    ]


def _rows(answer: Any, start: int) -> Any:
    if isinstance(answer, list):
        return [_rows(one, start) for one in answer]
    rows = slice(start, start + ROWS)
    return answer.iloc[rows] if hasattr(answer, "iloc") else answer[rows]


def _asked(ask: Ask, columns: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        return ask(columns)
    except Exception:  # estimators raise what they like
        return None


def _changed(
    base: Mapping[str, Any], group: list[Column], change: Callable[[Any], Any]
) -> dict[str, Any] | None:
    """The rows with the columns of a group changed, or None where that changes nothing."""
    found = {c.name: values for c in group if (values := change(base[c.name])) is not None}
    return {**base, **found} if found else None


def _missing(values: Any) -> Any:
    if values.dtype.kind == "f":
        return np.full_like(values, np.nan)
    if values.dtype.kind in "mM":
        return np.full_like(values, "NaT")
    return np.full(len(values), None, object) if values.dtype.kind == "O" else None


def _infinite(values: Any) -> Any:
    return np.full_like(values, np.inf) if values.dtype.kind == "f" else None


def _extreme(values: Any) -> Any:
    """Far above and below what there is, and between the integers that float32 holds."""
    if values.dtype.kind == "f":
        known = np.nan_to_num(values, posinf=0, neginf=0)
        return (known * np.resize([10, -10, 1.1, 0.9], len(values)) + 0.1).astype(values.dtype)
    if values.dtype.kind == "i" and np.abs(values).max() < 2**40:
        return (values * np.resize([10, -10, 3, 1], len(values)) + 7).astype(values.dtype)
    return None


def _unknown(values: Any) -> Any:
    """Texts that were not trained on, and such as are cut into words otherwise by lesser rules."""
    if values.dtype.kind != "O" or not any(isinstance(value, str) for value in values):
        return None
    texts = [value if isinstance(value, str) else "x" for value in values.tolist()]
    made = ["", "nan", "None", "unknown \u2603", f"{texts[4]}\u00e9", texts[5].upper()]
    made += [texts[6].replace(" ", "\u00e9 ") + " x\u00b2", texts[7].replace(" ", "\n ")]
    return np.array(made, object)


CHANGES: dict[str, Callable[[Any], Any]] = {
    "missing": _missing,
    "infinite": _infinite,
    "extreme": _extreme,
    "unknown": _unknown,
}
