"""A stream of text that is written by a thread: a reader that has stopped to read holds up nothing that must be heard.

A writer waits for the reader, as with every pipe, but only until the run is asked to end.
"""

from __future__ import annotations

import io
import os
import threading
from collections import deque
from typing import Final, TextIO

LETTERS: Final = 1 << 20
"""So much waits for the reader; then who writes waits, too."""

LAST_SECONDS: Final = 2.0
"""The time that the reader has for the rest, once the run was asked to end."""

_LOOK_SECONDS = 0.1


class Outlet(io.TextIOBase):
    """A stream that replaces stdout or stderr.

    Args:
        stream: that is written to.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._changed = threading.Condition()
        self._waiting: deque[str] = deque()
        self._size = 0
        self._gone = self._ended = self._hurried = False
        self._thread: threading.Thread | None = None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream."""
        return self.stream.encoding

    def isatty(self) -> bool:
        """Return True if it is a terminal."""
        return self.stream.isatty()

    def fileno(self) -> int:
        """Of the stream."""
        return self.stream.fileno()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Hand a text over. When the reader has gone, or has not read for long and the run is to end, it is dropped.

        Raises:
            TypeError: it is no text, as from every stream of text: click finds out by that which kind a stream is.
        """
        if not isinstance(text, str):
            raise TypeError(f"a stream of text takes no {type(text).__name__}")
        with self._changed:
            while self._size > LETTERS and not self._hurried and not self._gone:
                self._changed.wait(_LOOK_SECONDS)
            if not self._gone and self._size <= LETTERS:
                self._waiting.append(text)
                self._size += len(text)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="outlet", daemon=True)
                    self._thread.start()
                self._changed.notify_all()
        return len(text)

    def hurry(self) -> None:
        """Stop waiting for the reader, because the run was asked to end. Safe in a signal handler."""
        self._hurried = True

    def finish(self) -> None:
        """Wait until all is written; for `LAST_SECONDS` only when there is a hurry."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
            left = LAST_SECONDS
            while self._size and not self._gone and left > 0:
                self._changed.wait(_LOOK_SECONDS)
                left -= _LOOK_SECONDS if self._hurried else 0.0

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._ended:
                    self._changed.wait()
                if not self._waiting:
                    return
                text = "".join(self._waiting)
                self._waiting.clear()
            try:
                self._write(text)
            except (OSError, ValueError):  # the reader has gone: nothing is wrong
                self._gone = True
            with self._changed:
                self._size -= len(text)
                self._changed.notify_all()

    def _write(self, text: str) -> None:
        """Write to the file of the stream.

        Not by the stream itself: its lock would be held by a write that does not end, and be asked for at the exit.
        """
        try:
            file = self.stream.fileno()
        except OSError:  # it has none: a test that reads along
            self.stream.write(text)
            return
        data = text.encode(self.stream.encoding, "backslashreplace")
        while data:
            data = data[os.write(file, data) :]
