"""Rows to show and to try a model on: composed column by column, so that no row of the data is given away."""

import datetime
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .gathering import Gathering
    from .profile import Column, Profile

FREQUENT = 5  # rows that must share a word before it is shown
TRIES = 12


def compose(profile: "Profile", gathering: "Gathering") -> Iterator[tuple[Any, ...]]:
    """Two rows of frequent words and rounded quantiles; where the columns allow, no row of the data."""
    columns = profile.fields
    used: list[tuple[Any, ...]] = []
    for first in (0, 1):
        row: tuple[Any, ...] = ()
        for step in range(TRIES):
            row = tuple(
                value(column, first + (step >> place % 4 & 1) + step // 8)
                for place, column in enumerate(columns)
            )
            if row not in used and not _is_there(row, columns, gathering):
                break
        used.append(row)
        yield row


def value(column: "Column", nth: int) -> Any:
    """The nth choice for a column: a frequent word, or a rounded quantile."""
    if column.kind in ("word", "bool") or column.choices:
        return _word(column, nth)
    if column.kind == "text":
        return _sentence(column, nth)
    values = (column.middle, column.quartiles[1], column.quartiles[0])
    chosen = values[nth % 3]
    if column.kind == "date":
        return datetime.date.fromisoformat(chosen).replace(day=1)
    if column.kind == "datetime":
        moment = datetime.datetime.fromisoformat(chosen).replace(minute=0, second=0, microsecond=0)
        return moment.replace(day=1, tzinfo=None)
    rounded = round_to(chosen, 2)
    kept = min(max(rounded, column.low), column.high)
    return int(kept) if column.kind == "int" else float(kept)


def round_to(number: float, digits: int) -> float:
    """A number rounded to so many digits that count."""
    if number == 0 or not math.isfinite(number):
        return 0.0
    return round(number, digits - 1 - math.floor(math.log10(abs(number))))


def _word(column: "Column", nth: int) -> Any:
    if column.choices or column.kind == "bool":
        return column.counts[nth % len(column.counts)][0]
    frequent = [word for word, count in column.counts[:3] if count >= FREQUENT]
    return frequent[nth % len(frequent)] if frequent else "other"


def _sentence(column: "Column", nth: int) -> str:
    """Words that many of the texts have, in an order that none needs to have."""
    counts: Counter[str] = Counter()
    for text, _ in itertools.islice(column.counts, 2_000):
        counts.update(set(re.findall(r"[^\W\d_]{3,}", text.lower())))
    words = [word for word, count in counts.most_common(12) if count >= FREQUENT]
    return " ".join(words[nth % 2 :: 2]) or "some words"


def _is_there(row: tuple[Any, ...], columns: "list[Column]", gathering: "Gathering") -> bool:
    """Whether the data has a row like this."""
    alike: Any = None
    for given, column in zip(row, columns, strict=True):
        gathered = gathering.columns[column.name]
        if gathered.all_numbers:
            same = gathered.values == given
        else:
            shown = str(given).lower() if isinstance(given, bool) else str(given)
            same = np.array(
                [cell is not None and cell.lower() == shown.lower() for cell in gathered.values]
            )
        alike = same if alike is None else alike & same
        if not alike.any():
            return False
    return True
