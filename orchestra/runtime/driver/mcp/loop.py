"""An event loop in a thread of its own, for the MCP client and Playwright's asynchronous interface.

A caller waits for the answer, but never longer than its limit: a hang in the loop blocks no one else. The loop runs all
the time, so the pipe of a browser is read even without a call.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")

_END_SECONDS = 5.0


class Loop:
    """A running event loop; `close` ends it."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def run(self, work: Coroutine[Any, Any, _T], seconds: float) -> _T:
        """Return the result of the coroutine.

        Args:
            work: awaited in the loop.
            seconds: how long to wait; then it is cancelled.

        Raises:
            TimeoutError: it took longer.
        """
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except TimeoutError:
            future.cancel()
            raise

    def close(self) -> None:
        """Cancel what still runs and end the thread; one that hangs is left, for it ends with the process."""
        asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop)
        self._thread.join(_END_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()


async def _cancel_all() -> None:
    loop = asyncio.get_running_loop()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.wait(others, timeout=_END_SECONDS / 2) if others else None
    loop.stop()
