# mypy: disable-error-code="import-untyped"
"""Arrow streams and Parquet as the bodies of requests and answers."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from conftest import Churn
from serving import Service, service

STREAM = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
TABLE = pa.table(
    {
        "id": pa.array([7, 8, 9]),
        "island": ["Dream", "Biscoe", "Torgersen"],
        "bill_length_mm": [49.5, float("nan"), 39.1],
        "bill_depth_mm": pa.array([None, 18.75, 17.5], pa.float32()),
        "flipper_length_mm": pa.array([181, None, 190], pa.int16()),
        "body_mass_g": [3800, 4500, 3750],
        "sex": pa.array([None, "male", "female"]).dictionary_encode(),
    }
)


def stream(table: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as written:
        written.write_table(table)
    return out.getvalue()


def file(table: Any) -> bytes:
    out = io.BytesIO()
    parquet.write_table(table, out)
    return out.getvalue()


def ask(served: Service, path: str, kind: str, body: bytes) -> tuple[int, Any]:
    """The status, and the table or the words of the answer."""
    status, headers, said = served.request("POST", path, body, Content_Type=kind)
    if status != 200:
        return status, said.decode()
    assert headers["Content-Type"] == kind
    if kind == STREAM:
        return status, pa.ipc.open_stream(said).read_all()
    return status, parquet.read_table(io.BytesIO(said))


def replaced(name: str, column: Any, rows: int = 3) -> Any:
    table = TABLE.slice(0, rows)
    return table.set_column(table.column_names.index(name), name, column)


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
@pytest.mark.parametrize("kind", [STREAM, PARQUET], ids=["stream", "Parquet"])
def test_a_table_comes_back_with_the_predictions_that_json_gets(
    served_wide: Service, path: str, kind: str
) -> None:
    rows = TABLE.drop_columns("id").to_pylist()
    rows[1]["bill_length_mm"] = None
    _, expected = served_wide.post("/predict", json.dumps({"data": rows}).encode())
    status, table = ask(served_wide, path, kind, (stream if kind == STREAM else file)(TABLE))
    assert status == 200
    assert table.select(TABLE.column_names).schema.equals(TABLE.schema)
    assert table["id"].to_pylist() == [7, 8, 9]
    named = table.select([name for name in table.column_names if name.startswith("prediction.")])
    assert named.to_pylist() == [
        {
            "prediction.species": each["species"],
            **{f"prediction.probabilities.{k}": v for k, v in each["probabilities"].items()},
        }
        for each in expected["predictions"]
    ]


def test_streams_of_several_batches_and_of_other_layouts_are_read(served_wide: Service) -> None:
    for table in (
        pa.concat_tables([TABLE] * 3),
        replaced("island", TABLE["island"].cast(pa.string_view())),
        replaced("island", TABLE["island"].cast(pa.large_string())),
        TABLE.append_column("when", pa.array([0, 1, None], pa.timestamp("ns", "UTC"))),
        TABLE.append_column("far", pa.array([2**40] * 3, pa.timestamp("s"))),
    ):
        status, found = ask(served_wide, "/predict", STREAM, stream(table))
        assert status == 200, found
        assert len(found) == len(table)


def test_rows_that_come_as_columns_are_counted_and_logged_as_others_are(
    wired: Churn, tmp_path: Path
) -> None:
    rows = TABLE.drop_columns("id").to_pylist()
    rows[1]["bill_length_mm"] = None
    settings = (f"log_predictions={tmp_path}", "log_predictions_share=1")
    command = [wired.python, "-m", "churn", "serve", "--port", "0", "--workers", "1"]
    with service([*command, "--set", settings[0], "--set", settings[1]], wired.root) as running:
        assert running.post("/predict", json.dumps({"data": rows}).encode())[0] == 200
        assert ask(running, "/predict", STREAM, stream(TABLE))[0] == 200
        counts = running.request("GET", "/metrics")[2].decode()
    assert 'model_input_values_total{column="bill_length_mm",is="missing"} 2.0' in counts
    lines = (tmp_path / "predictions-0.jsonl").read_text().splitlines()
    logged = [(line["row"], line["answer"]) for line in map(json.loads, lines)]
    assert logged[:3] == logged[3:]
    assert logged[0][0]["body_mass_g"] == 3800


NULLS = pa.ListArray.from_arrays(pa.array([0, 2**31 - 1], pa.int32()), pa.nulls(2**31 - 1))
LONG = pa.DictionaryArray.from_arrays(pa.array([0] * 9_000, pa.int16()), pa.array(["x" * 900_000]))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (stream(TABLE)[:-40], "not a complete Arrow stream"),
        (b"", "not a complete Arrow stream"),
        (b"island\nDream\n", "not a complete Arrow stream"),
        (stream(TABLE, compression="zstd"), "send them uncompressed"),
        (stream(TABLE, compression="lz4"), "send them uncompressed"),
        (stream(TABLE.slice(0, 0)), "there are no rows"),
        (stream(pa.table({"island": pa.nulls(10**9)})), "1,000,000,000 rows"),
        (stream(replaced("sex", NULLS, 1)), "unpacks to too many bytes"),
        (stream(pa.table({"island": LONG})), "unpacks to too many bytes"),
        (stream(replaced("island", pa.array(["Dream", "Mars", "Dream"]))), "row 2, island"),
        (stream(replaced("body_mass_g", pa.array([1.0, -1.0, 2.0]))), "row 2, body_mass_g"),
        (stream(replaced("body_mass_g", pa.array(["1", "2", "3"]))), "row 1, body_mass_g"),
        (stream(TABLE.drop_columns("sex")), 'no column \\"sex\\"'),
        (stream(TABLE.rename_columns([*TABLE.column_names[:-1], "island"])), "island"),
        (stream(TABLE.append_column("ends", pa.RunEndEncodedArray.from_arrays(pa.array([3], pa.int32()), pa.array([1])))), "is not read"),
    ],
    ids=[
        "cut off",
        "empty",
        "no stream",
        "zstd",
        "lz4",
        "no rows",
        "a billion nulls",
        "a list of two billion nulls",
        "eight gigabytes of one word",
        "no choice",
        "below its bound",
        "text for a number",
        "no column",
        "a column twice",
        "run-end encoded",
    ],
)  # fmt: skip
def test_a_stream_that_does_not_fit_is_a_400(served_wide: Service, body: bytes, said: str) -> None:
    status, answer = ask(served_wide, "/predict", STREAM, body)
    assert status == 400
    assert said in answer


def test_a_parquet_file_that_does_not_fit_is_a_400(served_wide: Service) -> None:
    for body, said in (
        (file(TABLE)[:-40], "not a complete Parquet file"),
        (file(pa.table({"island": LONG})), "unpacks to more than"),
        (file(replaced("island", pa.array(["Dream", "Mars", "Dream"]))), "row 2, island"),
    ):
        status, answer = ask(served_wide, "/predict", PARQUET, body)
        assert (status, said in answer) == (400, True), answer


def test_a_service_without_pyarrow_says_what_it_takes(served: Service) -> None:
    status, answer = ask(served, "/predict", STREAM, stream(TABLE))
    assert (status, "application/json" in answer) == (415, True)
