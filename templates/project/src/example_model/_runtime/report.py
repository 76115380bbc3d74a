"""The page about a saved model: skore judges it on held-out rows, as it is served."""

import base64
import io
import re
import statistics
import timeit
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import precision_recall_curve

from . import served, staging
from .columns import Columns, to_frame
from .evaluate_command import PAGE
from .evaluation import Evaluated, plain
from .formats import need
from .independence import take
from .package import Package
from .runs import Entry
from .signature import Schema
from .tables import Table
from .weaknesses import mistakes, slices

ROWS = 100_000  # that figures and tables are made of
PERMUTED = 5_000  # rows of which a column is shuffled, to see how much the model needs it
REPEATS, SECONDS = 5, 10.0  # of that: how often, and about how long all of it may take


def write(package: Package, model: Any, found: Evaluated, content: dict[str, Any]) -> Any:
    """Write reports/index.html, and its figures into reports/figures/. Returns a DataFrame of slices."""
    need("matplotlib").use("Agg")
    notes: list[str] = []
    with warnings.catch_warnings(action="ignore"):
        content |= {
            "name": package.distribution,
            "notes": notes,
            "times": _times(model, found.rows),
        }
        if found.rows is None:
            notes.append("The training holds no rows out: there are only its own metrics.")
        else:
            content |= _judged(package, model, found, found.rows, notes)
    page = need("jinja2").Template(Path(__file__).with_name("page.html").read_text("utf-8"))
    style = {"classes": "facts", "float_format": "{:.4g}".format, "na_rep": "", "border": 0}
    text = page.render(content | {"table": lambda table: table.to_html(**style)})
    staging.write_whole(package.written(package.root / PAGE), text.encode())
    return content.get("slices", need("pandas").DataFrame())


def _judged(
    package: Package, model: Any, found: Evaluated, rows: Table, notes: list[str]
) -> dict[str, Any]:
    DataFrame, predicted = need("pandas").DataFrame, found.predicted
    if len(rows) > ROWS:
        places = np.sort(np.random.default_rng(0).permutation(len(rows))[:ROWS])
        notes.append(f"Figures and tables are of {ROWS:,} of {len(rows):,} rows, drawn at random.")
        rows, predicted = rows.take(places), take(predicted, places)
    table = to_frame(rows.columns)
    hidden = [field.key for field in Schema.of(model).fields if field.is_private]
    shown = table.assign(**dict.fromkeys(hidden, "***"))
    report = need("skrub").TableReport
    estimator = served.of(model, rows.columns, predicted, rows.target, found.target)
    if estimator is None:
        notes.append("The model predicts several values: there are no figures of that.")
        return {"overview": report(shown, verbose=0).html_snippet()}
    truth, answers = (estimator.values(v) for v in (rows.target, predicted[estimator.label]))
    is_number = estimator.classes is None
    error = np.abs(truth - answers) if is_number else (truth != answers) * 1.0
    known = {n: shown[n] for n in rows.columns if n in shown and n not in hidden}
    parts = slices(DataFrame({**known, estimator.label: truth}), error)
    kind = "mean error" if is_number else "wrong"
    measured = [
        {"rows": len(part), kind: error[part].mean()}
        | _metrics(found, rows.target[part], take(predicted, part))
        for part in parts.values()
    ]
    worst = mistakes(estimator.doubt(predicted, truth, error))
    wrong = DataFrame({estimator.label: truth, "predicted": answers, **shown})
    return {
        "overview": report(shown.assign(**{estimator.label: truth}), verbose=0).html_snippet(),
        "figures": list(_figures(package, estimator, table, truth, notes)),
        "slices": DataFrame(measured, index=list(parts)),
        "mistakes": wrong.set_axis(rows.lines).iloc[worst],
    }


def _metrics(found: Evaluated, truth: Any, predicted: Columns) -> dict[str, float]:
    """Measure some of the rows as the training measures all of them."""
    if found.measure is None:
        return {}
    with suppress(Exception):  # it is the user's function, and may need rows of every class
        return Entry(metrics=plain(found.measure(truth, predicted))).numbers
    return {}


def _figures(
    package: Package, estimator: Any, table: Any, truth: Any, notes: list[str]
) -> Iterator[tuple[str, str]]:
    """Draw figures, and yield each one's title with its PNG in base64."""
    two = estimator.shares and len(estimator.classes) == 2
    positive = estimator.classes[1] if two else None
    judged = need("skore").EstimatorReport(
        estimator, X_test=table, y_test=truth, pos_label=positive
    )
    metrics, inspection = judged.metrics, judged.inspection
    seconds = metrics.timings()["predict_time_test"] * REPEATS * table.shape[1] / len(table)
    sample = min(len(table), PERMUTED, max(int(SECONDS / max(seconds, 1e-9)), 100))
    draw: dict[str, Callable[[], Any]] = {
        f"importance by permutation of {sample:,} rows": lambda: inspection.permutation_importance(
            seed=0, n_repeats=REPEATS, max_samples=sample if sample < len(table) else 1.0
        ).plot()
    }
    if estimator.classes is None:
        draw["residuals"] = lambda: metrics.prediction_error().plot()
    else:
        draw["confusion matrix"] = lambda: metrics.confusion_matrix().plot()
    if estimator.shares:
        draw["ROC curve"] = lambda: metrics.roc().plot()
        draw["precision and recall"] = lambda: metrics.precision_recall().plot()
        draw["calibration"] = lambda: inspection.calibration_curve().plot()
    if positive is not None:
        draw[f"threshold of {positive}"] = lambda: _thresholds(judged, truth == positive)
    for title, plot in draw.items():
        png = io.BytesIO()
        try:
            plot().savefig(png, dpi=80, bbox_inches="tight")
        except Exception as error:  # with rows of one class there is no curve
            notes.append(f"There is no {title}: {error}")
            continue
        name = re.sub(r"\W+", "-", title.partition(" by ")[0])
        path = package.root / "reports/figures" / f"{name}.png"
        staging.write_whole(package.written(path), png.getvalue())
        yield title, base64.b64encode(png.getvalue()).decode()


def _thresholds(judged: Any, truth: Any) -> Any:
    """Draw how much is found, and how much of that is right, where each probability decides."""
    shares = judged.get_predictions(data_source="test", response_method="predict_proba")
    precision, recall, thresholds = precision_recall_curve(truth, shares)
    curves = {"precision": precision[:-1], "recall": recall[:-1]}
    table = need("pandas").DataFrame(curves, index=thresholds)
    return table.plot(xlabel="predicted from this probability", ylim=(0, 1.02), grid=True).figure


def _times(model: Any, held_out: Table | None) -> list[tuple[int, float]]:
    """Measure the milliseconds that `predict` takes for one row, and for many."""
    schema = Schema.of(model)
    row = Any if schema.row is None else schema.row
    rows = list(model.examples) if held_out is None else held_out.take(slice(1_000)).rows(row)
    predict = schema.bind(model.predict)
    found = []
    for count in sorted({1, len(rows)}):
        part = rows[:count]
        seconds = timeit.repeat(lambda: predict(part), number=1, repeat=9)  # noqa: B023
        found.append((count, 1_000 * statistics.median(seconds)))
    return found
