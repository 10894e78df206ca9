"""A pipe whose reading end an event loop empties, so that no process waits for us."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable
from types import TracebackType
from typing import Self

_BLOCK_BYTES = 65536
_BLOCKS_AT_ONCE = 64
_BLOCKS_A_TURN = 16
_PIPE_BYTES = 1 << 20


_PAUSE_SECONDS = 0.02


class Pipe:
    """A pipe for a process: pass `write_end` to it, then call `started`. Its output goes to `take`, in the thread of
    the loop.

    Args:
        loop: that reads.
        take: gets what is read.
        full: whether nothing more is to be taken now; the writer waits for as long as that is so.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, take: Callable[[bytes], None], full: Callable[[], bool] = lambda: False
    ) -> None:
        self._loop = loop
        self._take = take
        self._full = full
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):  # Linux: on a busy machine each filling costs the writer a turn of ours
            with contextlib.suppress(OSError):  # the user's pipes have their share already
                fcntl.fcntl(self._read_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        loop.add_reader(self._read_end, self._turn)

    def started(self) -> None:
        """Close our copy of the writing end, so that the pipe ends with the process."""
        if self.write_end >= 0:
            os.close(self.write_end)
            self.write_end = -1

    def _turn(self) -> None:
        """Take 1 MiB at most: a loop that has much else to do comes round seldom, and who writes would wait for it."""
        for _ in range(_BLOCKS_A_TURN):
            if self._full():
                self._loop.remove_reader(self._read_end)
                self._loop.call_later(_PAUSE_SECONDS, self._again)
                return
            if self._some() < _BLOCK_BYTES:
                return

    def _again(self) -> None:
        """Read on, where it is not closed meanwhile."""
        if self._read_end >= 0:
            self._loop.add_reader(self._read_end, self._turn)

    def _some(self) -> int:
        """Take one block; how long it is, 0 when there is none now."""
        if self._read_end < 0:
            return 0
        try:
            block = os.read(self._read_end, _BLOCK_BYTES)
        except BlockingIOError:
            return 0
        if block:
            self._take(block)
        else:
            self._loop.remove_reader(self._read_end)
        return len(block)

    def drain(self) -> None:
        """Take what is there now, 4 MiB at most: one who floods must not hold us."""
        for _ in range(_BLOCKS_AT_ONCE):
            if not self._some():
                return

    def close(self) -> None:
        """Stop reading and close both ends."""
        self.started()
        if self._read_end >= 0:
            self._loop.remove_reader(self._read_end)
            os.close(self._read_end)
            self._read_end = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
