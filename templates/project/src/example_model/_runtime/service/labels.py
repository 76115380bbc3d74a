"""The labels that predictions are counted by: those that are known before any prediction is made."""

import enum
from dataclasses import is_dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints


def of(answer: Any, model: Any) -> list[str]:
    """The labels of a prediction's type, or of its first field; else the classes that a model knows.

    Free text is no label: it may say something about a person, and would be shown to whoever asks for
    the metrics.
    """
    if hasattr(answer, "__struct_fields__") or is_dataclass(answer) or is_typed_dict(answer):
        answer = next(iter(get_type_hints(answer, include_extras=True).values()), Any)
    return _values(answer) or [str(label) for label in getattr(model, "classes", ())]


def is_typed_dict(kind: Any) -> bool:
    """Whether a type is a TypedDict."""
    return isinstance(kind, type) and issubclass(kind, dict) and hasattr(kind, "__total__")


def _values(hint: Any) -> list[str]:
    if get_origin(hint) is Annotated:
        return _values(get_args(hint)[0])
    if get_origin(hint) is Literal:
        return [str(value) for value in get_args(hint)]
    if hint is bool:
        return ["False", "True"]
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return [str(member.value) for member in hint]
    options = [option for option in get_args(hint) if option is not type(None)]
    return _values(options[0]) if len(options) == 1 and get_origin(hint) is not list else []
