"""Predict for many requests in one call, without making the first of them wait."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

QUICK = 0.001  # seconds; a faster model gains nothing from a fuller batch
SHORT = 0.02  # seconds that whoever comes next may have to wait before it is even read
SWITCH = 0.0001  # seconds; what a faster model costs is less than a batch saves
LONGEST_WAIT = 0.05  # seconds
MOST_DOUBT = 64  # batches that go without waiting after waits that were in vain


class PredictionFailed(Exception):
    """Stands for what `predict` raised that is no Exception."""


class _Ticket:
    """One request's rows, and later its answer."""

    __slots__ = ("answer", "error", "leads", "rows", "size", "wake")

    def __init__(self, rows: Any) -> None:
        self.rows = rows
        self.size = len(rows) if isinstance(rows, list) or _is_block(rows) else 1
        self.answer: Any = None
        self.error: Exception | None = None
        self.leads = False
        self.wake = threading.Lock()  # held until there is an answer, or the lead to take
        self.wake.acquire()


class Batcher:
    """Calls `predict` from one thread at a time, which few models can do without.

    The first request predicts at once, in its own thread. Those that arrive meanwhile queue, and the
    oldest of them leads the next batch with all the others in it.

    Clients that ask and ask are best served in full batches: so a leader waits, for no longer than a
    prediction takes, until as many have asked as there were when the last batch ended. Where they are
    not back by then (requests come by chance, or reading them is what takes the time), waiting
    only costs, and twice as many of the next batches as before go without it.
    """

    def __init__(
        self,
        predict: Callable[[Any], Any],
        max_batch: int = 64,
        max_rows: int = 10_000,
        observe: Callable[[int], None] = lambda rows: None,
    ) -> None:
        self._predict = predict
        self._max_batch = max_batch
        self._max_rows = max_rows
        self._observe = observe
        # It guards all of the following but what only the leader touches: there is one at a time,
        # and the lead goes from one to the next under the lock.
        self._lock = threading.Lock()
        self._more = threading.Condition(self._lock)
        self._waiting: deque[_Ticket] = deque()
        self._running = False  # whether there is a leader
        self._wanted = 0  # requests that the leader waits for
        self._expected = 0  # requests that were there when the last batch ended
        self._ended = 0.0  # the time.monotonic() at which it ended
        self._doubt = 1  # batches to go without waiting after the next wait in vain
        self._skip = 0  # batches still to go without
        # Seconds that a prediction takes: falls fast and rises slowly, for other threads lengthen some.
        self._usual = 0.0
        self.busy_since: float | None = None
        """The time.monotonic() at which the running call of `predict` began, if one runs."""

    def is_quick(self, alone: bool) -> bool:
        """Whether a request is better answered by the thread that read it than by another.

        So it is if a prediction takes less time than to wake a thread; or, while nobody else asks, if
        none has to wait for long: `alone` if nobody else was read. Several are better in one batch.
        """
        if self.busy_since is not None:
            return False
        is_lone = alone and not self._running and self._expected < 2
        return self._usual < (SHORT if is_lone else SWITCH)

    @property
    def depth(self) -> int:
        """How many requests wait for their turn."""
        return len(self._waiting)

    def predict(self, rows: Any) -> Any:
        """The answers for one request's rows. Raises what `predict` raises for these very rows."""
        ticket = _Ticket(rows)
        with self._lock:
            leads = not self._running
            if leads:
                self._running = True
            else:
                self._waiting.append(ticket)
                if len(self._waiting) >= self._wanted:
                    self._more.notify()
        if not leads:
            ticket.wake.acquire()
        if leads or ticket.leads:
            self._lead(ticket)
        if ticket.error is not None:
            raise ticket.error
        return ticket.answer

    def _lead(self, ticket: _Ticket) -> None:
        with self._lock:
            batch = self._gather(ticket)
        start = self.busy_since = time.monotonic()
        self._run(batch)
        self._ended = time.monotonic()
        took = self._ended - start
        self._usual += (took - self._usual) / (2 if took < self._usual else 20)
        self.busy_since = None
        with self._lock:
            self._expected = len(self._waiting) + len(batch)
            if self._waiting:
                successor = self._waiting.popleft()
                successor.leads = True
                successor.wake.release()
            else:
                self._running = False
        # After the lead is handed on: the next batch need not wait until these are awake.
        for follower in batch[1:]:
            follower.wake.release()

    def _gather(self, ticket: _Ticket) -> list[_Ticket]:
        """The next batch; the lock is held."""
        wanted = min(self._expected, self._max_batch) - 1
        if len(self._waiting) < wanted and self._usual > QUICK:
            self._wait(wanted)
        batch = [ticket]
        rows = ticket.size
        while self._waiting and len(batch) < self._max_batch:
            rows += self._waiting[0].size
            if rows > self._max_rows or type(self._waiting[0].rows) is not type(ticket.rows):
                break
            batch.append(self._waiting.popleft())
        return batch

    def _wait(self, wanted: int) -> None:
        """Let those join who were answered last, if that was of use lately; the lock is held."""
        seconds = self._ended + min(self._usual, LONGEST_WAIT) - time.monotonic()
        if seconds <= 0:
            return
        if self._skip:
            self._skip -= 1
            return
        self._wanted = wanted
        if self._more.wait_for(lambda: len(self._waiting) >= wanted, seconds):
            self._doubt = 1
        else:
            self._skip = self._doubt = min(2 * self._doubt, MOST_DOUBT)
        self._wanted = 0

    def _run(self, batch: list[_Ticket]) -> None:
        try:
            self._answer(batch)
        except BaseException as error:
            if len(batch) > 1:  # whose rows were to blame shows when each is asked alone
                for ticket in batch:
                    self._run([ticket])
            elif isinstance(error, Exception):
                batch[0].error = error
            else:  # as itself it would end the thread that leads, and nobody would ever lead again
                batch[0].error = PredictionFailed(repr(error))
                batch[0].error.__cause__ = error

    def _answer(self, batch: Sequence[_Ticket]) -> None:
        if len(batch) == 1:
            batch[0].answer = self._predict(batch[0].rows)
            self._observe(batch[0].size)
            return
        rows = _joined(batch)
        answers = self._predict(rows)
        if len(answers) != len(rows):
            raise ValueError(f"predict gave {len(answers)} answers for {len(rows)} rows")
        self._observe(len(rows))
        start = 0
        for ticket in batch:
            ticket.answer = answers[start : start + ticket.size]
            start += ticket.size


def _is_block(rows: Any) -> bool:
    """Whether these are no list, but know how to be joined with others of their kind."""
    return hasattr(type(rows), "joined_with")


def _joined(batch: Sequence[_Ticket]) -> Any:
    first, *others = [ticket.rows for ticket in batch]
    if _is_block(first):
        return first.joined_with(others)
    return [row for rows in (first, *others) for row in rows]
