"""Numbers that several processes count, in memory that they share."""

import mmap
from collections.abc import Iterator
from typing import Any

SEATS = 64  # processes
SERIES = 512  # of one process
KEY, VALUES = 384, 16  # bytes and doubles: the room of a series
CELL = KEY + 8 * VALUES
SIZE = CELL * SERIES

Values = Any  # a memoryview of doubles


class Sheet(dict[str, Values]):
    """The series of one process, by key: doubles that are its own to write, and that all may read.

    A series begins when it is first asked for. One for which there is no room is not shared.
    """

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory
        super().__init__(self.read())

    def read(self) -> Iterator[tuple[str, Values]]:
        """The keys and values that are in the memory."""
        for start in range(0, SIZE, CELL):
            if not self._memory[start]:
                return
            key = bytes(self._memory[start : start + KEY]).rstrip(b"\0").decode()
            yield key, self._memory[start + KEY : start + CELL].cast("d")

    def __missing__(self, key: str) -> Values:
        name, start = key.encode(), CELL * len(self)
        if start >= SIZE or len(name) > KEY:
            return memoryview(bytearray(8 * VALUES)).cast("d")
        self._memory[start + 1 : start + len(name)] = name[1:]
        self._memory[start] = name[0]  # last: from here on the others see it
        self[key] = self._memory[start + KEY : start + CELL].cast("d")
        return self[key]


class Board:
    """A sheet for the process at each seat. It is made before the first fork.

    Since it is no file, no disk can be too full for it. Whoever has a seat next counts on from there:
    nothing is lost with a process that ends, and nothing has to be moved.
    """

    def __init__(self) -> None:
        self._memory = memoryview(mmap.mmap(-1, SIZE * SEATS))

    def sheet(self, seat: int) -> Sheet:
        """The sheet of the process at a seat; a private one for a process too many."""
        part = self._memory[SIZE * seat : SIZE * (seat + 1)]
        return Sheet(part or memoryview(bytearray(SIZE)))

    def total(self) -> dict[str, list[float]]:
        """The sums over all processes."""
        sums: dict[str, list[float]] = {}
        for seat in range(SEATS):
            for key, values in self.sheet(seat).items():
                known = sums.get(key, [0.0] * VALUES)
                sums[key] = [a + b for a, b in zip(known, values, strict=True)]
        return sums
