"""Read an Arrow IPC stream that a stranger sent, and hold what a table unpacks to against a limit."""

import struct
from collections.abc import Callable, Iterator
from typing import Any

from .faults import Fault, InvalidRows

POINTER = 8  # bytes of a cell in a list, whatever it holds
HEADER, DATA, COMPRESSION = 2, 1, 3  # fields of Arrow's Message, DictionaryBatch and RecordBatch


def batches(body: bytes, check: Callable[[int], None], most: int) -> Iterator[Any]:
    """The batches of a stream, which are views of its bytes.

    `check` is called with the number of rows so far before any cell is read. Raises InvalidRows where it
    is no stream, is compressed, or unpacks to more than `most` bytes.
    """
    import pyarrow

    rows = 0
    try:
        buffer = pyarrow.py_buffer(body)
        _refuse_compressed(pyarrow.MessageReader.open_stream(buffer))
        with pyarrow.ipc.open_stream(buffer) as stream:
            for batch in stream:
                rows += batch.num_rows
                check(rows)
                batch.validate(full=True)  # offsets that lead outside would be followed
                most -= unpacked(batch)
                if most < 0:
                    raise InvalidRows([Fault("the table unpacks to too many bytes")])
                yield batch
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError, struct.error) as error:
        why = " ".join(str(error).split()).rstrip(".")
        raise InvalidRows([Fault(f"this is not a complete Arrow stream: {why}")]) from error
    check(rows)


def _refuse_compressed(messages: Any) -> None:
    """What compressed bytes become is known only when they are unpacked: a little can be very much."""
    while True:
        try:
            message = messages.read_next_message()
        except StopIteration:
            return
        if message.type in ("record batch", "dictionary") and _is_compressed(message):
            said = "the buffers of the Arrow stream are compressed: send them uncompressed"
            raise InvalidRows([Fault(said)])


def _is_compressed(message: Any) -> bool:
    """Whether a message names a compression. pyarrow has checked its tables, and does not tell."""
    content = message.metadata.to_pybytes()
    header = _follow(content, _field(content, _follow(content, 0), HEADER))
    if message.type == "dictionary":
        header = _follow(content, _field(content, header, DATA))
    return _field(content, header, COMPRESSION) > 0


def _field(content: bytes, table: int, number: int) -> int:
    """Where a field of a flatbuffer's table is; 0 where the table does not have it."""
    (back,) = struct.unpack_from("<i", content, table)
    (size,) = struct.unpack_from("<H", content, table - back)
    place = 4 + 2 * number
    offset = struct.unpack_from("<H", content, table - back + place)[0] if place < size else 0
    return int(table + offset) if offset else 0


def _follow(content: bytes, place: int) -> int:
    return int(place + struct.unpack_from("<I", content, place)[0])


def unpacked(batch: Any) -> int:
    """How many bytes the cells of a batch are at most, as lists of Python's. Raises InvalidRows."""
    return sum(
        _unpacked(column, name)
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    )


def _unpacked(column: Any, name: str) -> int:
    import pyarrow.compute
    import pyarrow.types as types

    kind, size = column.type, POINTER * len(column)
    if types.is_dictionary(kind) and not types.is_nested(kind.value_type):
        lengths = _lengths(column.dictionary)
        return int(size + len(column) * max(lengths.max(initial=0), POINTER))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return size + _unpacked(column.flatten(), name)
    if types.is_struct(kind):
        return size + sum(_unpacked(part, name) for part in column.flatten())
    if types.is_nested(kind) or isinstance(kind, pyarrow.BaseExtensionType):
        raise InvalidRows([Fault(f"a column of the type {kind} is not read", field=name)])
    return int(size + _lengths(column).sum())


def _lengths(column: Any) -> Any:
    """The bytes of each value of a column."""
    import numpy as np
    import pyarrow.compute
    import pyarrow.types as types

    kind = column.type
    if types.is_string_view(kind) or types.is_binary_view(kind):
        views = np.frombuffer(column.buffers()[1], np.int32).reshape(-1, 4)
        return views[column.offset : column.offset + len(column), 0].astype(np.int64)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind):  # fmt: skip
        found = pyarrow.compute.binary_length(column).fill_null(0)
        return found.to_numpy(zero_copy_only=False).astype(np.int64)
    return np.full(1, column.nbytes, np.int64)
