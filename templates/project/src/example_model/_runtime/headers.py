"""Hold the header of a table against the fields of a row: nothing is taken for another, or for missing."""

from collections.abc import Collection, Iterator, Sequence

from .faults import Fault, collected, nearest, suggestion
from .fields import Field

ANSWER = "prediction"


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
        raise collected([Fault(f"the header has {separators} where commas belong")], source)
    faults = list(_faults(header, {field.key: field for field in wanted}, absent, targets, partial))
    if faults:
        raise collected(faults, source)
    return tuple(name for name in header if name not in known)


def _faults(
    header: Sequence[str],
    wanted: dict[str, Field],
    absent: Collection[str],
    targets: Collection[str],
    partial: bool,
) -> Iterator[Fault]:
    for name in dict.fromkeys(header):
        if header.count(name) > 1:
            yield Fault(f'the column "{name}" comes {header.count(name)} times')
    yield from _absent(header, wanted, absent)
    known = [*wanted, *targets]
    without = [name for name in known if name not in header and name not in absent]
    strangers = [name for name in dict.fromkeys(header) if name not in known]
    near = {name: nearest(name, known, without) for name in strangers}
    for name, field in near.items():
        if field is not None:
            yield Fault(f'the column "{name}" is nearly "{field}": rename or remove it')
        elif name == ANSWER or name.startswith(f"{ANSWER}."):
            yield Fault(f'the column "{name}" has the name of an answer: rename or remove it')
    for name in without:
        if name in near.values() or (partial and name in wanted):
            continue
        hint = ""
        if name in wanted and not _is_needed(wanted[name]):
            hint = f". If that is meant, say so: --missing {name}, or ?missing={name} over HTTP"
        yield Fault(f'there is no column "{name}"{hint}')


def _absent(
    header: Sequence[str], wanted: dict[str, Field], absent: Collection[str]
) -> Iterator[Fault]:
    for name in absent:
        if name not in wanted:
            yield Fault(
                f'"{name}" is said to be missing, but is no field{suggestion(name, wanted)}'
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
