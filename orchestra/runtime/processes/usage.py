"""Measure the processor time and memory of a command, as the system counts them with its exit code.

One system call that is made anyway (wait4 in the place of waitpid), so it costs nothing. It counts the process and all
descendants that were waited for by their parents; what outlived its parent is not in it. See getrusage(2).
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from typing import NamedTuple

_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in one unit of `ru_maxrss`: bytes on macOS, KiB on Linux."""

_MARGIN_BYTES = 4 << 20
"""Linux counts pages in batches for each processor; what is above another figure by less than this may be equal to it."""


class Usage(NamedTuple):
    """The resource use of a command.

    Attributes:
        cpu_seconds: user and system time.
        peak_rss_megabytes: the greatest resident memory that one of its processes had, of 1,000,000 bytes; None where
            it is indistinguishable from that of orchestra: a process begins with the peak of the one that made it.
    """

    cpu_seconds: float
    peak_rss_megabytes: float | None


def used(counted: resource.struct_rusage, own_peak: int) -> Usage:
    """Return the meaning of the figures of a process. Pure.

    Args:
        counted: by the system, of the process and its descendants.
        own_peak: `ru_maxrss` of the process that started it.
    """
    peak = counted.ru_maxrss * _UNIT
    told = peak > own_peak * _UNIT + _MARGIN_BYTES
    return Usage(round(counted.ru_utime + counted.ru_stime, 6), round(peak / 1e6, 1) if told else None)


def take(popen: subprocess.Popen[bytes], *, wait: bool) -> Usage | None:
    """Take the exit code of a child into its Popen, and give what it used.

    None when it is still alive, or when the exit code was taken before. One thread may do this for a Popen, and no other
    thread may wait for it.

    Args:
        popen: the child.
        wait: for its end, if it has not come yet.
    """
    if popen.returncode is not None:
        return None
    try:
        pid, status, counted = os.wait4(popen.pid, 0 if wait else os.WNOHANG)
    except ChildProcessError:
        return None  # taken elsewhere: `Popen` handles that
    if pid != popen.pid:
        return None
    popen.returncode = os.waitstatus_to_exitcode(status)
    return used(counted, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
