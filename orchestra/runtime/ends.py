"""The ends of processes, awaited in an event loop. May import `process`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable

from orchestra.runtime.process import Ending, Process

_EXIT_POLLS = (0.002, 0.005, 0.01, 0.02, 0.05)


async def exit_of(process: Process, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> int:
    """Wait until a process has ended; its exit code, negative for a signal.

    Linux tells of the end itself, so that a service that is watched for hours costs nothing; elsewhere it is asked for,
    ever more slowly.
    """
    if (code := process.popen.poll()) is None:
        await _told(process.pid)
    polls = 0
    while (code := process.popen.poll()) is None:
        await sleep(_EXIT_POLLS[min(polls, len(_EXIT_POLLS) - 1)])
        polls += 1
    return code


async def _told(pid: int) -> None:
    """Wait until the kernel says that a child of ours has ended; returns at once where it does not say so.

    Args:
        pid: of a child that was not waited for yet, so that the number is its own.
    """
    if sys.platform != "linux":
        return
    try:
        end = os.pidfd_open(pid)
    except OSError:  # a kernel older than 5.3, a sandbox that forbids it, no file descriptor left
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(end, ended.set)
    except OSError:  # it gives such a descriptor and cannot wait for it
        os.close(end)
        return
    try:
        await ended.wait()
    finally:
        loop.remove_reader(end)
        os.close(end)


async def end(
    process: Process,
    *,
    grace_seconds: float,
    sig: signal.Signals = signal.SIGTERM,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> int:
    """End a process and all that belongs to it; how many outlived KILL. At most the grace and five seconds."""
    ending = Ending(process, grace_seconds=grace_seconds, now=clock(), sig=sig)
    while (ended := ending.step(clock())) is None:
        await sleep(max(0.0, ending.due - clock()))
    process.popen.poll()
    return ended.survivors
