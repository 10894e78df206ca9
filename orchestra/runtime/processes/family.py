"""Measure the processor time and memory of a process and its descendants between two calls. Linux.

For processes that live on from one attempt to the next, such as a worker, its browser and its MCP server: `usage`
counts what has ended. Read from /proc (proc(5)): the descendants by the `children` of their threads, times and peaks by
process. Where the system has no such files there are no figures.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_BLOCK_BYTES = 65536
_RESET_PEAK = b"5"
"""The value for `clear_refs` that resets VmHWM."""


class Meter:
    """Counts one family, from one `take` to the next.

    Args:
        pid: of the process at its top.
        proc: the file system of processes.
    """

    def __init__(self, pid: int, proc: Path = _PROC) -> None:
        self._pid, self._proc = pid, proc
        self._seconds = 0.0

    def take(self) -> dict[str, float]:
        """Return the use since the last call: `cpu_seconds` of living descendants and of those that they waited for, in
        hundredths of a second; `peak_rss_megabytes`, the greatest resident memory of one living descendant;
        `tree_megabytes`, the sum of the greatest resident memory of all of them, pages that processes share once. Empty if
        the system does not report it.
        """
        seconds, peak, own, shared, read = 0.0, 0, 0, 0, False
        for pid in self._family(self._pid):
            with suppress(OSError, ValueError, IndexError):  # it has just ended
                seconds += self._time(pid)
                read = True
                most, common = self._peak(pid)
                peak, own, shared = max(peak, most), own + max(0, most - common), max(shared, common)
        if not read:
            return {}
        # A process that ended without its parent noticing takes its time along: a decrease is reported as 0.
        spent, self._seconds = max(0.0, seconds - self._seconds), seconds
        figures = {"cpu_seconds": round(spent, 2)}
        if peak:
            figures["peak_rss_megabytes"] = round(peak / 1e6, 1)
            figures["tree_megabytes"] = round((own + shared) / 1e6, 1)
        return figures

    def _family(self, top: int) -> Iterator[int]:
        waiting = [top]
        while waiting:
            pid = waiting.pop()
            yield pid
            tasks = f"{self._proc}/{pid}/task"
            with suppress(OSError):
                for thread in os.listdir(tasks):  # noqa: PTH208 - names, not paths
                    with suppress(OSError):
                        waiting += map(int, _read(f"{tasks}/{thread}/children").split())

    def _time(self, pid: int) -> float:
        """User and system time of a process and of the children that it waited for, in seconds."""
        fields = _read(f"{self._proc}/{pid}/stat").rpartition(b")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def _peak(self, pid: int) -> tuple[int, int]:
        """Return the most bytes, and how many of those now are of files or shared: what follows counts from now on, where
        the system lets that be asked.
        """
        status = _read(f"{self._proc}/{pid}/status")
        found = _bytes(status, b"VmHWM:"), _bytes(status, b"RssFile:") + _bytes(status, b"RssShmem:")
        with suppress(OSError):
            file = os.open(f"{self._proc}/{pid}/clear_refs", os.O_WRONLY)
            try:
                os.write(file, _RESET_PEAK)
            finally:
                os.close(file)
        return found


def _bytes(status: bytes, name: bytes) -> int:
    """Return a figure of a process by its name; 0 where the system has none."""
    words = status.partition(name)[2].split(maxsplit=1)
    return int(words[0]) * 1024 if words else 0


def _read(name: str) -> bytes:
    """Return a file of /proc; by system calls alone, because a browser has a hundred of them and each attempt waits for
    this.
    """
    file = os.open(name, os.O_RDONLY)
    try:
        return os.read(file, _BLOCK_BYTES)
    finally:
        os.close(file)
