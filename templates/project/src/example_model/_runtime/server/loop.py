"""The loop that reads and writes, and answers what is quick without waking another thread."""

import threading
import time
from collections import deque
from http import HTTPStatus
from typing import Any

from waitress import wasyncore

from .channel import Channel
from .listener import Listener
from .parser import Failure

LOOK = 0.1  # seconds that one answer may hold the loop up before another thread takes it over
SMALL = 16_384  # bytes; a larger body takes its time even where the model is quick


class Loop(Listener):
    """Runs in one thread at a time, which owns it, beside a pool of threads for what takes time.

    Answering in the loop saves two switches between threads, a quarter to a third of what a quick request
    costs. Its price is that an answer may turn out to be slow after all. Then the loop changes hands:
    only while its owner is inside an answer, where it touches nothing but the channel of that answer, as
    a thread of the pool does. So at any time one thread at most polls, accepts, and closes.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._quick: deque[Channel] = deque()  # what the owner answers itself, after this turn
        self._awake = False  # the owner was woken since it last looked what there is to do
        self._ended = False
        self._lock = threading.Lock()  # guards _owner and _answering, as a pair
        self._hand_over()

    def look(self) -> None:
        """Give the loop to another thread if an answer has held it up for too long. To be called often.

        Raises RuntimeError if the loop has ended by itself, which is a bug.
        """
        with self._lock:
            if not self._owner.is_alive():
                raise RuntimeError("The loop has ended.")
            if self._answering is not None and time.monotonic() - self._answering > LOOK:
                self._hand_over()

    def end(self, seconds: float) -> None:
        """Let the loop and the pool end, for at most so long each, and close all connections."""
        self._ended = True
        self._owner.join(seconds)
        self.task_dispatcher.shutdown(timeout=seconds)
        wasyncore.close_all(self._map)

    def add_task(self, channel: Channel) -> None:
        """Have a request answered: by the owner of the loop if that is quicker than to wake a thread."""
        request, queue = channel.requests[0], self.task_dispatcher.queue
        channel.asked = time.monotonic()
        if len(queue) >= self.settings.queue_limit and request.error is None:
            full = "The server is at capacity. Retry after 1 second."
            request.error = Failure(HTTPStatus.SERVICE_UNAVAILABLE, full)
        # The owner alone appends to `_quick`, as it alone takes from it: nobody has to wake it.
        if threading.current_thread() is self._owner and self._is_quick(request):
            self._quick.append(channel)
        else:
            self.task_dispatcher.add_task(channel)

    def pull_trigger(self) -> None:
        """Wake the owner of the loop, unless it is the one who asks, or awake already."""
        if not self._awake and threading.current_thread() is not self._owner:
            self._awake = True
            super().pull_trigger()

    def _is_quick(self, request: Any) -> bool:
        if request.error is not None:
            return True
        is_small = request.body_bytes_received <= SMALL and not self.leaving
        return is_small and self.service.is_quick(request.path, alone=not self._quick)

    def _hand_over(self) -> None:
        self._answering: float | None = None  # since when the owner is inside an answer
        self._owner = threading.Thread(target=self._run, name="loop", daemon=True)
        self._owner.start()

    def _run(self) -> None:
        while not self._ended:
            while self._quick:
                if not self._answer(self._quick.popleft()):
                    return
            self._awake = False  # before the look: what comes later wakes the owner again
            self.turn()

    def _answer(self, channel: Channel) -> bool:
        """Answer a request, and say whether this thread still owns the loop then."""
        self._answering = time.monotonic()  # from here on the loop may change hands
        channel.service()
        with self._lock:
            if is_owner := threading.current_thread() is self._owner:
                self._answering = None
        if is_owner:
            channel.handle_write()  # now, and not after another turn
        else:
            self.pull_trigger()  # for the new owner to write it
        return is_owner
