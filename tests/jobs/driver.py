# mypy: ignore-errors
"""Follow one job in its project, by the project's Python: train, test, evaluate, predict.

Arguments: the package, the project's folder, the job's folder, a folder for what is found.
"""

import datetime
import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from click.testing import CliRunner

ROWS = 40  # that are predicted in every format
name, root, folder, out = sys.argv[1], *map(Path, sys.argv[2:])
sys.path.insert(0, str(root / "src"))
os.chdir(root)


def main() -> None:
    specification = importlib.util.spec_from_file_location("job", folder / "job.py")
    job = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(job)
    path = next(root.glob("data/raw/*.csv"), None)
    if hasattr(job, "table"):
        path = root / "data" / getattr(job, "DATA", job.SETTINGS.get("data"))
        job.table().to_csv(path, index=False)
    estimator = trained()
    found = {"tests": tested(), "evaluated": command("evaluate")}
    run_notebooks()
    table = job.table() if hasattr(job, "table") else pd.read_csv(path)
    found["expected"] = getattr(job, "expected", expected)(estimator, prepared(table)[:ROWS])
    for kind, content in written(path, table[:ROWS]).items():
        rows = out / f"rows.{kind}"
        rows.write_bytes(content)
        answer = command("predict", str(rows))
        (out / f"answers.{kind}").write_bytes(answer)
    found["evaluated"] = found["evaluated"].decode()
    found["parquet"] = [
        {key: value for key, value in row.items() if key.startswith("prediction")}
        for row in pyarrow.parquet.read_table(out / "answers.parquet").to_pylist()
    ]
    (out / "found.json").write_text(json.dumps(found, default=lambda value: value.tolist()))


def command(*words: str) -> bytes:
    """What a command of the project prints."""
    entry = importlib.import_module(f"{name}.__main__").main
    result = CliRunner().invoke(entry, words, catch_exceptions=False)
    assert result.exit_code == 0, f"{words}: {result.output}"
    return result.stdout_bytes


def trained() -> object:
    """Train, and return the estimator as it was fitted."""
    kept = []
    estimators = importlib.import_module(f"{name}._runtime.estimators")
    export = estimators.export

    def keep(estimator, *arguments):
        kept.append(estimator)
        return export(estimator, *arguments)

    estimators.export = keep
    if (folder / "models/train.py").exists() and "torch" in (
        folder / "models/train.py"
    ).read_text():
        torch = importlib.import_module("torch")
        exported = torch.onnx.export
        torch.onnx.export = lambda net, *words, **more: (
            kept.append(net) or exported(net, *words, **more)
        )
    print(command("train").decode())
    return kept[0] if kept else None


def tested() -> dict[str, int]:
    """Run the tests that came with the project, and count how they ended."""
    counts: dict[str, int] = {}

    class Count:
        def pytest_runtest_logreport(self, report):
            if report.when == "call" or report.skipped:
                counts[report.outcome] = counts.get(report.outcome, 0) + 1

    code = pytest.main(["-q", "-p", "no:cacheprovider", str(root / "tests")], [Count()])
    assert code == 0, f"the project's own tests ended with {code}"
    return counts


def run_notebooks() -> None:
    """Run the code of the project's notebooks, without what shows it."""
    for path in root.glob("notebooks/*.ipynb"):
        names: dict[str, object] = {}
        for cell in json.loads(path.read_text())["cells"]:
            if cell["cell_type"] == "code":
                exec("".join(cell["source"]), names)


def keys() -> list[str]:
    """The names that the fields of a row have in JSON."""
    model = importlib.import_module(f"{name}.models.model")
    row = getattr(model, "Row", None)
    return list(row.__struct_encode_fields__ if row else model.Model.examples[0])


def prepared(table: pd.DataFrame) -> pd.DataFrame:
    """The rows as features makes them, made by pandas alone."""
    table = table[keys()].copy()
    for column in table:
        if pd.api.types.is_datetime64_any_dtype(table[column]):
            table[column] = (table[column] - pd.Timestamp(0)) / pd.Timedelta(days=1)
        elif not pd.api.types.is_numeric_dtype(table[column]):
            texts = [str(v) if isinstance(v, str | bool) else "missing" for v in table[column]]
            table[column] = pd.Series(texts, dtype=object, index=table.index)
    return table


def expected(estimator: object, rows: pd.DataFrame) -> list:
    """What a regression of one target says of the rows."""
    target = importlib.import_module(f"{name}.models.schema").TARGET
    return [{target: value} for value in estimator.predict(rows).tolist()]


def written(path: Path, table: pd.DataFrame) -> dict[str, bytes]:
    """The rows in every format; the tables with all columns that the data has."""
    text = "".join(path.read_text().splitlines(keepends=True)[: ROWS + 1])
    records = [
        {key: plain(value) for key, value in zip(keys(), row, strict=True)}
        for row in table[keys()].itertuples(index=False)
    ]
    table.to_parquet(out / "rows.parquet", index=False)
    return {
        "json": json.dumps(records).encode(),
        "jsonl": "".join(json.dumps(record) + "\n" for record in records).encode(),
        "csv": text.encode(),
        "parquet": (out / "rows.parquet").read_bytes(),
    }


def plain(value: object) -> object:
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        fields = importlib.import_module(f"{name}.models.schema").Row.__annotations__.values()
        return value.isoformat() if datetime.datetime in fields else str(value.date())
    return value.item() if isinstance(value, np.generic) else value


main()
