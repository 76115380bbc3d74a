"""Hold the header of a table against the fields of a row: nothing is taken for another, or for missing."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from .faults import Fault, bared, nearest, suggestion, told
from .fields import Field

ANSWER = "prediction"
COMPARED = 1_000  # columns of which the spelling is compared


def match(
    header: Sequence[str],
    wanted: Sequence[Field],
    absent: Collection[str] = (),
    targets: Collection[str] = (),
    source: str = "",
    partial: bool = False,
) -> tuple[str, ...]:
    """The columns that are neither a field nor a target, and are carried along.

    Raises InvalidRows for a field without a column that is not said to be `absent`, for a column that
    comes twice, and for one that is nearly a field. With `partial`, any field may be without a column.
    """
    known = {field.key for field in wanted} | set(targets)
    if (separators := _separators(header)) and header[0] not in known:
        raise told([Fault(f"the header has {separators} where commas belong")], source)
    faults = list(_faults(header, {field.key: field for field in wanted}, absent, targets, partial))
    if faults:
        raise told(faults, source)
    return tuple(name for name in header if name not in known)


def _faults(
    header: Sequence[str],
    wanted: dict[str, Field],
    absent: Collection[str],
    targets: Collection[str],
    partial: bool,
) -> Iterator[Fault]:
    for name, times in Counter(header).items():
        if times > 1:
            yield Fault(f'the column "{name}" comes {times} times')
    yield from _absent(set(header), wanted, absent)
    known, there = {*wanted, *targets}, set(header)
    strangers = [name for name in dict.fromkeys(header) if name not in known]
    without = [name for name in (*wanted, *targets) if name not in there and name not in absent]
    near = _near(strangers, known, without)
    for name in strangers:
        if name in near:
            yield Fault(f'the column "{name}" is nearly "{near[name]}": rename or remove it')
        elif name == ANSWER or name.startswith(f"{ANSWER}."):
            yield Fault(f'the column "{name}" has the name of an answer: rename or remove it')
    for name in without:
        if name in near.values() or (partial and name in wanted):
            continue
        hint = ""
        if name in wanted and not _is_needed(wanted[name]):
            hint = f". If that is meant, say so: --missing {name}, or ?missing={name} over HTTP"
        yield Fault(f'there is no column "{name}"{hint}')


def _near(
    strangers: Sequence[str], known: Collection[str], without: Sequence[str]
) -> dict[str, str]:
    """The columns that are nearly a field: by case, blanks, punctuation, or one without a column by spelling."""
    bare = {bared(name): name for name in known}
    near = {name: bare[bared(name)] for name in strangers if bared(name) in bare}
    # A field without a column is an error anyhow: of a very wide table only some are compared with it.
    for name in without:
        if name not in near.values() and (found := nearest(name, strangers[:COMPARED])):
            near.setdefault(found, name)
    return near


def _absent(
    header: Collection[str], wanted: dict[str, Field], absent: Collection[str]
) -> Iterator[Fault]:
    for name in absent:
        if name not in wanted:
            yield Fault(
                f'"{name}" is given as missing, but is not a field{suggestion(name, wanted)}'
            )
        elif name in header:
            yield Fault(f'the column "{name}" is there, and said to be missing')
        elif _is_needed(wanted[name]):
            yield Fault(f'"{name}" must not be missing: every row needs it')


def _is_needed(field: Field) -> bool:
    return field.required and not field.kind.nullable


def _separators(header: Sequence[str]) -> str:
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and mark in header[0]:
            return name
    return ""
