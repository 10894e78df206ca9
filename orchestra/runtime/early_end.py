"""Speak to a worker about the attempt that it carries out: lines between requests, which it reads while it works."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol

END = b'"end"'
"""The line; a request is a JSON object, so it is none."""

_FOR_EVER = 1e9


class Bounded(Protocol):
    """A part that can be cut off: the page of a test."""

    def bound(self, seconds: float) -> None:
        """Let nothing take longer than this from now on."""


class EarlyEnd:
    """The clock of an attempt's deadlines, which another thread can put forward: then every deadline is over.

    `finally` has its own time after that, as after a timeout. While an attempt is held, the clock does not run.

    Args:
        clock: monotonic seconds.

    Attributes:
        held: the seconds that the attempt was held.
        replies: the decisions of a person, as the run sent them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = clock
        self._lock = threading.Lock()
        self._ahead = 0.0
        self._ended = threading.Event()
        self.held = 0.0
        self.replies: SimpleQueue[bytes] = SimpleQueue()
        self._page: Bounded | None = None

    def clock(self) -> float:
        """Monotonic seconds without those that the attempt was held; from an end on far ahead."""
        return self._monotonic() + self._ahead - self.held

    def hold(self, seconds: float) -> None:
        """Hold the attempt for some time; an end ends that, too."""
        begun = self._monotonic()
        self._ended.wait(seconds)
        self.held += self._monotonic() - begun

    def reply(self, rest: Callable[[], None]) -> bytes:
        """Wait for a reply, and return it; empty if the attempt ends.

        Args:
            rest: called again and again meanwhile; waits a moment.
        """
        while not self._ended.is_set():
            try:
                return self.replies.get_nowait()
            except Empty:
                rest()
        return b""

    def watch(self, page: Bounded) -> None:
        """Take the page whose calls are cut off by an end; one that has come already cuts them off at once."""
        with self._lock:
            self._page = page
            if self._ahead:
                page.bound(0.0)

    def now(self) -> None:
        """End the attempt. A second call does nothing."""
        with self._lock:
            if not self._ahead:
                self._ahead = _FOR_EVER
                self._ended.set()
                if self._page is not None:
                    self._page.bound(0.0)
