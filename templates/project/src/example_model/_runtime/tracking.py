"""A run sent to a tracking server: `tracking: mlflow` in configs/train.yaml."""

import os
from typing import Any

from .errors import ProjectError
from .formats import need
from .package import Package
from .runs import Entry

ADDRESS = "MLFLOW_TRACKING_URI"
MLFLOW = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # by itself, it waits for minutes for a server that is down
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def check(settings: Any) -> None:
    """Require what sending a run takes, before the training. Raises ProjectError."""
    if getattr(settings, "tracking", None):
        need("mlflow", "Run: poetry ml add tracking")
        if not os.environ.get(ADDRESS):
            raise ProjectError(f"tracking: mlflow needs the server's address in ${ADDRESS}.")


def send(package: Package, entry: Entry) -> str:
    """Send a run to the experiment of the project's name. Raises ProjectError where that fails."""
    os.environ.update({**MLFLOW, **os.environ})
    mlflow = need("mlflow", "Run: poetry ml add tracking")
    tags = {"commit": entry.commit, "clean": entry.clean, "seconds": entry.seconds}
    tags |= {f"data.{name}": digest for name, digest in entry.data.items()}
    tags |= {f"libraries.{name}": version for name, version in entry.libraries.items()}
    try:
        mlflow.set_experiment(package.distribution)
        with mlflow.start_run(run_name=entry.created):
            mlflow.log_params(entry.config)
            mlflow.log_metrics(entry.numbers)
            mlflow.set_tags(tags | {"python": entry.python})
    except Exception as error:  # mlflow raises its own, and those of what it asks with
        raise ProjectError(
            f"{os.environ.get(ADDRESS)} did not take the run: {str(error)[:200]}. "
            f"It is in reports/runs.jsonl. Run: {package.command} runs --last 1 --send"
        ) from error
    return f"The run is at {os.environ.get(ADDRESS)}."
