"""Hold a project's service against pandas and the fitted pipeline, and its score against a plain reference.

Runs in the project's environment, in its folder: python independent.py PACKAGE FILE SEEDS.
Prints one line of JSON.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

PIECE = 1_000  # rows of a request


def main(package: str, path: str, seeds: int) -> None:
    app = importlib.import_module(f"{package}.__main__").app()
    own = importlib.import_module(package)
    train = importlib.import_module(f"{package}.models.train")
    schema = importlib.import_module(f"{package}.models.schema")
    candidates = importlib.import_module(f"{package}.models.candidates")
    settings = own.config.load("train", train.TrainConfig)
    raw = read(path, own, schema)
    record = own.manifest.read().run
    training, held_out = train.split(settings)
    rows = raw.loc[held_out.lines]
    fitted = refit(
        candidates.CANDIDATES[record["metrics"]["estimator"]], raw, training, schema, settings
    )
    equal, worst = compare(app, rows, fitted, schema)
    scores = [
        score(train, candidates, raw, schema, settings, record, seed) for seed in range(seeds)
    ]
    ours, reference = (
        (float(np.mean(column)) for column in zip(*scores, strict=True)) if scores else (0, 0)
    )
    print(
        json.dumps(
            {
                "rows": len(training) + len(held_out),
                "held_out": len(rows),
                "equal": equal,
                "worst": worst,
                "estimator": record["metrics"]["estimator"],
                "onnx": "model.onnx" in own.manifest.read().artifacts,
                "bytes": max(a.size for a in own.manifest.read().artifacts.values()),
                "ours": ours,
                "reference": reference,
            }
        )
    )


def read(path: str, own: Any, schema: Any) -> pd.DataFrame:
    """The file as pandas reads it, by the lines of its rows."""
    data = importlib.import_module(f"{own.package.name}.data")
    dialect = getattr(data, "DIALECT", None)
    frame = pd.read_csv(
        path,
        sep=dialect.delimiter if dialect else ",",
        decimal=dialect.decimal if dialect else ".",
        keep_default_na=False,
        na_values=["", *getattr(data, "MISSING", ())],
        dtype={n: str for n, kind in kinds(schema).items() if kind == "words"},
        quotechar=dialect.quote if dialect else '"',
        skipinitialspace=True,
        low_memory=False,
    )
    frame = frame.rename(columns=lambda name: "" if name.startswith("Unnamed: ") else name.strip())
    for name in frame.columns:
        if kinds(schema).get(name) == "dates":
            form = (dialect.dates.get(name) if dialect else None) or "ISO8601"
            form = "ISO8601" if form == "iso" else form
            frame[name] = pd.to_datetime(frame[name], format=form, utc=True).dt.tz_localize(None)
    frame.index = frame.index + 2  # no table of these has a line break in a cell
    return frame


def kinds(schema: Any) -> dict[str, str]:
    """Which fields are dates, words, flags or numbers, by their names in the file: as the annotations read."""
    import msgspec

    result = {}
    for part in msgspec.structs.fields(schema.Row):
        said = str(part.type)
        quoted = "Literal['" in said or 'Literal["' in said or "[str" in said or "str |" in said
        result[part.encode_name] = (
            "dates" if "date" in said.split("Meta")[0] else "words" if quoted else "numbers"
        )
        if part.type is str:
            result[part.encode_name] = "words"
        if "bool" in said.split("Meta")[0]:
            result[part.encode_name] = "flags"
    return result


def prepared(rows: pd.DataFrame, schema: Any) -> pd.DataFrame:
    """The features, written anew with pandas."""
    columns: dict[str, Any] = {}
    for name, kind in kinds(schema).items():
        column = rows[name]
        if kind == "dates":
            days = (column.dt.normalize() - pd.Timestamp(0)).dt.days
            parts = {
                "day": days,
                "year": column.dt.year,
                "month": column.dt.month,
                "day of month": column.dt.day,
                "weekday": column.dt.weekday,
            }
            if "datetime.datetime" in str(schema.Row.__annotations__[python_name(schema, name)]):
                parts["hour"] = (column.dt.hour * 60 + column.dt.minute) / 60
            columns |= {
                f"{name} {part}": v.astype("float64").astype("float32") for part, v in parts.items()
            }
        elif kind == "words":
            columns[name] = column.astype(object).where(column.notna(), "").astype(object)
        elif kind == "flags":
            columns[name] = column.map(flag).astype("float32")
        else:
            columns[name] = column.astype("float64").astype("float32")
    return pd.DataFrame(columns)


def flag(value: Any) -> float:
    return float("nan") if value != value or value is None else float(str(value).lower() == "true")


def python_name(schema: Any, name: str) -> str:
    import msgspec

    return next(f.name for f in msgspec.structs.fields(schema.Row) if f.encode_name == name)


def refit(candidate: Any, raw: pd.DataFrame, training: Any, schema: Any, settings: Any) -> Any:
    """The pipeline that was saved, fitted again on what pandas read."""
    table = prepared(raw.loc[training.lines], schema)
    return candidate(table, training.target, settings.seed).fit(table, training.target)


def compare(app: Any, rows: pd.DataFrame, fitted: Any, schema: Any) -> tuple[bool, float]:
    """Whether the service answers as the pipeline does on every row, and the largest difference."""
    from falcon import testing

    client = testing.TestClient(app)
    features = prepared(rows, schema)
    expected = (
        fitted.predict_proba(features) if hasattr(fitted, "classes_") else fitted.predict(features)
    )
    answers = []
    for start in range(0, len(rows), PIECE):
        body = [as_json(row, schema) for _, row in rows.iloc[start : start + PIECE].iterrows()]
        answer = client.simulate_post("/predict", json={"data": body})
        if answer.status_code != 200:
            raise SystemExit(f"{answer.status_code}: {answer.text[:500]}")
        answers += answer.json["predictions"]
    if expected.ndim == 1:
        got = np.array([answer[schema.TARGET] for answer in answers])
        scale = max(float(np.abs(expected).max()), 1e-9)
        worst = float(np.abs(got - expected).max()) / scale
        return worst <= 1e-5, worst
    got = np.array([list(answer["probabilities"].values()) for answer in answers])
    worst = float(np.abs(got - expected).max())
    clear = np.sort(expected, axis=1)[:, -1] - np.sort(expected, axis=1)[:, -2] > 1e-5
    labels = np.array([str(answer[schema.TARGET]) for answer in answers])
    wanted = np.array([str(label) for label in fitted.classes_[expected.argmax(axis=1)]])
    return worst <= 1e-5 and bool((labels == wanted)[clear].all()), worst


def as_json(row: Any, schema: Any) -> dict[str, Any]:
    """A row as a caller would send it."""
    import msgspec

    found: dict[str, Any] = {}
    for part in msgspec.structs.fields(schema.Row):
        value, kind = row[part.encode_name], kinds(schema)[part.encode_name]
        if value is None or value != value or value is pd.NaT:
            found[part.encode_name] = None
        elif kind == "dates":
            long = "datetime.datetime" in str(part.type)
            found[part.encode_name] = value.isoformat() if long else value.date().isoformat()
        elif kind == "flags":
            found[part.encode_name] = str(value).lower() == "true"
        elif kind == "numbers":
            number = float(value)
            found[part.encode_name] = int(number) if number.is_integer() else number
        else:
            found[part.encode_name] = str(value)
    return found


def score(
    train: Any,
    candidates: Any,
    raw: pd.DataFrame,
    schema: Any,
    settings: Any,
    record: Any,
    seed: int,
) -> tuple[float, float]:
    """AUC, R² or accuracy on held-out rows: of the chosen candidate, and of the reference."""
    import msgspec

    training, held_out = train.split(msgspec.structs.replace(settings, seed=seed))
    table, test = (
        prepared(raw.loc[training.lines], schema),
        prepared(raw.loc[held_out.lines], schema),
    )
    candidate = candidates.CANDIDATES[record["metrics"]["estimator"]]
    own = candidate(table, training.target, seed).fit(table, training.target)
    ours = measure(own, test, held_out.target)
    is_classes = hasattr(own, "classes_")
    plain = plainly(raw.drop(columns=[schema.TARGET]), schema)
    words = [name for name in plain if plain[name].dtype == object]
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan
    )
    prepare = ColumnTransformer([("words", encoder, words)], remainder="passthrough")
    kind = HistGradientBoostingClassifier if is_classes else HistGradientBoostingRegressor
    reference = make_pipeline(prepare, kind(random_state=seed))
    reference.fit(plain.loc[training.lines], training.target)
    return ours, measure(reference, plain.loc[held_out.lines], held_out.target)


def plainly(frame: pd.DataFrame, schema: Any) -> pd.DataFrame:
    """The columns of Row as a plain reference takes them: dates as a number, words as they are."""
    columns = {}
    for name, kind in kinds(schema).items():
        column = frame[name]
        if kind == "dates":
            columns[name] = column.map(
                lambda value: value.timestamp() if value == value else np.nan
            )
        elif kind == "words":
            columns[name] = column.astype(object).where(column.notna(), None)
        elif kind == "flags":
            columns[name] = column.map(flag)
        else:
            columns[name] = column.astype("float64")
    return pd.DataFrame(columns)


def measure(estimator: Any, table: pd.DataFrame, truth: Any) -> float:
    if not hasattr(estimator, "classes_"):
        return float(r2_score(truth, estimator.predict(table)))
    if len(estimator.classes_) == 2:
        return float(
            roc_auc_score(truth == estimator.classes_[1], estimator.predict_proba(table)[:, 1])
        )
    return float(accuracy_score(truth, estimator.predict(table)))


if __name__ == "__main__":
    start = time.monotonic()
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
