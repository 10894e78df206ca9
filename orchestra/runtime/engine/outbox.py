"""Send data to a worker without waiting, because a stopped worker reads nothing."""

from __future__ import annotations

import os
import select
import threading
from typing import IO

_BLOCK_BYTES = 65536
_LOOK_SECONDS = 0.5


class Outbox:
    """The writing end of a pipe. A thread writes the data that it does not take at once.

    Args:
        pipe: unbuffered or not; only its descriptor is written to.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._rest = bytearray()
        self._lock = threading.Lock()
        self._at_work = self._closed = False
        os.set_blocking(pipe.fileno(), False)

    def send(self, data: bytes) -> None:
        """Send, behind what was sent before.

        Raises:
            OSError: the reader is gone.
        """
        with self._lock:
            self._rest += data
            self._push()
            if self._rest and not self._at_work:
                self._at_work = True
                threading.Thread(target=self._work, name="outbox", daemon=True).start()

    def close(self) -> None:
        """Close the pipe; what was not taken is lost."""
        with self._lock:
            self._closed = True
            try:
                self._pipe.close()
            except OSError:
                return  # the reader is gone already

    def _push(self) -> None:
        while self._rest:
            try:
                del self._rest[: os.write(self._pipe.fileno(), self._rest[:_BLOCK_BYTES])]
            except BlockingIOError:
                return

    def _work(self) -> None:
        while True:
            with self._lock:
                if self._closed or not self._rest:
                    self._at_work = False
                    return
                file = self._pipe.fileno()
            try:
                poll = select.poll()
                poll.register(file, select.POLLOUT)
                poll.poll(_LOOK_SECONDS * 1000)
                with self._lock:
                    if not self._closed:
                        self._push()
            except (OSError, ValueError):  # the reader is gone, which is noticed by who reads its answers
                with self._lock:
                    self._rest.clear()
