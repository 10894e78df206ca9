"""A service as processes: its command started, its output kept, its tree ended.

Output goes through a pipe into `<folder>/services/<id>.log`, each block with the time of its arrival, secrets masked,
in two files of bounded size of which the second is the older half. The last lines are available for messages.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

from orchestra import nofollow
from orchestra.names import expand
from orchestra.plan import Job, Service
from orchestra.runtime.bounded import patterns
from orchestra.runtime.bounded.patterns import PatternError
from orchestra.runtime.files import inside
from orchestra.runtime.mask import Masks
from orchestra.runtime.processes.ends import end, exit_of
from orchestra.runtime.processes.orphan import strays
from orchestra.runtime.processes.pipe import Pipe
from orchestra.runtime.processes.process import Process, alive, spawn, tree
from orchestra.runtime.processes.reaper import Reaper
from orchestra.runtime.servers.port import Port
from orchestra.runtime.terminal import Lines, seen

LOG_LIMIT_BYTES = 8 * 1024 * 1024
SEARCHED_LETTERS = 1024 * 1024
"""So much of the output waits to be searched for what a log probe wants; then the service waits, too."""

_MOST_TIMES = 8
"""Should it come in spite of that, because all is wanted at once, the oldest is not searched beyond so many times that."""

_LINE_LIMIT = 64 * 1024
_TAIL_LINES = 8
SILENCE_SECONDS = 1.0
"""The silence after an unterminated line until it counts as a line."""

_TAIL_WIDTH = 300


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


class Journal:
    """The output of one component over all its starts: a log of bounded size, its last lines, and the matches in it.

    Args:
        path: of the log; its folder is created. The older half is next to it, with the suffix `.1`.
        masks: take secrets out of what is written.
        limit: of each of the two files, in bytes.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        path: Path,
        masks: Masks,
        limit: int = LOG_LIMIT_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._masks = masks
        self._stream = masks.stream()
        self._limit = limit
        self._clock = clock
        self._file = -1
        self._size = 0
        self._decoder = _decoder()
        self._shown = _decoder()
        self._rest = ""
        self._tail: list[str] = []
        self._watched: dict[str, Mapping[str, str] | PatternError | None] = {}
        self._lines = Lines()
        self._came = 0.0
        self._unsearched = ""
        self._searched = 0
        self._search: asyncio.Task[None] | None = None
        self._half = ""

    def begin(self, note: str, watched: tuple[str, ...] = ()) -> None:
        """Begin a new start: earlier output no longer counts.

        Args:
            note: a line of ours for the log.
            watched: regular expressions to look for in the output, line by line.
        """
        self._flush()
        self._tail = []
        self._watched = dict.fromkeys(watched)
        self._lines, self._half = Lines(), ""
        self._unsearched, self._searched = "", 0
        self._write(f"[{self._masks.text(note)}]\n")

    def take(self, block: bytes) -> None:
        """Output of the service."""
        new = self._decoder.decode(block)
        self._came = self._clock()
        if self._waiting():
            self._unsearched += "".join(f"{line}\n" for line in self._lines.feed(new))
            self._lines.rest = self._lines.rest[-_LINE_LIMIT:]
            self._skip(self._searched + len(self._unsearched) - _MOST_TIMES * SEARCHED_LETTERS)
            if self.full() and (self._search is None or self._search.done()):
                with contextlib.suppress(RuntimeError):  # no loop runs, so nothing waits
                    self._search = asyncio.get_running_loop().create_task(self._look())
        self._put(block if self._stream is None else self._stream.feed(block))

    def _put(self, block: bytes) -> None:
        """Write the whole lines of an output without secrets."""
        text = self._rest + self._shown.decode(block)
        whole, newline, self._rest = text.rpartition("\n")
        if len(self._rest) > _LINE_LIMIT:
            whole, newline, self._rest = text, "\n", ""
        if newline:
            self._tail = [*self._tail, *whole.rsplit("\n", _TAIL_LINES)[-_TAIL_LINES:]][-_TAIL_LINES:]
            self._write(whole + "\n")

    def _waiting(self) -> list[str]:
        """Return the patterns that were not found yet."""
        return [pattern for pattern, groups in self._watched.items() if groups is None]

    def _skip(self, place: int) -> None:
        """Stop searching the output before a position."""
        if place > self._searched:
            self._unsearched, self._searched = self._unsearched[place - self._searched :], place

    def full(self) -> bool:
        """Return True if so much waits to be searched that no more is to be taken."""
        return len(self._unsearched) > SEARCHED_LETTERS

    def _half_line(self) -> str:
        """Return the line without an end, once it has been one for a while: it may be half of what is to come."""
        half = self._lines.rest if self._clock() - self._came >= SILENCE_SECONDS else ""
        if half == self._half:  # searched before
            return ""
        self._half = half
        return seen(half)

    async def said(self, pattern: str) -> Mapping[str, str] | None:
        """Return the named groups of a pattern's first match since the start, None when there is none.

        Lines are searched as a person sees them; one without an end, after a silence.

        Raises:
            PatternError: it cannot be searched for.
        """
        watched = self._watched
        await self._look()
        known = watched.get(pattern)
        if isinstance(known, PatternError):
            raise known
        return known

    async def _look(self) -> None:
        """Search what came since the last time."""
        watched, text, begin = self._watched, self._unsearched + self._half_line(), self._searched
        for one in self._waiting() if text else ():
            try:
                groups = await asyncio.to_thread(patterns.groups, one, text, lines=True)
            except PatternError as error:
                watched[one] = error
            else:
                watched[one] = groups
        if watched is self._watched:  # it was not started again meanwhile
            self._skip(begin + text.rfind("\n") + 1)
            if not self._waiting():
                self._unsearched = ""

    def last_lines(self) -> str:
        """Return the end of the output, for a message; empty when there was none."""
        held = b"" if self._stream is None else self._stream.held()
        rest = (self._rest + held.decode(errors="replace")).split("\n")
        lines = [*self._tail, *(line for line in rest if line.strip())][-_TAIL_LINES:]
        shown = [seen(line).rstrip("\r").rpartition("\r")[2] for line in lines]
        return "\n".join(line[:_TAIL_WIDTH] for line in shown if line.strip())

    def close(self) -> None:
        """Write what is left and close the log."""
        self._flush()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _flush(self) -> None:
        if self._stream is not None:
            self._put(self._stream.finish())
        self._decoder.reset()
        self._shown.reset()
        if self._rest:
            rest, self._rest = self._rest, ""
            self._write(rest + "\n")

    def _write(self, lines: str) -> None:
        """Add whole lines, with the time. A disk that refuses costs the log, never the service."""
        stamp = datetime.now(UTC).strftime("%H:%M:%S.%f")[:-3]
        data = (f"{stamp} " + lines[:-1].replace("\n", f"\n{stamp} ") + "\n").encode(errors="replace")
        try:
            if self._file >= 0 and self._size + len(data) > self._limit:
                os.close(self._file)
                self._file = -1
                nofollow.replace(self.path, self.path.with_name(f"{self.path.name}.1"))
            if self._file < 0:
                self._file = nofollow.open_file(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, make=True)
                self._size = os.fstat(self._file).st_size
            os.write(self._file, data)
            self._size += len(data)
        except OSError:
            return


def _decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")("replace")


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
