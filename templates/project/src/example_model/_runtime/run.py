"""One training: what it saves, how good that is, and what its record says."""

import platform
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from . import card, config, evaluation, readme, runs, sources, tracking
from .columns import Columns
from .errors import ProjectError
from .git import git
from .manifest import file_digest
from .signature import Schema
from .tables import Table

if TYPE_CHECKING:
    from .manifest import Manifest

Metrics = Callable[[Any, Columns], Mapping[str, Any]]


class Run:
    """The training within `with manifest.run(…) as run`."""

    def __init__(
        self, manifest: "Manifest", settings: msgspec.Struct, data: list[Path], seed: int | None
    ) -> None:
        self._manifest, self._settings, self._data = manifest, settings, data
        self._seed = getattr(settings, "seed", None) if seed is None else seed
        self._start = time.monotonic()
        self._root = manifest.package.project_dir
        self._commit = git(self._root, "rev-parse", "HEAD")
        self._clean = self._commit and not git(
            self._root, "status", "--porcelain", "--", *self._sources
        )
        self._schema: Schema | None = None
        self.metrics: dict[str, Any] = {}
        """How good the model is, by name: plain numbers, text and lists."""
        self._reference: dict[str, Any] = {}
        self.independent: bool | None = None
        """Whether a row's prediction depends on no other row of the call; None where it was not tested."""

    def save_estimator(
        self, name: str, estimator: Any, features: Columns, tolerance: float = 1e-5
    ) -> None:
        """Save a fitted estimator as <name>.onnx or, where that does not predict the same, <name>.skops.

        `features` are of held-out rows, on which what was saved is compared with the estimator.
        Raises ProjectError where neither format predicts the same.
        """
        from . import estimators  # late: not every project has numpy

        package = self._manifest.package.name
        export = estimators.export(estimator, features, tolerance, package)
        self._manifest.save(f"{name}{export.suffix}", export.value)
        if export.reason:
            print(f"ONNX export failed ({export.reason}); saved with skops instead.")
            print(
                f"Serving the model needs these packages: {', '.join(export.libraries)}. Where they "
                f"are no runtime dependencies yet, run: poetry add {' '.join(export.libraries)}"
            )
        else:
            print(f"The ONNX model predicts the same, within {export.difference:.0e}.")
        for fault, names in export.refuses.items():
            print(f"It refuses rows with a {fault} value in: {', '.join(names)}.")

    def judge(self, model: Any, held_out: Table, metrics: Metrics) -> None:
        """Set `metrics` of the model's predictions for held-out rows, and test that rows are independent.

        `model` has been made within the run, and so from what the run has saved. `metrics` is given
        held_out.target and the predictions as columns. Raises ProjectError where the model's `predict`
        gives what its annotations do not allow, or other predictions than `predict_columns`.
        """
        from . import independence, shift  # late, for the same reason

        self._schema = Schema.of(model)
        evaluation.check_rows(model, held_out.take(slice(independence.SAMPLE)))
        predicted = evaluation.predict(model, held_out)
        self.metrics = evaluation.measure(metrics, held_out, predicted)
        self._reference = shift.reference(held_out, Schema.of(model).fields, predicted)
        predict = evaluation.of_columns(model)
        self.independent = independence.is_independent(predict, held_out.columns, predicted)
        if not self.independent:
            print(
                "Predictions depend on the other rows of the call: the service will predict "
                "each request by itself."
            )

    def describe(self, training: Table) -> None:
        """Save the ranges and shares of the training rows' columns, for `schema --check` to compare with."""
        from . import shift

        self._manifest.save("profile.json", shift.describe(training))

    def facts(self) -> dict[str, Any]:
        """The record of the run: commit, data, code, configuration, seed, metrics, versions, time."""
        return {
            "commit": self._commit,
            "clean": self._clean,
            "config": config.plain(self._settings),
            "data": {self._relative(path): file_digest(path) for path in self._data},
            "code": sources.hashes(self._manifest.package),
            "seed": self._seed,
            "metrics": evaluation.plain(self.metrics),
            "independent": self.independent,
            "reference": self._reference,
            "python": platform.python_version(),
            "platform": f"{sys.platform}-{platform.machine()}",
            "libraries": sources.libraries(self._manifest.package),
            "created": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "seconds": round(time.monotonic() - self._start, 1),
        }

    def report(self) -> None:
        """Print the metrics, once they are in place."""
        if self.metrics:
            print(evaluation.summary(self.metrics))
            if self._root is not None:
                readme.renew_metrics(self._root, evaluation.plain(self.metrics))
        print("Metrics are in reports/metrics.json and in the manifest.")
        if self._root is not None and self._manifest.is_own:
            self._compare()

    def _compare(self) -> None:
        """Print how the run differs from the one before, renew the card, and send the run where that is set."""
        package = self._manifest.package
        known = runs.read(package)
        for line in [*runs.difference(known), *card.renew(package, known[-1], self._schema)]:
            print(line)
        if getattr(self._settings, "tracking", None):
            try:
                print(tracking.send(package, known[-1]))
            except ProjectError as error:  # the training is done, and stays so
                print(error, file=sys.stderr)

    @property
    def _sources(self) -> list[str]:
        """What a training reads: what it writes does not make the tree unclean that it was run in."""
        artifacts = f"src/{self._manifest.package.name}/artifacts"
        return [".", f":(exclude){artifacts}", ":(exclude)reports"]

    def _relative(self, path: Path) -> str:
        root = self._root
        is_inside = root is not None and path.is_relative_to(root)
        return (path.relative_to(root) if root and is_inside else path).as_posix()
