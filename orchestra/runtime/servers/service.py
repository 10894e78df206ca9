"""A service as processes: its command started, its output kept (`journal`), its tree ended."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from orchestra.names import expand
from orchestra.plan import Job, Service
from orchestra.runtime.files import inside
from orchestra.runtime.mask import Masks
from orchestra.runtime.processes.ends import end, exit_of
from orchestra.runtime.processes.orphan import strays
from orchestra.runtime.processes.pipe import Pipe
from orchestra.runtime.processes.process import Process, alive, spawn, tree
from orchestra.runtime.processes.reaper import Reaper
from orchestra.runtime.servers.journal import Journal
from orchestra.runtime.servers.port import Port


@dataclass(frozen=True, slots=True)
class Ground:
    """The common context of every component.

    Attributes:
        root: the project root.
        folder: the run's folder; logs go below `services`.
        mark: the run's tree mark.
        env: what services and jobs inherit.
        masks: take secrets out of logs and reasons.
        reaper: gets every process, so that it ends with a run that is killed.
        clock: monotonic seconds.
        sleep: waits that many seconds.
        rand: a number from 0 to 1.
        place: where a JSON pointer is in the spec, for people; empty when that is not known.
    """

    root: Path
    folder: Path
    mark: str
    env: Mapping[str, str]
    masks: Masks
    reaper: Reaper | None
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    rand: Callable[[], float]
    place: Callable[[str], str] = lambda _: ""


@dataclass(slots=True)
class Running:
    """A process of a component, with what it holds until it has ended.

    Attributes:
        process: the leader.
        pipe: its output.
        port: its reservation, if it has one.
        begun: when it was started, by the monotonic clock.
        known: sockets that are proven to be its own.
    """

    process: Process
    pipe: Pipe
    port: Port | None
    begun: float
    known: frozenset[int] = field(default_factory=frozenset)

    def left(self) -> list[psutil.Process]:
        """Return the living processes of its tree after its leader has ended: a service may fork away."""
        return [one for one in tree(self.process.pid, self.process.mark, reaped=True) if alive(one)]


def start(
    ground: Ground,
    command: Service | Job,
    journal: Journal,
    *,
    mark: str,
    lookup: Callable[[str], str],
    port: Port | None = None,
) -> Running:
    """Start a command in a session of its own, its output to the journal.

    Args:
        ground: the common context.
        command: the service or job.
        journal: gets its output; begun by the caller.
        mark: of this start, unique.
        lookup: gives late names; raises OrchestraError for one that has no value.
        port: its reservation.

    Raises:
        OrchestraError: a name has no value, `cwd` leads out of the project, or the command does not start.
    """
    argv = [expand(word, lookup) for word in command.run]
    if command.shell:
        argv = ["/bin/sh", "-c", *argv]
    own = {name: expand(value, lookup) for name, value in command.env.items()}
    # Python keeps what it writes to a pipe; the last words of one that is killed would be lost.
    env = {"PYTHONUNBUFFERED": "1", **ground.env, **own}
    cwd = inside(command.cwd, ground.root)
    pipe = Pipe(asyncio.get_running_loop(), journal.take, journal.full)
    try:
        process = spawn(argv, cwd=cwd, env=env, stdout=pipe.write_end, mark=mark)
    except BaseException:
        pipe.close()
        raise
    pipe.started()
    if ground.reaper is not None:
        ground.reaper.add(process.pid)
    return Running(process, pipe, port, ground.clock())


async def stop(ground: Ground, running: Running, service: Service | None) -> int:
    """End a process with its whole tree and release its resources; return the number of processes that outlived KILL.

    Args:
        ground: the common context.
        running: the process.
        service: with signal and grace; None for KILL at once.
    """
    sig = signal.Signals[f"SIG{service.stop_signal}"] if service is not None else signal.SIGKILL
    grace = service.grace_seconds if service is not None else 0.0
    survivors = await end(running.process, grace_seconds=grace, sig=sig, clock=ground.clock, sleep=ground.sleep)
    release(ground, running)
    return survivors


def release(ground: Ground, running: Running) -> None:
    """Give back what an ended process held. A second time does nothing."""
    running.pipe.drain()
    running.pipe.close()
    if running.port is not None:
        running.port.release()
        running.port = None
    if ground.reaper is not None:
        ground.reaper.remove(running.process.pid)


async def finish(ground: Ground, running: Running, seconds: float) -> int | None:
    """Wait for the end of a job; its exit code, None when its time was over first. Nothing of it is left."""
    try:
        async with asyncio.timeout(seconds):
            code: int | None = await exit_of(running.process, ground.sleep)
    except TimeoutError:
        code = None
    if code is None or strays(running.process.pid, running.process.mark):
        await stop(ground, running, None)
    release(ground, running)
    return code


def ending(code: int) -> str:
    """Return an exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
