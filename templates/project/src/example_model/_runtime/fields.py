"""What a type says of a row: its fields, the names that they have in JSON and in tables, their kinds."""

import datetime
import decimal
import enum
import types
import typing
import uuid
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, is_dataclass
from dataclasses import fields as dataclass_fields
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

SCALARS: dict[Any, str] = {
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    datetime.date: "date",
    datetime.datetime: "datetime",
    datetime.time: "other",
    datetime.timedelta: "other",
    decimal.Decimal: "other",
    uuid.UUID: "other",
    bytes: "other",
}
NUMBERS = frozenset({"bool", "int", "float"})


class Kind(NamedTuple):
    """What a column of an annotation holds.

    `base` is bool, int, float, str, date, datetime, `other` (a value that is written as one word),
    `vector` (numbers, as many in each row), `json` (lists, objects), or `any`.
    """

    base: str
    nullable: bool = False
    width: int = 0  # of a vector
    numbers: str = ""  # of a vector: int or float
    choices: tuple[Any, ...] = ()  # of a Literal or an Enum
    members: type[enum.Enum] | None = None


@dataclass(frozen=True)
class Field:
    """One field of a row."""

    name: str  # in Python
    key: str  # in JSON, in the header of a table and in the protocol of tensors
    type: Any
    required: bool
    default: Callable[[], Any]
    kind: Kind

    @property
    def is_unset(self) -> bool:
        """Whether a row may be without the field, which is UNSET then."""
        return not self.required and self.default() is msgspec.UNSET

    @property
    def is_private(self) -> bool:
        """Whether it is marked: Annotated[str, Meta(extra={"private": True})]."""
        return any((meta.extra or {}).get("private") for meta in peel(self.type).metas)

    @property
    def has_gaps(self) -> bool:
        """Whether a row may be without a value."""
        return self.kind.nullable or self.is_unset


class Hint(NamedTuple):
    """An annotation without its wrappings."""

    options: tuple[Any, ...]
    metas: tuple[msgspec.Meta, ...]
    nullable: bool


@cache
def fields(row: Any) -> tuple[Field, ...]:
    """The fields of a Struct, dataclass, TypedDict or attrs class; none where a row is no record."""
    return tuple(_fields(row)) if is_record(row) else ()


def is_record(row: Any) -> bool:
    """Whether rows of this type have fields with names."""
    kind = get_origin(row) or row
    return isinstance(kind, type) and (
        issubclass(kind, msgspec.Struct)
        or is_dataclass(kind)
        or typing.is_typeddict(kind)
        or hasattr(kind, "__attrs_attrs__")
    )


def _fields(row: Any) -> Iterator[Field]:
    kind = get_origin(row) or row
    if issubclass(kind, msgspec.Struct):
        for info in msgspec.structs.fields(row):
            default = _default(info.default, info.default_factory, msgspec.NODEFAULT)
            yield field(info.name, info.encode_name, info.type, info.required, default)
        return
    hints = get_type_hints(kind, include_extras=True)
    if typing.is_typeddict(kind):
        for name, hint in hints.items():
            needed = name in kind.__required_keys__
            while get_origin(hint) in (typing.Required, typing.NotRequired):
                needed = get_origin(hint) is typing.Required
                hint = get_args(hint)[0]
            yield field(name, name, hint, needed, lambda: msgspec.UNSET)
    elif is_dataclass(kind):
        for part in (part for part in dataclass_fields(kind) if part.init):
            default = _default(part.default, part.default_factory, MISSING)
            required = part.default is MISSING and part.default_factory is MISSING
            yield field(part.name, part.name, hints[part.name], required, default)
    else:
        for name, hint in hints.items():
            yield field(name, name, hint, True, lambda: None)


def _default(value: Any, factory: Any, nothing: Any) -> Callable[[], Any]:
    if factory is not nothing:
        return factory  # type: ignore[no-any-return]
    return lambda: value


def field(
    name: str,
    key: str,
    hint: Any,
    required: bool = True,
    default: Callable[[], Any] = lambda: None,
) -> Field:
    """A field of this annotation."""
    return Field(name, key, hint, required, default, kind_of(hint))


def peel(hint: Any) -> Hint:
    """The alternatives of an annotation, None apart, and what Meta says of them."""
    options: list[Any] = []
    metas: list[msgspec.Meta] = []
    nullable = _peel(hint, options, metas)
    return Hint(tuple(options), tuple(metas), nullable)


def _peel(hint: Any, options: list[Any], metas: list[msgspec.Meta]) -> bool:
    if hint is msgspec.UnsetType:
        return False
    if hint in (None, type(None)):
        return True
    if get_origin(hint) is Annotated:
        base, *notes = get_args(hint)
        metas += [note for note in notes if isinstance(note, msgspec.Meta)]
        return _peel(base, options, metas)
    if get_origin(hint) in (typing.Union, types.UnionType):
        return any([_peel(option, options, metas) for option in get_args(hint)])
    if hasattr(hint, "__supertype__"):  # a NewType
        return _peel(hint.__supertype__, options, metas)
    if hasattr(hint, "__value__"):  # `type Name = ...`
        return _peel(hint.__value__, options, metas)
    options.append(hint)
    return hint is Any


def kind_of(hint: Any) -> Kind:
    """The kind of an annotation."""
    try:
        return _known_kind(hint)
    except TypeError:  # a note in Annotated that has no hash
        return _kind(hint)


def _kind(hint: Any) -> Kind:
    options, metas, nullable = peel(hint)
    if len(options) != 1:
        return Kind(_common(options), nullable)
    (kind,) = options
    if kind is Any:
        return Kind("any", True)
    if kind is datetime.datetime and any(meta.tz for meta in metas):
        return Kind("other", nullable)
    if get_origin(kind) is Literal:
        choices = tuple(value for value in get_args(kind) if value is not None)
        nullable = nullable or None in get_args(kind)
        return Kind(_of_values(choices), nullable, choices=choices)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        choices = tuple(member.value for member in kind)
        return Kind(_of_values(choices), nullable, choices=choices, members=kind)
    if numbers := _vector(kind, metas):
        return Kind("vector", nullable, metas[0].min_length or 0, numbers)
    return Kind(SCALARS.get(kind, "json"), nullable)


_known_kind = cache(_kind)


def _common(options: tuple[Any, ...]) -> str:
    if options and set(options) <= {int, float}:
        return "float"
    return "str" if str in options else "json"


def _of_values(values: tuple[Any, ...]) -> str:
    found = {SCALARS.get(type(value), "json") for value in values}
    return found.pop() if len(found) == 1 else "json"


def _vector(kind: Any, metas: tuple[msgspec.Meta, ...]) -> str:
    """The kind of number in lists of one length, or nothing."""
    if get_origin(kind) is not list or len(metas) != 1:
        return ""
    item = kind_of(get_args(kind)[0])
    fixed = metas[0].min_length and metas[0].min_length == metas[0].max_length
    return item.base if fixed and item.base in ("int", "float") and not item.nullable else ""
