"""A terminal whose screen a test reads."""

from __future__ import annotations

import os
import pty
import threading


class Terminal:
    """A pseudo-terminal whose output is collected as it comes."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        self.out = os.fdopen(slave, "w", encoding="utf-8")
        self._parts: list[bytes] = []
        self._grown = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                part = os.read(self._master, 65536)
            except OSError:  # Linux: the other side is closed
                return
            if not part or self._closed:
                return
            with self._grown:
                self._parts.append(part)
                self._grown.notify_all()

    def wait_for(self, text: str, times: int = 1) -> None:
        """Return when the text has been written so many times; a display that never writes it hangs until the test's time
        is over.
        """
        with self._grown:
            written = lambda: b"".join(self._parts).count(text.encode()) >= times  # noqa: E731
            assert self._grown.wait_for(written, timeout=60), (text, b"".join(self._parts).decode())

    def press(self, keys: str) -> None:
        """Type keys."""
        os.write(self._master, keys.encode())

    def close(self) -> None:
        """Close the window, with all that runs in it."""
        self._closed = True
        self.out.write("\n")  # which ends the read that is under way: it would hold the window open
        self.out.close()
        self._thread.join()
        os.close(self._master)

    def text(self) -> str:
        """All that was written, after the writer is done."""
        self.out.close()
        self._thread.join()
        os.close(self._master)
        return b"".join(self._parts).decode()
