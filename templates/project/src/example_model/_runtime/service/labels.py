"""The labels that predictions are counted by: those that are known before any prediction is made."""

from typing import Any

from ..fields import fields, kind_of


def of(answer: Any, model: Any) -> list[str]:
    """The labels of a prediction's type, or of its first field; else the classes that a model knows.

    Free text is no label: it may say something about a person, and would be shown to whoever asks for
    the metrics.
    """
    if parts := fields(answer):
        answer = parts[0].type
    kind = kind_of(answer)
    choices = (False, True) if kind.base == "bool" else kind.choices
    return [str(label) for label in choices or getattr(model, "classes", ())]
