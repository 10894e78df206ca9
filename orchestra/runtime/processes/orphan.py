"""Distinguish orphans, processes that outlived their parents and became our children, from those that we started.

A child subreaper (Linux) gets the orphans of its descendants in place of init, and has to take their
exit codes, without taking one that `subprocess`, multiprocessing or asyncio waits for in the same process.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterable
from typing import Any, Protocol

import psutil

from orchestra.runtime.processes.mark import carries, marks_of

_PR_SET_CHILD_SUBREAPER = 36


class Child(Protocol):
    """A process that we started. Its `returncode` is None until its exit code was taken."""

    pid: int
    returncode: Any


# The children of a process are a fact of the whole process, like `subprocess._active`: which of them we started, which
# came to us as orphans, and which have no environment to read.
_started: dict[int, Child] = {}
_adopted: set[int] = set()
_blank: set[int] = set()

forking = threading.Lock()
"""Held from the birth of a child of ours until `started` knows it."""


def become_subreaper() -> bool:
    """Let orphans of what we start become our children, instead of init's. True where the system can (Linux)."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def started(child: Child) -> None:
    """Record a child as ours: its exit code belongs to its Popen, or to the reaper. The caller holds `forking`."""
    _started[child.pid] = child


def adopt(pids: Iterable[int]) -> None:
    """Record processes of a tree of ours that we did not start: their exit codes may be taken."""
    _adopted.update(pids)


def session_of(pid: int) -> int:
    """Return the session of a process, 0 when it is gone. Zombies still have theirs."""
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def _children() -> list[int] | None:
    """Return every orphan that came to us, and what the main thread started; None where the kernel does not list them.

    Linux gives an orphan to the first living thread of the subreaper (`find_new_reaper` in kernel/exit.c), which is the
    main one, so that the lists of other threads need not be read. This is asked after each command.
    """
    try:
        file = os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY)
    except OSError:
        return None
    found: list[int] = []
    try:
        while block := os.read(file, 65536):
            found += map(int, block.split())
    finally:
        os.close(file)
    return found


def _known() -> set[int]:
    """Return the children that `spawn` started and whose exit code is not yet taken: their numbers cannot be a
    stranger's.
    """
    for pid in [pid for pid, child in _started.items() if child.returncode is not None]:
        del _started[pid]
    return set(_started)


def strays(leader: int, mark: str) -> bool:
    """Return True if something of this tree outlived its leader. Costs microseconds, so that it can be asked for each
    command.

    Everything that a dead leader leaves behind descends from orphans, and its orphans are our children. Where there are
    no subreapers, only the leader's session is looked at; the mark is left to `tree` and to the reaper.
    """
    with forking:
        children = _children()
        if children is None:
            return any(session_of(pid) == leader for pid in psutil.pids() if pid != leader)
        known = _known()
        _blank.intersection_update(children)
        seen = known | _blank
        # A parent that dies while it is looked at is a zombie by now, and its children have become ours: look again.
        while fresh := set(children or ()) - seen:
            marks = marks_of(fresh)
            orphans = {p for p in fresh if session_of(p) == leader or carries(marks.get(p, ""), mark)}
            if orphans:
                _adopted.update(orphans)
                return True
            _blank.update(fresh - set(marks))
            seen |= fresh
            children = _children()
    return False


def reap_strays() -> int:
    """Take the exit codes of orphans that came to us and ended, so that no zombies pile up; how many there were.

    Never the exit code of a child that we or a library (multiprocessing, asyncio) started: a child is either in our
    session or leads its own, so what is in any other session was born elsewhere. An orphan that leads its own session
    looks like a library's child; it is taken only if it was seen alive in a tree of ours, else left to init.
    """
    reaped = 0
    with forking:
        foreign = {pid for pid in set(_children() or ()) - _known() if session_of(pid) not in {pid, 0, session_of(0)}}
        for pid in foreign | _adopted:
            try:
                ended = os.waitpid(pid, os.WNOHANG)[0] == pid
                reaped += ended
            except ChildProcessError:  # its own parent has taken it
                ended = True
            if ended:
                _adopted.discard(pid)
    return reaped
