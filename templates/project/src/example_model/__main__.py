"""The command line: train, evaluate, predict, serve, verify."""

from typing import Any

from . import package
from ._runtime import cli


def load_model() -> Any:
    from .models.model import Model

    return Model()


def load_training() -> Any:
    from .models import train

    return train


main = cli.commands(package, load_model, load_training)

if __name__ == "__main__":
    main()
