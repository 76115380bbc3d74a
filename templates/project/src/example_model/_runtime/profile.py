"""What the columns of a file hold: the kinds, ranges and roles that a schema is written from."""

import datetime
import itertools
import keyword
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from .delimited import FEWEST_ROWS, check_header, check_rows, no_column
from .dialect import PLAIN, Dialect, Source, as_iso
from .errors import ProjectError
from .gathering import ABSENT, Gathered, Gathering, gather

CLASSIFICATION, REGRESSION = "classification", "regression"
MOST_CLASSES = 100
MOST_WHOLE_CLASSES = (
    10  # different whole numbers that are taken for classes, unless a task is given
)
MOST_CHOICES = 20  # words of a Literal
CHOICE_ROWS = 10  # rows for each word of a Literal, on average
ID_LENGTH = 40  # characters of a text that may be an identifier
FREQUENT = 5  # rows that must share a word before it is shown as an example
GIVES_AWAY = 0.99  # score from which a single column is said to give the target away
RESERVED = {
    *("Annotated", "Any", "Literal", "Meta", "bool", "date", "datetime", "dict", "field"),
    *("float", "int", "msgspec", "str", "EXAMPLES", "Prediction", "Row", "TARGET", "TEXT"),
}  # names that a schema uses itself
WORDS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}


class Choices(msgspec.Struct, frozen=True):
    """What the caller says of a file that does not follow from it."""

    target: str | None = None
    task: str | None = None
    missing: tuple[str, ...] = ()  # words that stand for a missing value
    text: tuple[str, ...] = ()  # columns that are no numbers, whatever they look like
    day_first: bool | None = None  # of 01/02/2024


@dataclass(frozen=True)
class Column:
    """One column of a file.

    `kind` is float, int, bool, date, datetime, word (the name of one of several things), text
    (sentences), or nested. `low`, `middle` and `high` are the least, median and greatest value.
    """

    name: str
    field: str  # its name in Python
    kind: str
    missing: int
    distinct: int
    counts: tuple[tuple[Any, int], ...] = ()  # by frequency; of at most 100,000 words
    order: tuple[Any, ...] = ()  # distinct words or whole numbers as they appear, if they are few
    low: Any = None
    middle: Any = None
    high: Any = None
    quartiles: tuple[Any, Any] = (None, None)
    form: str = ""  # of a date that is not as JSON has it
    left_out: str = ""  # why it is no field
    warning: str = ""

    @property
    def choices(self) -> tuple[Any, ...]:
        """The words of a Literal, or nothing."""
        if self.kind == "word" and self.distinct <= MOST_CHOICES:
            rows = sum(count for _, count in self.counts)
            return self.order if rows >= CHOICE_ROWS * self.distinct else ()
        is_flag = self.kind == "int" and set(self.order) == {0, 1}
        return self.order if is_flag else ()


@dataclass(frozen=True)
class Profile:
    """A file, seen with one of its columns as the target (or with none)."""

    source: Path
    rows: int
    columns: tuple[Column, ...]
    target: Column | None
    task: str
    dialect: Dialect
    missing: tuple[str, ...]  # words that stand for a missing value
    without_target: int  # rows
    examples: tuple[tuple[Any, ...], ...] = ()  # a value for each field
    warnings: tuple[str, ...] = ()

    @property
    def fields(self) -> list[Column]:
        """The columns to predict from."""
        return [c for c in self.columns if not c.left_out and c is not self.target]

    @property
    def left_out(self) -> list[Column]:
        """The columns that are neither fields nor the target."""
        return [column for column in self.columns if column.left_out]


def profile(path: Path, choices: Choices = Choices(), dialect: Dialect | None = None) -> Profile:  # noqa: B008
    """Read a file and infer what its columns hold.

    Raises ProjectError where it is no table, a column holds two kinds of values, or the target will not do.
    """
    source = Source(path, dialect)
    _check_header(source, choices)
    gathering = gather(source)
    rows = len(gathering.line_numbers)
    check_rows(path.name, rows)
    columns, missing = _columns(gathering, choices)
    found = replace(
        source.dialect,
        loose=source.blanks or any(c.loose for c in gathering.columns.values()),
        dates={column.name: column.form for column in columns if column.form},
    )
    if choices.target is None:
        named = [replace(c, left_out=_useless(c, rows, None)) for c in columns]
        return Profile(path, rows, tuple(named), None, "", found, missing, 0)
    return _with_target(gathering, columns, missing, found, choices)


def _check_header(source: Source, choices: Choices) -> None:
    check_header(source.path.name, source.header, choices.target)
    for name in choices.text:
        if name not in source.header:
            raise ProjectError(no_column(name, source.header, source.path.name))


def _columns(gathering: Gathering, choices: Choices) -> tuple[list[Column], tuple[str, ...]]:
    """All columns, and the words that stand for a missing value in them."""
    absent = {word: None for word in choices.missing}
    for column in gathering.columns.values():
        absent |= dict.fromkeys(column.absent)
    for column in gathering.columns.values():
        if not column.all_numbers and not gathering.source.typed:
            known = set(column.values)
            absent |= {word: None for word in ABSENT if word in known}
    names = field_names(gathering.source.header)
    columns = []
    for name, column in gathering.columns.items():
        _forget(column, absent, choices)
        columns.append(_column(gathering, column, names[name], absent, choices))
        absent |= dict.fromkeys(column.absent)
    return columns, tuple(absent)


def _forget(column: Gathered, absent: Collection[str], choices: Choices) -> None:
    """Make words that stand for a missing value missing; what is left may be numbers."""
    if column.all_numbers:
        if column.name in choices.text:
            column.pieces = [[None if v != v else f"{v:g}" for v in column.values.tolist()]]
            vars(column).pop("values", None)
        return
    values = [None if value in absent else value for value in column.values]
    column.pieces = [values]
    if not column.types and column.name not in choices.text:
        again = Gathered(column.name, column.dialect)
        again.add([value or "" for value in values])
        if again.all_numbers:
            column.pieces, column.keep_text = again.pieces, False
            column.whole, column.loose = again.whole, column.loose or again.loose
            column.absent += again.absent
    vars(column).pop("values", None)


def _column(
    gathering: Gathering, column: Gathered, name: str, absent: Collection[str], choices: Choices
) -> Column:
    if column.nested:
        missing = sum(value is None for value in column.values)
        return Column(column.name, name, "nested", missing, len(set(column.values)))
    if column.all_numbers:
        return _numbers(column, name)
    values = column.values
    counts = Counter(value for value in values if value is not None)
    missing = len(values) - sum(counts.values())
    found = Column(column.name, name, "word", missing, len(counts))
    if not counts or column.name in choices.text:
        return replace(found, counts=tuple(_by_frequency(counts)), order=_order(counts))
    if all(value in WORDS for value in counts) and len({WORDS[value] for value in counts}) > 1:
        merged = Counter[Any]()
        for value, count in counts.items():
            merged[WORDS[value]] += count
        return replace(
            found, kind="bool", distinct=2, counts=tuple(_by_frequency(merged)), order=(False, True)
        )
    if column.types <= {str} and (dated := _dates(gathering, column, found, counts, choices)):
        return dated
    if column.types == {datetime.date}:
        return _dated(found, values, "")
    _check_mixed(gathering, column, counts)
    if column.types - {str} and len(column.types) > 1:
        raise _refuse_types(gathering, column)
    kind = "text" if _is_text(counts) else "word"
    return replace(found, kind=kind, counts=tuple(_by_frequency(counts)), order=_order(counts))


def _order(counts: Counter[Any]) -> tuple[Any, ...]:
    return tuple(itertools.islice(counts, MOST_CLASSES + 1))


def _by_frequency(counts: Counter[Any]) -> list[tuple[Any, int]]:
    return counts.most_common(100_000)


def _is_text(counts: Counter[str]) -> bool:
    """Whether values are sentences: several words, and seldom twice the same."""
    some = list(itertools.islice(counts, 2_000))
    words = sum(len(value.split()) for value in some) / len(some)
    repeated = sum(counts.values()) / len(counts)
    return words >= 3 and repeated < 5 if len(counts) > MOST_CHOICES else words >= 8


def _numbers(column: Gathered, name: str) -> Column:
    values = column.values
    known = values[~np.isnan(values)]
    distinct, first, counts = np.unique(known, return_index=True, return_counts=True)
    kind = "int" if column.whole else "float"
    found = Column(column.name, name, kind, len(values) - len(known), len(distinct))
    if not len(known):
        return found
    cast = int if column.whole else float
    low, lower, middle, upper, high = np.quantile(known, [0, 0.25, 0.5, 0.75, 1])
    if len(distinct) <= MOST_CLASSES:
        order = np.argsort(first)
        as_whole = column.whole or bool((distinct == np.round(distinct)).all())
        shown = int if as_whole else float
        ranked = np.argsort(-counts, kind="stable")
        found = replace(
            found,
            order=tuple(shown(value) for value in distinct[order]),
            counts=tuple((shown(distinct[n]), int(counts[n])) for n in ranked),
        )
    return replace(
        found,
        low=cast(low),
        high=cast(high),
        middle=float(middle),
        quartiles=(float(lower), float(upper)),
    )


DATES = (
    *("%Y/%m/%d", "%d.%m.%Y", "%d.%m.%y", "%b %d %Y", "%B %d %Y", "%b %d, %Y", "%B %d, %Y"),
    *("%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"),
    *("%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S"),
    *("%Y-%m-%d %H:%M:%S %z", "%a %b %d %H:%M:%S %Y", "%Y-%m"),
)
EITHER = tuple(
    (f"%d{mark}%m{mark}{year}{time}", f"%m{mark}%d{mark}{year}{time}")
    for time in ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
    for mark in "/-"
    for year in ("%Y", "%y")
)
"""The formats with the day first, and with the month first."""


def _dates(
    gathering: Gathering, column: Gathered, found: Column, counts: Counter[str], choices: Choices
) -> Column | None:
    """The column as dates, where its words are."""
    words = list(counts)
    probe = [word for word in words[:200] if re.search(r"\d", word)]
    if 10 * len(probe) < 9 * len(words[:200]) or len(max(words[:200], key=len)) > 40:
        return None
    if (form := _form(gathering, column, words, probe, choices)) is None:
        return None
    odd = _odd_dates(words, form)
    if odd:
        value, others = odd[0], sum(counts.values()) - sum(counts[word] for word in odd)
        raise _mixed(gathering, column, value, "a date", others)
    iso = {word: _as_date(word, form) or "" for word in words}
    values = [None if value is None else iso[value] for value in column.values]
    days = all(word.endswith("T00:00:00") or "T" not in word for word in iso.values())
    if days and form in ("", "iso"):
        plain = all(len(word) == 10 for word in words)
        form = "" if plain else "iso"
    return _dated(found, values, form)


def _form(
    gathering: Gathering, column: Gathered, words: list[str], probe: list[str], choices: Choices
) -> str | None:
    """The format of most words: "" for RFC 3339, "iso" for what is nearly that, strptime's, or None."""

    def fits(form: str, some: Iterable[str]) -> int:
        return sum(_as_date(word, form) is not None for word in some)

    most = 0.9 * len(probe)
    for form in ("", "iso", *DATES):
        if fits(form, probe) >= most:
            return form
    for day_first, month_first in EITHER:
        either = fits(day_first, probe), fits(month_first, probe)
        if max(either) < most:
            continue
        every = fits(day_first, words), fits(month_first, words)
        if every[0] != every[1]:
            return day_first if every[0] > every[1] else month_first
        return _day_or_month(gathering, column, words, (day_first, month_first), choices)
    return None


def _day_or_month(
    gathering: Gathering,
    column: Gathered,
    words: list[str],
    forms: tuple[str, str],
    choices: Choices,
) -> str:
    if choices.day_first is not None:
        return forms[0] if choices.day_first else forms[1]
    first = {re.split("[/-]", word)[0] for word in words}
    second = {re.split("[/-]", word)[1] for word in words}
    if (len(first) == 1) != (len(second) == 1):  # the first of each month
        return forms[0] if len(first) == 1 else forms[1]
    raise gathering.source.error(
        f'"{words[0]}" may have the day or the month first. Say which: --day-first, or --month-first',
        f", {column.name}:",
    )


_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?)?", re.ASCII
)
_NEARLY = re.compile(
    r"\d{4}-\d\d?-\d\d?(?:[T ]\d\d?:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
)


def _as_date(word: str, form: str) -> str | None:
    """A word as RFC 3339 has it, or None where it is not of the format."""
    if form in ("", "iso") and not (_RFC3339 if form == "" else _NEARLY).fullmatch(word):
        return None
    said = as_iso(word, form or "iso")
    if form in ("", "iso"):
        return said if said != word or "T" in word or _is_moment(word) else None
    return said if said != word else None


def _is_moment(word: str) -> bool:
    try:
        datetime.datetime.fromisoformat(word)
    except ValueError:
        return False
    return True


def _odd_dates(words: Iterable[str], form: str) -> list[str]:
    return [word for word in words if _as_date(word, form) is None]


def _dated(found: Column, values: Sequence[str | None], form: str) -> Column:
    known = sorted(value for value in values if value is not None)
    days = all(len(value) == 10 or value[10:] == "T00:00:00" for value in set(known))
    if days:
        known = [value[:10] for value in known]
    picks = [known[int(share * (len(known) - 1))] for share in (0, 0.25, 0.5, 0.75, 1)]
    low, lower, middle, upper, high = picks
    return replace(
        found,
        kind="date" if days else "datetime",
        low=low,
        middle=middle,
        high=high,
        quartiles=(lower, upper),
        form=form,
    )


def _check_mixed(gathering: Gathering, column: Gathered, counts: Counter[str]) -> None:
    """Raise ProjectError where nearly all words are numbers."""
    if column.types:
        return
    pattern = gathering.source.dialect._number
    odd = {word: count for word, count in counts.items() if not pattern.fullmatch(word)}
    total, others = sum(counts.values()), sum(odd.values())
    few = 10 * others <= total or (len(odd) <= 3 and 2 * others <= total)
    if odd and few and not any(re.fullmatch(r"0\d+", word) for word in counts):
        raise _mixed(gathering, column, next(iter(odd)), "a number", total - others)


def _mixed(
    gathering: Gathering, column: Gathered, value: str, noun: str, others: int
) -> ProjectError:
    line = gathering.line_numbers[column.values.index(value)]
    place = f", {'row' if gathering.source.path.suffix == '.parquet' else 'line'} {line}"
    return gathering.source.error(
        f'"{value[:40]}" is not {noun}, as the {others:,} others are. If it stands for a missing value, '
        f"say so: --missing {_quoted(value)}; if the column holds words, --text {_quoted(column.name)}",
        f"{place}, {column.name}:",
    )


def _refuse_types(gathering: Gathering, column: Gathered) -> ProjectError:
    by_place = sorted(column.first, key=lambda kind: column.first[kind])
    line = gathering.line_numbers[column.first[by_place[1]]]
    place = "row" if gathering.source.path.suffix == ".parquet" else "line"
    names = {
        "str": "text",
        "int": "a number",
        "float": "a number",
        "bool": "true or false",
        "date": "a date",
    }
    first, second = (names.get(kind.__name__, kind.__name__) for kind in by_place[:2])
    return gathering.source.error(
        f"is {second}, and {first} before. Write the column as one type",
        f", {place} {line}, {column.name}",
    )


def _quoted(word: str) -> str:
    return word if re.fullmatch(r"[\w./+-]+", word) else f'"{word}"'


def _useless(column: Column, rows: int, relevance: float | None) -> str:
    """Return why a column is not a field; empty if it is one."""
    known = rows - column.missing
    if not column.name:
        return "it has no name"
    if column.kind == "nested":
        return "it holds neither numbers, words nor dates"
    if known == 0:
        return "it is empty"
    if column.distinct == 1:
        shown = column.order[0] if column.order else column.low
        return f"it is constant: {shown}" if not column.missing else f"it is {shown} or missing"
    if column.distinct == known and known >= FEWEST_ROWS:
        if column.kind == "int" and not _tells(column, known, relevance):
            return "it is an identifier: a different whole number in each row"
        short = column.kind == "word" and all(
            len(word) <= ID_LENGTH and not re.search(r"\s", word) for word, _ in column.counts
        )
        if short:
            return "it is an identifier: a different word in each row"
    return ""


def _tells(column: Column, known: int, relevance: float | None) -> bool:
    """Whether whole numbers that are all different measure something nonetheless."""
    running = column.high - column.low < 1.05 * known
    called = re.search(
        r"(?i)(?:^|[^a-z])(?:id|ids|key|no|nr|number|index|row|code)$|Id$|ID$", column.name
    )
    return relevance is not None and relevance >= 0.25 and not running and not called


def _with_target(
    gathering: Gathering,
    columns: list[Column],
    missing: tuple[str, ...],
    dialect: Dialect,
    choices: Choices,
) -> Profile:
    source, by_name = gathering.source, {column.name: column for column in columns}
    target = by_name[str(choices.target)]
    known = _known(gathering.columns[target.name])
    rows = int(known.sum())
    task = _task(source, target, rows, choices.task)
    if task == CLASSIFICATION and target.kind == "float":
        dialect = replace(dialect, whole=(target.name,))
        target = replace(target, kind="int")
    if task == REGRESSION and target.kind == "int":
        target = replace(target, kind="float")
    without = len(known) - rows
    if without:
        dialect = replace(dialect, partial=True)
        for column in gathering.columns.values():
            _keep(column, known)
        gathering.lines = [gathering.line_numbers[known]]
        columns = [
            target if c.name == target.name else _again(gathering, c, missing, choices)
            for c in columns
        ]
    else:
        columns = [target if c.name == target.name else c for c in columns]
    truth = _codes(gathering.columns[target.name], target)
    columns = [
        c if c.name == target.name else _judged(gathering.columns[c.name], c, rows, truth, task)
        for c in columns
    ]
    if target.name == "probabilities":
        raise source.error(
            'has a target called "probabilities", as the answer has: rename the column'
        )
    result = Profile(source.path, rows, tuple(columns), target, task, dialect, missing, without)
    if not result.fields:
        reasons = "; ".join(f"{c.name}: {c.left_out}" for c in result.left_out[:5])
        raise source.error(f"has no column to predict {target.name} from ({reasons})")
    from .examples import compose

    return replace(
        result,
        examples=tuple(compose(result, gathering)),
        warnings=tuple(_warnings(result)),
    )


def _known(column: Gathered) -> Any:
    values = column.values
    if column.all_numbers:
        return ~np.isnan(values)
    return np.array([value is not None for value in values])


def _keep(column: Gathered, kept: Any) -> None:
    values = column.values
    column.pieces = [values[kept] if column.all_numbers else list(itertools.compress(values, kept))]
    vars(column).pop("values", None)


def _again(gathering: Gathering, old: Column, missing: Collection[str], choices: Choices) -> Column:
    return _column(gathering, gathering.columns[old.name], old.field, missing, choices)


def _task(source: Source, target: Column, rows: int, wanted: str | None) -> str:
    """The task that a target sets. Raises ProjectError where there is none."""
    name = f", {target.name}:"
    if rows < FEWEST_ROWS:
        raise source.error(
            f"the target is known in {rows:,} rows, and at least {FEWEST_ROWS} are needed", name
        )
    if target.distinct < 2:
        raise source.error("the target has one value, so there is nothing to learn", name)
    if target.kind in ("nested", "date", "datetime", "text"):
        raise source.error(
            f"the target holds {'sentences' if target.kind == 'text' else f'{target.kind} values'}. "
            "Choose one of numbers or of a few words",
            name,
        )
    is_number = target.kind in ("int", "float")
    whole = target.kind == "int" or (
        is_number and bool(target.order) and type(target.order[0]) is int
    )
    if wanted is None:
        few = whole and target.distinct <= MOST_WHOLE_CLASSES and rows >= 3 * target.distinct
        task = CLASSIFICATION if not is_number or few else REGRESSION
    else:
        task = wanted
    if task == REGRESSION and not is_number:
        raise source.error("the target holds words, which no regression predicts", name)
    if task == CLASSIFICATION:
        if is_number and not whole:
            raise source.error("the target holds decimals, which cannot be classes", name)
        if target.distinct > MOST_CLASSES or 2 * target.distinct > rows:
            raise source.error(
                f"the target has {target.distinct:,} different values in {rows:,} rows, which are too "
                f"many to be classes. At most {MOST_CLASSES} are taken",
                name,
            )
    return task


def _codes(column: Gathered, target: Column) -> Any:
    """The target as numbers: values, or the classes' places."""
    if column.all_numbers:
        return column.values
    places = {value: n for n, value in enumerate(dict.fromkeys(column.values))}
    return np.array([places[value] for value in column.values], np.float64)


def _judged(gathered: Gathered, column: Column, rows: int, truth: Any, task: str) -> Column:
    """The column with the reason why it is left out, and a warning where it gives the target away."""
    relevance = None
    if column.kind == "int" and FEWEST_ROWS <= column.distinct == rows - column.missing:
        relevance = _relevance(gathered.values, truth, task)
    reason = _useless(column, rows, relevance)
    if reason or column.kind in ("text", "nested"):
        return replace(column, left_out=reason)
    score = _alone(gathered, truth, task)
    if score >= GIVES_AWAY:
        noun = "R²" if task == REGRESSION else "accuracy"
        return replace(column, warning=f"it predicts the target by itself ({noun} {score:.3f})")
    return column


def _relevance(values: Any, truth: Any, task: str) -> float:
    """How strongly numbers go with the target, from 0 to 1: by ranks, or by the classes' mean ranks."""
    kept = ~np.isnan(values)
    ranks = np.argsort(np.argsort(values[kept])).astype(float)
    truth = truth[kept]
    if task == REGRESSION:
        other = np.argsort(np.argsort(truth)).astype(float)
        return abs(float(np.corrcoef(ranks, other)[0, 1])) if len(ranks) > 2 else 0.0
    spread = ranks.var()
    between = sum(
        (truth == label).sum() * (ranks[truth == label].mean() - ranks.mean()) ** 2
        for label in np.unique(truth)
    )
    return float(np.sqrt(between / len(ranks) / spread)) if spread else 0.0


def _alone(gathered: Gathered, truth: Any, task: str, most: int = 5_000) -> float:
    """How well this column alone predicts the target on rows that it has not seen."""
    rng = np.random.default_rng(0)
    sample = rng.permutation(len(truth))[:most]
    half = len(sample) // 2
    fit, test = sample[:half], sample[half:]
    if gathered.all_numbers:
        values = np.nan_to_num(gathered.values[sample], nan=-1.0)
    else:
        cells = gathered.values
        places: dict[Any, int] = {}
        values = np.array([places.setdefault(cells[n], len(places)) for n in sample], float)
    if len(np.unique(truth[fit])) < 2 or len(test) < 20:
        return 0.0
    predicted = _nearest(values[:half], truth[fit], values[half:], task, not gathered.all_numbers)
    actual = truth[test]
    if task == REGRESSION:
        spread = ((actual - actual.mean()) ** 2).sum()
        return float(1 - ((actual - predicted) ** 2).sum() / spread) if spread else 0.0
    most_frequent = max(np.unique(actual, return_counts=True)[1]) / len(actual)
    right = float((predicted == actual).mean())
    return right if right > most_frequent + 0.5 * (1 - most_frequent) else 0.0


def _nearest(known: Any, truth: Any, asked: Any, task: str, words: bool) -> Any:
    """Predict by the rows whose value is nearest: equal for words, else the two neighbours' mean."""
    order = np.argsort(known, kind="stable")
    known, truth = known[order], truth[order]
    right = np.searchsorted(known, asked, "left").clip(0, len(known) - 1)
    left = (right - 1).clip(0)
    exact = known[right] == asked
    if task == REGRESSION and not words:
        width = np.where(known[right] > known[left], known[right] - known[left], 1.0)
        share = ((asked - known[left]) / width).clip(0, 1)
        return truth[left] + share * (truth[right] - truth[left])
    near = np.where(exact | (known[right] - asked < asked - known[left]), right, left)
    fallback = truth.mean() if task == REGRESSION else np.nan
    return np.where(exact, truth[right], fallback) if words else truth[near]


def _warnings(result: Profile) -> Iterator[str]:
    for column in result.fields:
        if column.warning:
            yield f"{column.name}: {column.warning}. If it is not known beforehand, leave it out of Row."
    for column in result.fields:
        if column.kind in ("date", "datetime"):
            yield (
                f"{column.name}: rows have dates, and a random split lets the model look ahead. "
                f"See split and split_by in configs/train.yaml."
            )
    for column in result.columns:
        if _is_repeated_id(column, result.rows) and column is not result.target:
            yield (
                f"{column.name}: rows share identifiers, and a random split flatters the model. "
                "See split and split_by in configs/train.yaml."
            )


def _is_repeated_id(column: Column, rows: int) -> bool:
    called = re.search(r"(?i)(?:^|[^a-z])(?:id|ids|uuid|guid)$|[a-z]I[dD]$", column.name)
    return bool(called) and 1 < column.distinct < rows - column.missing


def field_names(header: Sequence[str]) -> dict[str, str]:
    """A readable name in Python for each column, by the column's name."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for name in header:
        own = field_name(name)
        candidates = itertools.chain([own], (f"{own}_{n}" for n in itertools.count(2)))
        names[name] = next(word for word in candidates if word not in taken)
        taken.add(names[name])
    return names


def field_name(name: str) -> str:
    """A readable name in Python: fixed_acidity for "fixed acidity", n_2nd_floor for "2nd floor"."""
    usable = name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("__")
    if usable and unicodedata.normalize("NFKC", name) == name:
        return f"{name}_" if name in RESERVED else name
    spelled = name.replace("%", " percent ").replace("#", " number ").replace("&", " and ")
    plain = unicodedata.normalize("NFKD", spelled).encode("ascii", "ignore").decode()
    words = re.findall(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+[a-z]*|[A-Z]+", plain)
    own = "_".join(word.lower() for word in words) or "column"
    own = f"n_{own}" if own[0].isdigit() else own
    return f"{own}_" if keyword.iskeyword(own) or own in RESERVED else own


def is_plain(result: Profile) -> bool:
    """Whether tables.read reads the file as it is."""
    return result.dialect == PLAIN and result.source.suffix in (".csv", ".jsonl", ".parquet")
