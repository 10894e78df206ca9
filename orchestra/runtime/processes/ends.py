"""The ends of processes, awaited in an event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable

from orchestra.runtime.processes.process import Ending, Process

_EXIT_POLLS = (0.002, 0.005, 0.01, 0.02, 0.05)


async def exit_of(process: Process, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> int:
    """Wait until a process has ended; its exit code, negative for a signal.

    Linux notifies the end itself, so that a service that is watched for hours costs nothing; elsewhere it is polled,
    ever more slowly.
    """
    if (code := process.popen.poll()) is None:
        await end_of(process.pid)
    polls = 0
    while (code := process.popen.poll()) is None:
        await sleep(_EXIT_POLLS[min(polls, len(_EXIT_POLLS) - 1)])
        polls += 1
    return code


async def end_of(pid: int, living: Callable[[], bool] = lambda: True) -> bool:
    """Wait until the kernel reports that a process has ended; return False at once if it does not report that.

    Args:
        pid: of the process.
        living: whether it is still the one that is meant; asked when its number can no longer become another's.
    """
    if sys.platform != "linux":
        return False
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    except OSError:  # a kernel older than 5.3, a sandbox that forbids it, no file descriptor left
        return False
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    try:
        if not living():
            return True
        loop.add_reader(descriptor, ended.set)
    except OSError:  # it gives such a descriptor and cannot wait for it
        return False
    else:
        try:
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
    finally:
        os.close(descriptor)
    return True


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
