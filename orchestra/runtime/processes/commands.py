"""Short commands, many of them, in the run's one loop: started, watched, bounded in time and output, ended whole.

A command costs little more than a bare Popen, because nothing waits
for it in a thread (pidfd and selectors; a thread only where there is no pidfd) and nothing scans the process table unless
something is left to end.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestra.runtime.mask import StreamMask
from orchestra.runtime.processes.command_log import BLOCK_BYTES, Log
from orchestra.runtime.processes.orphan import become_subreaper, reap_strays, strays
from orchestra.runtime.processes.process import Ended, Ending, Process, end_tree, spawn
from orchestra.runtime.processes.usage import Usage, take

LOG_LIMIT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Job:
    """A command to run.

    Attributes:
        key: the caller's name for it, unique among those that run.
        argv: program and arguments, no shell.
        cwd: the folder in which it runs.
        env: its whole environment.
        log: the file that gets stdout and stderr, appended; its folder exists. Without output it is not made.
        mark: `run/attempt`, see `process`; unique to this job.
        timeout_seconds: after it the whole tree is ended; None for no limit.
        grace_seconds: from TERM to KILL, at a timeout and for what a command leaves behind.
        log_limit_bytes: output beyond it is read and dropped, with a note in the log.
        mask: takes secrets out of what is logged; one for this job alone.
    """

    key: str
    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    log: Path
    mark: str
    timeout_seconds: float | None = None
    grace_seconds: float = 5.0
    log_limit_bytes: int = LOG_LIMIT_BYTES
    mask: StreamMask | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The result of a job.

    Attributes:
        key: the job's.
        exit_code: None when a signal ended it.
        signal: the number of that signal, else None.
        timed_out: its time was over before it ended.
        stopped: `Commands.stop` ended it.
        seconds: from the start to the end of the main process.
        log: the file with its output; there is none where it had none.
        log_bytes: how much output there was, with what was dropped.
        log_foreign: something else wrote to the log, too.
        log_error: why the log is not complete ("" when it is): over its limit, or the disk refused it.
        left_behind: processes that were alive after the main process had ended by itself, and were ended then.
        survivors: processes that outlived KILL.
        usage: what it used; None where a thread waits for it (no pidfd), or where it outlived KILL.
    """

    key: str
    exit_code: int | None
    signal: int | None
    timed_out: bool
    stopped: bool
    seconds: float
    log: Path
    log_bytes: int
    log_error: str
    log_foreign: bool
    left_behind: int
    survivors: int
    usage: Usage | None = None


@dataclass(slots=True)
class _Running:
    """A job between its start and its `Finished`."""

    job: Job
    process: Process
    log: Log
    exit_fd: int
    begun: float
    ended: float | None = None
    timed_out: bool = False
    stopped: bool = False
    ending: Ending | None = None
    watched: set[int] = field(default_factory=set)

    def due(self) -> float | None:
        """Return the next time at which the clock matters here."""
        if self.ending is not None:
            return self.ending.due
        return None if self.job.timeout_seconds is None else self.begun + self.job.timeout_seconds


def _exit_fd(process: Process, *, pidfd: bool) -> int:
    """Return a file descriptor that becomes readable when the process ends."""
    if pidfd:
        return os.pidfd_open(process.pid)
    reading, writing = os.pipe()

    def wait() -> None:
        process.popen.wait()
        os.close(writing)

    threading.Thread(target=wait, name=f"wait for {process.pid}", daemon=True).start()
    return reading


def _has_pidfd() -> bool:
    """Linux 5.3 and later; a container's filter may refuse it."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


class Commands:
    """Runs jobs side by side. One thread owns it; only `wake` and `pids` may be called from others and from signal handlers.

    Args:
        clock: monotonic seconds.
        pidfd: watch by pidfd where the system has it; False watches with a thread each, as elsewhere.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, pidfd: bool = True) -> None:
        become_subreaper()
        self._clock = clock
        self._pidfd = pidfd and _has_pidfd()
        self._running: dict[str, _Running] = {}
        self._selector = selectors.DefaultSelector()
        self._waking = threading.RLock()  # a signal handler may wake the thread that holds it
        self._woken, self._waker = os.pipe()
        for end in (self._woken, self._waker):
            os.set_blocking(end, False)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def __len__(self) -> int:
        return len(self._running)

    def pids(self) -> list[tuple[str, int]]:
        """Return the key of each job that runs, with the id of its process. Any thread may ask."""
        return [(key, running.process.pid) for key, running in list(self._running.items())]

    def start(self, job: Job) -> Process:
        """Start a job. A later `poll` reports its end.

        Raises:
            MachineError: it cannot be started; nothing is left of it.
            OSError: there are too many open files.
            ValueError: a job of this key runs already.
        """
        if job.key in self._running:
            raise ValueError(f"job {job.key!r} runs already")
        reading, writing = os.pipe()
        log = Log(reading, job.log, job.log_limit_bytes, job.mask)
        begun = self._clock()
        try:
            process = spawn(job.argv, cwd=job.cwd, env=job.env, stdout=writing, stderr=subprocess.STDOUT, mark=job.mark)
        except BaseException:
            log.close()
            raise
        finally:
            os.close(writing)
        os.set_blocking(reading, False)
        try:
            exit_fd = _exit_fd(process, pidfd=self._pidfd)
        except BaseException:  # without a file descriptor or thread no one would ever end it
            end_tree(process, grace_seconds=0)
            log.close()
            raise
        running = _Running(job, process, log, exit_fd, begun)
        self._running[job.key] = running
        self._watch(running, running.exit_fd)
        self._watch(running, reading)
        return process

    def stop(self, key: str) -> None:
        """End the tree of a running job; `poll` reports its end. Nothing happens for one that has ended."""
        running = self._running.get(key)
        if running is not None and running.ended is None:
            running.stopped = True
            self._begin_ending(running)

    def wake(self) -> None:
        """Let a `poll` that waits, or the next one, return at once; after `close` do nothing.

        Safe in other threads and in signal handlers.
        """
        with self._waking, contextlib.suppress(BlockingIOError):  # full: it is awake already
            if self._waker >= 0:
                os.write(self._waker, b"!")

    def poll(self, timeout: float | None) -> list[Finished]:
        """Wait until a job has ended, `wake` was called, or `timeout` seconds are over (None waits for ever).

        A signal handler that returns does not end the wait (PEP 475): it calls `wake`.
        """
        finished: list[Finished] = []
        end = None if timeout is None else self._clock() + timeout
        while True:
            dues = [due for running in self._running.values() if (due := running.due()) is not None]
            dues += [] if end is None else [end]
            wait = max(0.0, min(dues) - self._clock()) if dues else None
            woken = False
            for key, _ in self._selector.select(wait):
                if key.data is None:
                    woken = True
                    os.read(self._woken, BLOCK_BYTES)
                else:
                    self._handle(key.data, key.fd, finished)
            self._fire(finished)  # after the events: what ended in time is no timeout because its loop was busy
            if finished or woken or (end is not None and self._clock() >= end):
                return finished

    def close(self) -> list[Finished]:
        """End all that still runs, wait for it, and let go of the file descriptors."""
        finished: list[Finished] = []
        for key in list(self._running):
            self.stop(key)
        while self._running:
            finished += self.poll(None)
        reap_strays()
        self._selector.close()
        os.close(self._woken)
        with self._waking:  # its number may soon be that of another file
            waker, self._waker = self._waker, -1
            os.close(waker)
        return finished

    def _watch(self, running: _Running, file: int) -> None:
        self._selector.register(file, selectors.EVENT_READ, running)
        running.watched.add(file)

    def _unwatch(self, running: _Running, file: int) -> None:
        if file in running.watched:
            running.watched.remove(file)
            self._selector.unregister(file)

    def _handle(self, running: _Running, file: int, finished: list[Finished]) -> None:
        """Handle a readable file descriptor of a job: output, or the end of the main process."""
        if file not in running.watched:
            return  # its job was finished by another event of the same round
        if file == running.log.pipe:
            if not running.log.drain(blocks=1):
                self._unwatch(running, file)
            return
        running.ended = self._clock()
        self._unwatch(running, file)
        if running.ending is not None:
            return
        # The leader stays a zombie while its tree is looked for, so that its number stays its own.
        if strays(running.process.pid, running.process.mark):
            self._begin_ending(running)
        else:
            self._finish(running, Ended(0, 0), finished)

    def _begin_ending(self, running: _Running) -> None:
        if running.ending is None:
            running.ending = Ending(
                running.process, grace_seconds=running.job.grace_seconds, now=self._clock(), sig=signal.SIGTERM
            )

    def _fire(self, finished: list[Finished]) -> None:
        """Do what is due by the clock."""
        now = self._clock()
        for running in list(self._running.values()):
            due = running.due()
            if due is None or now < due:
                continue
            if running.ending is None:
                running.timed_out = True
                self._begin_ending(running)
            if running.ending is not None and (ended := running.ending.step(now)) is not None:
                self._finish(running, ended, finished)

    def _finish(self, running: _Running, ended: Ended, finished: list[Finished]) -> None:
        """Take the exit code and the rest of the output, once the tree is gone."""
        popen = running.process.popen
        # A main process that outlived KILL is not waited for; its exit code stays unknown.
        usage = take(popen, wait=not ended.survivors) if self._pidfd else None
        code = popen.poll() if ended.survivors else popen.wait()
        running.log.drain(blocks=16 + running.job.log_limit_bytes // BLOCK_BYTES)
        for file in list(running.watched):
            self._unwatch(running, file)
        running.log.close()
        os.close(running.exit_fd)
        reap_strays()
        alone = not (running.timed_out or running.stopped)
        finished.append(
            Finished(
                key=running.job.key,
                exit_code=code if code is not None and code >= 0 else None,
                signal=-code if code is not None and code < 0 else None,
                timed_out=running.timed_out,
                stopped=running.stopped,
                seconds=(self._clock() if running.ended is None else running.ended) - running.begun,
                log=running.job.log,
                log_bytes=running.log.size,
                log_error=running.log.error,
                log_foreign=running.log.foreign,
                left_behind=ended.killed + ended.survivors if alone else 0,
                survivors=ended.survivors,
                usage=usage,
            )
        )
        del self._running[running.job.key]
