"""What the model takes and gives, read off the annotations of its `predict`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, get_args, get_type_hints

import msgspec

MISSING = frozenset({"", "NA", "NaN", "nan", "null"})  # cells that stand for no value


class Schema:
    """Decodes rows for a model and encodes its predictions.

    `predict(self, data: list[Row]) -> list[Answer]` takes rows of that type only;
    a `predict` without annotations takes any JSON.
    """

    def __init__(self, rows: Any, answers: Any, max_rows: int | None = None) -> None:
        limited = Annotated[rows, msgspec.Meta(min_length=1, max_length=max_rows)]
        self.rows = rows
        self.request = msgspec.defstruct(
            "Request", [("data", rows if rows is Any else limited)], forbid_unknown_fields=True
        )
        self.response = msgspec.defstruct("Response", [("predictions", answers)])
        self._request_decoder = msgspec.json.Decoder(self.request)

    @classmethod
    def of(cls, model: Any, max_rows: int | None = None) -> "Schema":
        """The schema of a model's `predict`, for at most `max_rows` rows a request."""
        hints = get_type_hints(type(model).predict, include_extras=True)
        answers = hints.pop("return", Any)
        return cls(next(iter(hints.values()), Any), answers, max_rows)

    def decode_request(self, body: bytes) -> Any:
        """The rows of {"data": rows}. Raises msgspec.DecodeError that names the row and the field."""
        return self._request_decoder.decode(body).data  # type: ignore[attr-defined]

    def decode_rows(self, text: str) -> Any:
        """Rows as JSON, bare or within {"data": rows}. Raises msgspec.DecodeError."""
        if text.lstrip().startswith("{"):
            return self.decode_request(text.encode())
        return msgspec.json.decode(text, type=self.rows)

    def convert_cells(self, cells: Sequence[Mapping[str, str]]) -> Any:
        """Rows from the cells of a table: text becomes numbers, columns of no field are left out.

        Raises msgspec.ValidationError that names the row and the field.
        """
        fields = self.fields
        kept = [
            {k: v for k, v in row.items() if (not fields or k in fields) and v not in MISSING}
            for row in cells
        ]
        return msgspec.convert(kept, self.rows, strict=False)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of a row's fields; none where rows are not msgspec Structs."""
        for kind in get_args(self.rows):
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                return kind.__struct_fields__
        return ()

    @staticmethod
    def encode(value: Any) -> bytes:
        """Predictions as JSON; numpy's arrays and scalars included."""
        return msgspec.json.encode(value, enc_hook=_plain)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise NotImplementedError(f"A prediction holds a {type(value).__name__}, which JSON has not.")
