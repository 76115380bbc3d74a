"""The loop that reads and writes, and answers what is quick without waking another thread."""

import threading
import time

from .channel import Channel
from .listener import Listener

LOOK = 0.1  # seconds that one answer may hold the loop up before another thread takes it over


class Loop:
    """Runs a listener in one thread at a time, which owns it.

    Answering in the loop saves two switches between threads, a quarter to a third of what a quick request
    costs. Its price is that an answer may turn out to be slow after all. Then the loop changes hands:
    only while its owner is inside an answer, where it touches nothing but the channel of that answer, as
    a thread of the pool does. So at any time one thread at most polls, accepts, and closes.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._lock = threading.Lock()  # guards listener.owner and _answering, as a pair
        self._answering: float | None = None  # since when the owner is inside an answer
        self._ended = False
        self._hand_over()

    def look(self) -> None:
        """Give the loop to another thread if an answer has held it up for too long. To be called often.

        Raises RuntimeError if the loop has ended by itself, which is a bug.
        """
        with self._lock:
            if self._listener.owner is None or not self._listener.owner.is_alive():
                raise RuntimeError("The loop has ended.")
            if self._answering is not None and time.monotonic() - self._answering > LOOK:
                self._hand_over()

    def end(self, seconds: float) -> None:
        """Let the loop end, and wait for that for at most so long."""
        self._ended = True
        if (owner := self._listener.owner) is not None:
            owner.join(seconds)

    def _hand_over(self) -> None:
        self._answering = None
        self._listener.owner = threading.Thread(target=self._run, name="loop", daemon=True)
        self._listener.owner.start()

    def _run(self) -> None:
        listener = self._listener
        while not self._ended:
            while listener.quick:
                if not self._answer(listener.quick.popleft()):
                    return
            listener.turn()

    def _answer(self, channel: Channel) -> bool:
        """Answer a request, and say whether this thread still owns the loop then."""
        self._answering = time.monotonic()  # from here on the loop may change hands
        channel.service()
        with self._lock:
            if is_owner := threading.current_thread() is self._listener.owner:
                self._answering = None
        if is_owner:
            channel.handle_write()  # now, and not after another turn
        else:
            self._listener.pull_trigger()  # for the new owner to write it
        return is_owner
