"""Say what is wrong with a value, in the words of those who sent it."""

import difflib
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin

import msgspec

from .errors import ProjectError
from .fields import fields, is_record, kind_of, peel

MISSING = "is missing"
MOST = 10  # faults that are told at once
CHUNK = 256  # rows that are looked at together
WORDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "date": "a date such as 2024-01-31",
    "datetime": "a date and time such as 2024-01-31T12:30:00",
    "vector": "a list",
}
NAMES = {
    "time": "a time such as 12:30:00",
    "timedelta": "a duration such as PT90S",
    "Decimal": "a decimal number",
    "UUID": "a UUID",
    "bytes": "text in base64",
    "datetime": "a date and time with an offset, such as 2024-01-31T12:30:00Z",
    "dict": "an object",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozenset": "a list",
}


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: in which row (from 1; 0 is none) or line, in which field."""

    message: str
    row: int = 0
    line: int = 0
    field: str = ""

    def __str__(self) -> str:
        place = f"line {self.line}" if self.line else f"row {self.row}" if self.row else ""
        found = ", ".join(filter(None, (place, self.field)))
        colon = "" if self.message == MISSING else ":"
        return f"{found}{colon} {self.message}" if found else self.message


class InvalidRows(ProjectError, ValueError):
    """Rows that do not fit the model, with up to ten faults of them."""

    def __init__(self, faults: Iterable[Fault], source: str = "", more: bool = False) -> None:
        self.faults, self.source = tuple(faults), source
        texts = [_located(fault, source) for fault in self.faults]
        super().__init__("; ".join([*texts, "and more"] if more else texts))


def _located(fault: Fault, source: str) -> str:
    mark = "," if fault.row or fault.line else ":"
    return f"{source}{mark} {fault}" if source else str(fault)


def told(faults: Iterable[Fault], source: str = "") -> InvalidRows:
    """The first ten of these faults as an error, which says whether there are more."""
    found = list(itertools.islice(faults, MOST + 1))
    return InvalidRows(found[:MOST], source, len(found) > MOST)


def in_rows(rows: Sequence[Any], row: Any) -> Iterator[Fault]:
    """What is wrong with rows of plain lists, dicts and scalars, each to be one of this type."""
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        if _is_right(chunk, row):
            continue
        for number, value in enumerate(chunk, start + 1):
            for path, message in in_value(value, row):
                yield Fault(message, row=number, field=path)


def _is_right(rows: Sequence[Any], row: Any) -> bool:
    """Whether rows are right beyond doubt, which is fast to say; unknown fields are not looked for in depth."""
    if any(part.kind.base == "json" for part in fields(row)):
        return False
    if is_record(row) and all(isinstance(value, dict) for value in rows):
        known = {part.key for part in fields(row)}.union(_tag(row))
        if not known.issuperset(itertools.chain.from_iterable(rows)):
            return False
    return refusal(rows, list[row]) is None


def in_value(value: Any, hint: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """What is wrong with a plain value that is to be of this type: where, and what."""
    kind, found = _only(hint), False
    if is_record(kind) and isinstance(value, dict):
        for fault in _in_record(value, kind, path):
            found = True
            yield fault
    if found or (error := refusal(value, hint)) is None:
        return
    for part, inner, place in _parts(value, kind, path):
        for fault in in_value(part, inner, place):
            found = True
            yield fault
    if not found:
        yield path, _message(value, hint, error)


def _in_record(value: dict[str, Any], kind: Any, path: str) -> Iterator[tuple[str, str]]:
    known = {field.key: field for field in fields(kind)}
    allowed = [*known, *_tag(kind)]
    for key in value:
        if key not in allowed:
            near = next((part.key for part in known.values() if part.name == key), key)
            yield _join(path, key), f"unknown field{suggestion(near, known)}"
    for key, field in known.items():
        if key in value:
            yield from in_value(value[key], field.type, _join(path, key))
        elif field.required:
            yield _join(path, key), MISSING


def _only(hint: Any) -> Any:
    options = peel(hint).options
    return options[0] if len(options) == 1 else None


def _tag(kind: Any) -> list[str]:
    config = getattr(kind, "__struct_config__", None)
    return [config.tag_field] if config is not None and config.tag_field else []


def _parts(value: Any, kind: Any, path: str) -> Iterator[tuple[Any, Any, str]]:
    """The items of a list, or the values of an object, that have a type of their own."""
    arguments = get_args(kind)
    if isinstance(value, list) and get_origin(kind) in (list, set, frozenset):
        for number, part in enumerate(value):
            yield part, arguments[0], f"{path}[{number}]"
    elif isinstance(value, dict) and get_origin(kind) is dict:
        for key, part in value.items():
            yield part, arguments[1], _join(path, str(key))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def repaired(value: Any, hint: Any) -> Any:
    """A plain value with an int for each whole number that was written as 3.0.

    Only where an int is wanted, and a float holds the number exactly.
    """
    kind = _only(hint)
    if kind_of(hint).base == "int":
        is_whole = type(value) is float and value.is_integer() and abs(value) <= 2**53
        return int(value) if is_whole else value
    if is_record(kind) and isinstance(value, dict):
        types = _with_ints(kind)
        if not types:
            return value
        return {
            key: repaired(part, types[key]) if key in types else part for key, part in value.items()
        }
    parts = [repaired(part, inner) for part, inner, _ in _parts(value, kind, "")]
    if parts and isinstance(value, dict):
        return dict(zip(value, parts, strict=True))
    return parts or value


@cache
def _with_ints(kind: Any) -> dict[str, Any]:
    """The types of the fields in which there may be an int."""
    bases = ("int", "vector", "json")
    return {part.key: part.type for part in fields(kind) if part.kind.base in bases}


def refusal(value: Any, hint: Any) -> str | None:
    """Why a value is not of this type, or None where it is."""
    try:
        msgspec.convert(value, hint)
    except (msgspec.ValidationError, ValueError, TypeError, ArithmeticError) as error:
        return str(error)
    return None


def _message(value: Any, hint: Any, error: str) -> str:
    if value is None:
        return MISSING
    if not re.match(r"Expected|Invalid|Number", error):  # of the type's own __post_init__
        return re.sub(r" - at `[^`]*`$", "", error)
    return describe(value, hint)


def describe(value: Any, hint: Any) -> str:
    """That a value is not what is allowed."""
    return f"{shown(value)} is not {allowed(hint)}"


def shown(value: Any, most: int = 40) -> str:
    """A value as JSON has it, cut short."""
    try:
        text = msgspec.json.encode(value, enc_hook=str).decode()
    except (TypeError, ValueError):
        text = repr(value)
    if isinstance(value, float) and text == "null":
        text = str(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def allowed(hint: Any) -> str:
    """What an annotation allows, in words."""
    options, metas, _ = peel(hint)
    kind = kind_of(hint)
    if kind.choices:
        choices = [str(choice) for choice in kind.choices]
        return f"one of {', '.join(choices[:20])}{', …' if len(choices) > 20 else ''}"
    limits = [limit for meta in metas for limit in _limits(meta, kind.base)]
    limited = " and ".join(limits)
    return f"{_noun(options, kind.base)} {'of ' * limited.startswith('at ')}{limited}".strip()


def _noun(options: tuple[Any, ...], base: str) -> str:
    if len(options) != 1:
        return " or ".join(dict.fromkeys(allowed(option) for option in options)) or "null"
    if is_record(options[0]):
        keys = ", ".join(field.key for field in fields(options[0]))
        return f"an object with the fields {keys}"
    origin = get_origin(options[0]) or options[0]
    name = getattr(origin, "__name__", str(origin))
    return WORDS.get(base) or NAMES.get(name, f"a {name}")


def _limits(meta: msgspec.Meta, base: str) -> Iterator[str]:
    bounds = (("above", meta.gt), ("at least", meta.ge), ("below", meta.lt), ("at most", meta.le))
    yield from (f"{word} {_number(bound)}" for word, bound in bounds if bound is not None)
    if meta.multiple_of is not None:
        yield f"a multiple of {meta.multiple_of}"
    unit = "characters" if base == "str" else "items"
    if meta.min_length is not None and meta.min_length == meta.max_length:
        yield f"of exactly {meta.min_length} {unit}"
    else:
        if meta.min_length is not None:
            yield f"at least {meta.min_length} {unit}"
        if meta.max_length is not None:
            yield f"at most {meta.max_length} {unit}"
    if meta.pattern is not None:
        yield f"that matches {meta.pattern}"
    if meta.tz is False:
        yield "without an offset"


def _number(value: float) -> str:
    return f"{int(value):,}" if float(value).is_integer() and abs(value) < 1e15 else str(value)


def suggestion(name: str, known: Iterable[str]) -> str:
    """A question for the known name that is nearest, if one is near."""
    if near := nearest(name, known):
        return f'. Did you mean "{near}"?'
    return ""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that differs by case, blanks or punctuation alone, or else little in spelling."""
    bare = {bared(other): other for other in known}
    found = difflib.get_close_matches(bared(name), list(bare), 1, 0.7)
    return bare[found[0]] if found else None


def bared(name: str) -> str:
    """A name in small letters, without blanks and punctuation."""
    return "".join(filter(str.isalnum, name.casefold())) or name
