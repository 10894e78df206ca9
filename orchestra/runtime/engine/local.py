"""Carries out attempts here: commands in the loop itself, steps in warm workers.

`DRIVERS` is the registry of drivers that need neither.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from orchestra.errors import OrchestraError
from orchestra.plan import Command, Method
from orchestra.runtime.attempt import AttemptFailure, Request, Result
from orchestra.runtime.engine.contract import HERE, NO_SLOTS, UNBOUNDED, Done
from orchestra.runtime.engine.job import job_of, result_of
from orchestra.runtime.engine.reported import Stamp, stamp
from orchestra.runtime.engine.spare import Spares
from orchestra.runtime.engine.workers import Workers
from orchestra.runtime.mask import Masks
from orchestra.runtime.pausing import Pauser
from orchestra.runtime.processes.commands import Commands, Finished
from orchestra.runtime.processes.reaper import Reaper

Driver: TypeAlias = Callable[[Request], Result]

DRIVERS: dict[str, Driver] = {}
"""Drivers that answer at once, by the name that a method gives: they run in the loop itself, so they must not wait.

None of ours is here. It is where a program that embeds a run registers its own, as the benchmark of what a test costs that
does nothing.
"""


class Local:
    """One loop over everything that runs. One thread owns it; `wake` may be called from anywhere.

    Args:
        environment: what commands and workers inherit.
        root: the project root.
        folder: the run's own folder.
        mark: the run's tree mark.
        reaper: gets the workers; commands are found by their marks.
        masks: takes secrets out of logs.
        pauser: asks a person about an attempt that pauses; None if none does.
        leave: called when that person ends the run.
        spares: workers that outlive a run; None if none does.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        root: Path,
        folder: Path,
        mark: str,
        reaper: Reaper,
        masks: Masks,
        pauser: Pauser | None = None,
        leave: Callable[[], None] = lambda: None,
        spares: Spares | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._environment = environment
        self._clock = clock
        self._masks = masks
        self._commands = Commands(clock=clock)
        self._leases: dict[str, str] = {}
        self._requests: dict[str, tuple[Request, Stamp | None]] = {}
        self._results: list[Result] = []
        self._read_since: deque[Result | Exception] = deque()
        self._workers = Workers(
            environment,
            root=root,
            logs=folder / "workers",
            mark=mark,
            reaper=reaper,
            wake=self._commands.wake,
            masks=masks,
            pauser=pauser,
            leave=leave,
            spares=spares,
            clock=clock,
        )

    def roots(self) -> dict[str, list[int]]:
        """Return the ids of the processes at the top of what runs: of each worker, and of the commands of each method.

        Any thread may ask.
        """
        roots = self._workers.roots()
        for task, pid in self._commands.pids():
            roots.setdefault(f"{task.partition(':')[0]} commands", []).append(pid)
        return roots

    def wake(self) -> None:
        """Let a `poll` that waits return. Safe in other threads and in signal handlers."""
        self._commands.wake()

    def capacity(self) -> Mapping[str, int]:
        """Return the free slots of this machine: `slots` bounds what runs at once, and not the engine."""
        return {HERE: UNBOUNDED}

    def place(self, method: Method, held: Mapping[str, int] = NO_SLOTS) -> str:
        """Return this machine, whatever the method."""
        del method, held
        return HERE

    def want(self, node: str, components: Sequence[str]) -> None:
        """Do nothing: this machine has no rows but those of the run."""

    def look(self, node: str, components: Sequence[str], done: Callable[[], None]) -> None:
        """Call `done`: as for `want`."""
        del node, components
        done()

    def start(self, request: Request, lease: str) -> None:
        """Start an attempt. `poll` reports any failure, like its end."""
        self._leases[request.task] = lease
        command = request.test.command
        driver = DRIVERS.get(request.method.driver)
        try:
            if driver is not None:
                self._results.append(driver(request))
            elif command is None:
                self._workers.start(request)
            else:
                before = stamp(request, command)
                self._commands.start(job_of(request, command, self._environment, self._masks.stream()))
                self._requests[request.task] = (request, before)
        except OrchestraError as error:
            at = (f"/tests/{request.test.of or request.test.id}",)
            failure = AttemptFailure("setup", error.message, pointers=at, hint=error.hint)
            self._results.append(Result(request.task, request.attempt, "error", 0.0, failure))

    def poll(self, timeout: float | None) -> list[Done]:
        """Return the attempts that have ended; waits until one has, `wake` was called, or `timeout` seconds are over."""
        return [Done(self._leases.pop(result.task, ""), result) for result in self._ended(timeout)]

    def _ended(self, timeout: float | None) -> list[Result]:
        results, self._results = self._results, []
        results += self._workers.collect()
        due = self._workers.due()
        if due is not None:
            left = max(0.0, due - self._clock())
            timeout = left if timeout is None else min(timeout, left)
        for finished in self._commands.poll(0.0 if results else timeout):
            request, before = self._requests.pop(finished.key)
            command = request.test.command
            if command is None:
                continue
            if command.report or command.attach:  # the command decides how much there is to read
                words = (request, command, finished, before)
                threading.Thread(target=self._read, args=words, name=request.task, daemon=True).start()
            else:
                results.append(self._result(request, command, finished, before))
        while self._read_since:
            late = self._read_since.popleft()
            if isinstance(late, Exception):
                raise late
            results.append(late)
        return results + self._workers.collect()

    def _read(self, request: Request, command: Command, finished: Finished, before: Stamp | None) -> None:
        """Make the result of a command that wrote files, in a thread of its own."""
        try:
            self._read_since.append(self._result(request, command, finished, before))
        except Exception as error:  # noqa: BLE001 - the thread of the loop raises it
            self._read_since.append(error)
        self._commands.wake()

    def _result(self, request: Request, command: Command, finished: Finished, before: Stamp | None) -> Result:
        return result_of(request, command, finished, before, self._masks.text, growing=self._masks.grow)

    def end(self, lease: str) -> None:
        """End an attempt before its time; `poll` gives what came of it."""
        task = next((task for task, held in self._leases.items() if held == lease), "")
        if task in self._requests:
            self._commands.stop(task)
        else:
            self._workers.end(task)

    def stop(self) -> None:
        """End everything that runs; `poll` reports each attempt as interrupted."""
        for task in self._requests:
            self._commands.stop(task)
        self._workers.stop()

    def close(self) -> None:
        """End what still runs and let go of everything."""
        self._workers.close()
        self._commands.close()
        self._requests.clear()
