"""The ends of processes, awaited in an event loop. May import `process`."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable

from orchestra.runtime.process import Ending, Process

_EXIT_POLLS = (0.002, 0.005, 0.01, 0.02, 0.05)


async def exit_of(process: Process, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> int:
    """Wait until a process has ended; its exit code, negative for a signal."""
    polls = 0
    while (code := process.popen.poll()) is None:
        await sleep(_EXIT_POLLS[min(polls, len(_EXIT_POLLS) - 1)])
        polls += 1
    return code


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
