"""The command line: train, evaluate, predict, serve, verify."""

from typing import Any

from . import package
from ._runtime import cli, evaluation


def load_model() -> Any:
    from .models.model import Model

    return Model()


def load_training() -> evaluation.Training:
    from . import data
    from .models import train

    return evaluation.Training(train, data)


def app(**settings: Any) -> Any:
    """The service as a WSGI application: for tests, and for another server than `serve` starts."""
    from ._runtime.service import app

    return app.create(package, load_model(), **settings)


main = cli.commands(package, load_model, load_training)

if __name__ == "__main__":
    main()
