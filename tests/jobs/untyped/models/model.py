"""How the model predicts. This file is yours."""

from typing import Any, ClassVar

from .. import manifest


class Model:
    """Loads the factors of a ride, and predicts how many minutes it takes."""

    examples: ClassVar = [{"kilometres": 4.5, "stops": 2}, {"kilometres": 12, "stops": 0}]
    """What the documentation shows, and a first try takes."""

    def __init__(self) -> None:
        self.factors: dict[str, float] = manifest.load("factors.json")

    def predict(self, data):  # type: ignore[no-untyped-def]
        """The minutes of each ride."""
        answers: list[Any] = [
            sum(factor * row[name] for name, factor in self.factors.items()) for row in data
        ]
        return answers
