"""Tensors as bytes: numbers in little-endian order, words each after its length in four bytes.

Source: https://github.com/triton-inference-server/server (docs/protocol/extension_binary_data.md).
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Any

from ..signature import InvalidAnswers

DTYPES = {
    "BOOL": "?",
    **{f"{kind}{bits}": f"<{kind[0].lower()}{bits // 8}" for kind in ("INT", "UINT") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
}  # fmt: skip
LENGTH = struct.Struct("<I")


class Words(list[str]):
    """The words of a tensor of BYTES. They have no null: an empty one may stand for a missing value."""


def read(name: str, datatype: str, number: int, content: memoryview) -> Any:
    """An array that looks into the bytes of so many numbers, or Words. Raises ValueError."""
    if datatype == "BYTES":
        return Words(_words(name, number, content))
    import numpy as np  # late: a model may do without it

    dtype = np.dtype(DTYPES[datatype])
    if len(content) != number * dtype.itemsize:
        raise ValueError(
            f"Input {name!r} has {len(content):,} bytes, "
            f"where {number:,} values of {datatype} have {number * dtype.itemsize:,}."
        )
    if datatype == "BOOL" and content.nbytes and max(content) > 1:
        raise ValueError(f"Input {name!r} is not BOOL: a byte is neither 0 nor 1.")
    return np.frombuffer(content, dtype) if number else np.empty(0, dtype)


def of(name: str, datatype: str, values: list[Any]) -> Any:
    """An array of values, or Words of bytes. Raises ValueError."""
    if datatype == "BYTES":
        try:
            return Words(word.decode() for word in values)
        except UnicodeDecodeError:
            raise ValueError(f"Input {name!r} holds a word that is not text in UTF-8.") from None
    import numpy as np  # late: a model may do without it

    try:
        return np.array(values, np.dtype(DTYPES[datatype]))
    except OverflowError:
        raise ValueError(f"Input {name!r} is not {datatype}.") from None


def _words(name: str, number: int, content: memoryview) -> Iterator[str]:
    text, at, end = bytes(content), 0, len(content)
    if number * LENGTH.size > end:
        raise ValueError(
            f"Input {name!r} has {end:,} bytes, which is too few for {number:,} words."
        )
    for n in range(1, number + 1):
        start = at + LENGTH.size
        at = start + LENGTH.unpack_from(text, at)[0] if start <= end else start
        if at > end:
            raise ValueError(f"Input {name!r}: word {n} goes on past the end of the tensor.")
        try:
            yield text[start:at].decode()
        except UnicodeDecodeError:
            raise ValueError(f"Input {name!r}: word {n} is not text in UTF-8.") from None
    if at != end:
        raise ValueError(f"Input {name!r} has {end - at:,} bytes after its last word.")


def write(name: str, datatype: str, values: Any) -> bytes:
    """The bytes of a tensor's values, as `plain` has them. Raises InvalidAnswers."""
    if datatype == "BYTES":
        words = plain(name, datatype, values)
        return b"".join(part for word in words for part in (LENGTH.pack(len(word)), word))
    return _numbers(name, datatype, values).tobytes()  # type: ignore[no-any-return]


def plain(name: str, datatype: str, values: Any) -> Sequence[Any]:
    """A tensor's values, None as NaN or as an empty word, and words as bytes. Raises InvalidAnswers."""
    if datatype != "BYTES":
        return _numbers(name, datatype, values).tolist()  # type: ignore[no-any-return]
    words = values.tolist() if hasattr(values, "tolist") else values
    return [b"" if word is None else word.encode() for word in words]


def _numbers(name: str, datatype: str, values: Any) -> Any:
    import numpy as np  # late: a model may do without it

    try:
        if isinstance(values, list) and datatype[:2] != "FP" and None in values:
            raise TypeError("no number is missing")
        return np.asarray(values, np.dtype(DTYPES[datatype]))
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidAnswers(
            f"The output {name} holds a value that is no {datatype}: ask for it as JSON."
        ) from error
