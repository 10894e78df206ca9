"""A clock that calls once a time is over, in a thread of its own."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable


class Watchdog:
    """One thread for many times in a row: to set another one costs a microsecond.

    Args:
        bite: called when the time is over, at most once for a time that was set.
    """

    def __init__(self, bite: Callable[[], None]) -> None:
        self._bite = bite
        self._changed = threading.Condition()
        self._due = math.inf
        self._wakes = math.inf
        self._ended = False
        self._thread: threading.Thread | None = None

    def until(self, due: float) -> None:
        """Set the current deadline, by the monotonic clock. A call that has begun is over when this returns."""
        with self._changed:
            self._due = due
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
                self._thread.start()
            elif due < self._wakes:  # one that is later is seen when the thread wakes for the time before
                self._changed.notify()

    def close(self) -> None:
        """No time counts any more."""
        with self._changed:
            self._due, self._ended = math.inf, True
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._ended:
                left = self._due - time.monotonic()
                if left <= 0:
                    self._due = math.inf
                    self._bite()
                    continue
                self._wakes = self._due
                self._changed.wait(None if left == math.inf else left)
