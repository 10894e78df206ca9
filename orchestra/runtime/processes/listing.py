"""The processes of the machine, with the parent, session and state of each. Imports psutil.

Linux gives it in one small file a process. It is read here because psutil takes three times as long, 30 ms for 360
processes, and every end of a command or service lists the machine four times or more. Elsewhere psutil is asked.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

import psutil

from orchestra.runtime.processes.orphan import session_of

_LINUX = sys.platform.startswith("linux")


class Listed(NamedTuple):
    """A process at one moment.

    Attributes:
        parent: the pid of its parent.
        session: the pid of the leader of its session.
        zombie: True if it has ended and its exit code was not taken.
        started: when it began, in the system's unit; with the pid it names one process for good.
    """

    parent: int
    session: int
    zombie: bool
    started: float


def listed() -> dict[int, Listed]:
    """Return every process of the machine by pid."""
    return {pid: row for pid in psutil.pids() if (row := row_of(pid)) is not None}


def row_of(pid: int) -> Listed | None:
    """Return a process, None if there is none of this pid."""
    if not _LINUX:
        return _asked(pid)
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(descriptor, 4096)
        finally:
            os.close(descriptor)
    except OSError:
        return None
    # See proc(5): the name, in parentheses, may hold any character; fields 3, 4, 6 and 22 are read.
    fields = text[text.rindex(b")") + 2 :].split()
    return Listed(int(fields[1]), int(fields[3]), fields[0] in {b"Z", b"X"}, float(fields[19]))


def _asked(pid: int) -> Listed | None:
    try:
        process = psutil.Process(pid)
        return Listed(process.ppid(), session_of(pid), process.status() == psutil.STATUS_ZOMBIE, process.create_time())
    except psutil.Error:
        return None
