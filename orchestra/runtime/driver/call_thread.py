"""Make calls that may hang, in a thread that is abandoned when they do."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class _Call(Generic[_T]):
    """One call and its result."""

    def __init__(self, work: Callable[[], _T]) -> None:
        self.work = work
        self.done = threading.Event()
        self.value: list[_T] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.value.append(self.work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the call was made
            self.error = error
        self.done.set()


class CallThread:
    """One thread for many calls in a row: the resolver of names takes no limit, and a socket only one for each piece."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] | None = None

    def run(self, work: Callable[[], _T], seconds: float) -> _T:
        """Return the result of a call.

        Args:
            work: the call.
            seconds: how long to wait for it; the next one has a thread of its own after that.

        Raises:
            TimeoutError: it took longer, and continues unattended.
        """
        if self._calls is None:
            self._calls = queue.SimpleQueue()
            threading.Thread(target=_serve, args=(self._calls,), name="calls", daemon=True).start()
        call = _Call(work)
        self._calls.put(call.run)
        if not call.done.wait(seconds):
            self.close()
            raise TimeoutError
        if call.error is not None:
            raise call.error
        return call.value[0]

    def close(self) -> None:
        """End the thread once its call is over."""
        if self._calls is not None:
            self._calls.put(None)
        self._calls = None


def _serve(calls: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    while (run := calls.get()) is not None:
        run()
