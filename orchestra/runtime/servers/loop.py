"""Run the event loop of the health matrix, in which name look-ups block nothing."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any


class Loop(asyncio.SelectorEventLoop):
    """An event loop that looks a name up in a thread of its own, and abandons the thread after the limit.

    The resolver of the system takes no limit, and the threads of Python's pool are awaited when the process ends.
    """

    async def getaddrinfo(self, host: Any, port: Any, **options: int) -> list[Any]:
        """As `socket.getaddrinfo`."""
        found: asyncio.Future[list[Any]] = self.create_future()

        def settle(value: list[Any] | None, error: OSError | None) -> None:
            if found.done():
                return
            if error is not None:
                found.set_exception(error)
            else:
                found.set_result(value or [])

        def look_up() -> None:
            value, error = None, None
            try:
                value = socket.getaddrinfo(host, port, **options)
            except OSError as raised:
                error = raised
            if not self.is_closed():
                self.call_soon_threadsafe(settle, value, error)

        threading.Thread(target=look_up, name=f"resolver of {host}", daemon=True).start()
        return await found
