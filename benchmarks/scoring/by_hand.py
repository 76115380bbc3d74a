"""The sample's rows, and what a person would write to predict them: by_hand.py WAY PACKAGE TABLE OUTPUT."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


def make(sample: str, output: str, rows: str) -> None:
    """Write so many rows of the sample, with a number each."""
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.csv as pc  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    gaps = pc.ConvertOptions(strings_can_be_null=True)
    whole = pc.read_csv(sample, convert_options=gaps)
    dice = np.random.default_rng(14)
    block = 131_072
    writer: Any = None
    for start in range(0, int(rows), block):
        count = min(block, int(rows) - start)
        chosen = pa.array(dice.integers(0, len(whole), count))
        table = whole.take(chosen).add_column(0, "id", pa.array(range(start, start + count)))
        if writer is None:
            kind = pq.ParquetWriter if output.endswith(".parquet") else pc.CSVWriter
            writer = kind(output, table.schema)
        writer.write_table(table)
    writer.close()


def sklearn(package: str, table: str, output: str, size: int) -> None:
    """scikit-learn's own predict over chunks of pandas, as fitted by the project's training."""
    import pandas as pd  # type: ignore[import-untyped]

    train = importlib.import_module(f"{package}.models.train")
    model = importlib.import_module(f"{package}.models.model")
    runtime = importlib.import_module(package)
    settings = runtime.config.load("train", train.TrainConfig)
    training, _ = train.split(settings)
    estimator = train.pipeline(settings)
    estimator.fit(runtime.to_frame(model.features(training.columns)), training.target)
    fields = list(training.columns)
    for n, chunk in enumerate(chunks(table, size)):
        frame = chunk[fields].copy()
        frame["sex"] = frame["sex"].fillna("missing")
        shares = estimator.predict_proba(frame)
        chunk["prediction.species"] = estimator.classes_[shares.argmax(axis=1)]
        for name, share in zip(estimator.classes_, shares.T, strict=True):
            chunk[f"prediction.probabilities.{name}"] = share
        if output.endswith(".csv"):
            chunk.to_csv(output, mode="a", header=not n, index=False)
        else:
            pd.DataFrame(chunk).to_parquet(f"{output}.{n}", index=False)


def chunks(table: str, size: int) -> Iterator[Any]:
    import pandas as pd
    import pyarrow.parquet as pq

    if table.endswith(".csv"):
        yield from pd.read_csv(table, chunksize=size)
    else:
        yield from (batch.to_pandas() for batch in pq.ParquetFile(table).iter_batches(size))


def polars_onnx(package: str, table: str, output: str) -> None:
    """The least that can be done: polars reads and writes, onnxruntime predicts; nothing is checked."""
    import onnxruntime  # type: ignore[import-untyped]
    import polars as pl  # type: ignore[import-not-found]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    artifacts = importlib.import_module(package).artifacts_dir
    session = onnxruntime.InferenceSession(str(artifacts / "model.onnx"), options)
    classes = importlib.import_module(f"{package}.models.model").Model().estimator.classes_
    text = table.endswith(".csv")
    scan = pl.scan_csv(table) if text else pl.scan_parquet(table)
    rows = scan.select(pl.len()).collect().item()
    size = 100_000
    for n, start in enumerate(range(0, rows, size)):
        frame = scan.slice(start, size).collect()
        feed = {
            one.name: (
                frame[one.name].fill_null("missing").to_numpy().astype(object)
                if one.type == "tensor(string)"
                else frame[one.name].cast(pl.Float32).fill_null(float("nan")).to_numpy()
            ).reshape(-1, 1)
            for one in session.get_inputs()
        }
        labels, shares = session.run(["predict", "predict_proba"], feed)
        frame = frame.with_columns(
            pl.Series("prediction.species", labels),
            *(pl.Series(f"prediction.{c}", s) for c, s in zip(classes, shares.T, strict=True)),
        )
        if text:
            with Path(output).open("ab") as file:
                frame.write_csv(file, include_header=not n)
        else:
            frame.write_parquet(f"{output}.{n}")


if __name__ == "__main__":
    way, *words = sys.argv[1:]
    if way == "make":
        make(*words)
    elif way == "polars-onnx":
        polars_onnx(*words)
    else:
        sklearn(*words, int(way.partition("-")[2]))
