"""Score many rows: read them from JSON or CSV, write the predictions the same way."""

import csv
import io
import sys
from pathlib import Path
from typing import Any

import msgspec

from .errors import ProjectError
from .service.schema import Schema

Cells = list[dict[str, str]]


def predict(model: Any, source: str) -> str:
    """Predictions as text: JSON for JSON rows, CSV for CSV rows.

    `source` is JSON itself, the path of a .json or .csv file, or "-" for standard input.
    Raises ProjectError that names the row and the field where one does not fit the model.
    """
    text, name = _read(source)
    schema = Schema.of(model)
    try:
        if text.lstrip()[:1] in ("[", "{"):
            return _to_json(model.predict(schema.decode_rows(text)))
        cells = list(csv.DictReader(io.StringIO(text)))
        return _to_csv(cells, model.predict(schema.convert_cells(cells)))
    except msgspec.DecodeError as error:
        raise ProjectError(f"{name}: {error}") from error


def predict_examples(model: Any) -> str:
    """Predictions for the model's own example rows, as JSON."""
    examples = getattr(model, "examples", None)
    if not examples:
        raise ProjectError(f"{type(model).__name__} has no examples: give rows to predict.")
    return _to_json(model.predict(examples))


def _read(source: str) -> tuple[str, str]:
    if source.lstrip()[:1] in ("[", "{"):
        return source, "The row"
    try:
        if source == "-":
            return sys.stdin.read(), "Standard input"
        return Path(source).read_text(encoding="utf-8-sig"), source
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(
            f"{source} cannot be read ({error}). Give JSON rows, a .json or .csv file, or - for standard input."
        ) from error


def _to_json(predictions: Any) -> str:
    return msgspec.json.format(Schema.encode(predictions)).decode()


def _to_csv(cells: Cells, predictions: list[Any]) -> str:
    rows = [
        row | _flat("prediction", msgspec.to_builtins(prediction))
        for row, prediction in zip(cells, predictions, strict=True)
    ]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().rstrip("\n")


def _flat(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    return {k: v for key in value for k, v in _flat(f"{name}.{key}", value[key]).items()}
