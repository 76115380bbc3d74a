# mypy: disable-error-code="import-not-found,import-untyped", allow-subclassing-any
"""The model on LitServe, with batching.

No postponed annotations, and none of `request`: LitServe makes its endpoint of what it finds there.
"""

import os
from typing import Any

import estimator
import litserve


class API(litserve.LitAPI):
    """Takes the hooks that LitServe calls, in their order."""

    def setup(self, device: str) -> None:
        """Once a worker."""
        self.model = estimator.load()

    def decode_request(self, request):  # type: ignore[no-untyped-def]
        """The row of one request."""
        return request["features"]

    def batch(self, inputs: list[Any]) -> list[Any]:
        """The rows of several requests: the model wants them as they are."""
        return inputs

    def predict(self, rows: list[Any]) -> list[dict[str, Any]]:
        """As many answers as rows."""
        return estimator.answers(self.model, rows)

    def unbatch(self, output: list[Any]) -> list[Any]:
        """One answer for each request."""
        return output


if __name__ == "__main__":
    api = API(
        max_batch_size=int(os.environ["BENCH_BATCH"]),
        batch_timeout=float(os.environ["BENCH_WAIT"]),
    )
    server = litserve.LitServer(
        api,
        accelerator="cpu",
        workers_per_device=int(os.environ["BENCH_WORKERS"]),
        fast_queue=os.environ["BENCH_FAST"] == "1",
    )
    server.run(
        host="127.0.0.1",
        port=int(os.environ["BENCH_PORT"]),
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )
