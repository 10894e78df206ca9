"""Warm worker processes that carry out tests with steps.

A worker is `python -m orchestra.runtime.worker FILE`: one request per line on its stdin, one result per line on its stdout,
one at a time, with a browser that stays warm between tests. Each leads a session of its own and ends when its stdin is
closed, so it never outlives the run; a hanging one is ended with its whole tree (docs/decisions/003-workers.md has the
reason against a pool library).
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import msgspec

from orchestra import nofollow
from orchestra.ledger.running_step import SUFFIX
from orchestra.runtime.attempt import (
    BEGUN,
    AttemptFailure,
    Request,
    Result,
    held_seconds,
    most_seconds,
    opening_seconds,
)
from orchestra.runtime.early_end import END
from orchestra.runtime.engine.spare import Kind, Spares, Started, start
from orchestra.runtime.mask import Masks
from orchestra.runtime.pausing import PAUSED, REPLY, TRY_LIMIT_SECONDS, Paused, Pauser, Reply
from orchestra.runtime.processes.masked_log import MaskedLog
from orchestra.runtime.processes.reaper import Reaper

START_SECONDS = 120.0
"""The limit until the time of an attempt begins: the start of a worker and of its browser."""

KILL_SECONDS = 2.0
"""The limit for ending a worker that hangs."""

END_SECONDS = 45.0
"""The time that a worker has to end an attempt on request: one call to the MCP server, `finally`, evidence."""


@dataclass(slots=True)
class _Worker:
    """A worker process and the request that it works on."""

    started: Started
    kind: Kind
    log: Path
    request: Request | None = None
    begun: float = 0.0
    due: float = 0.0
    starting: bool = False
    asked: bool = False
    stopped: bool = False
    dead: threading.Event = field(default_factory=threading.Event)


class Workers:
    """Starts workers as they are needed and hands them requests. One thread owns it; readers only fill the inbox.

    Args:
        environment: what a worker inherits.
        root: the project root, its working folder.
        logs: the folder for the workers' own output.
        mark: the run's tree mark.
        reaper: gets each worker.
        wake: called when a result has come, from another thread.
        masks: takes secrets out of the workers' own output.
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
        logs: Path,
        mark: str,
        reaper: Reaper,
        wake: Callable[[], None],
        masks: Masks,
        pauser: Pauser | None = None,
        leave: Callable[[], None] = lambda: None,
        spares: Spares | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._environment = environment
        self._root = root
        self._pauser, self._leave = pauser, leave
        self._replies: deque[tuple[Request, Reply]] = deque()
        self._logs = logs
        self._mark = mark
        self._reaper = reaper
        self._wake = wake
        self._masks = masks
        self._logs_open: list[MaskedLog] = []
        self._clock = clock
        self._spares = spares
        self._latest: dict[Kind, Request] = {}
        self._workers: list[_Worker] = []
        self._inbox: deque[tuple[_Worker, bytes]] = deque()
        self._started = 0

    def start(self, request: Request) -> None:
        """Hand a request to an idle worker of its method and browser, or to a new one.

        Raises:
            MachineError: a worker cannot be started.
        """
        engine = request.browser.engine if request.browser is not None else ""
        kind = (request.method.id, engine)
        worker = next((one for one in self._workers if one.request is None and one.kind == kind), None)
        if worker is None:
            worker = self._new(kind)
        worker.request = self._latest[kind] = request
        worker.begun = self._clock()
        worker.due = worker.begun + START_SECONDS + opening_seconds(request.login)
        worker.starting, worker.asked = True, False
        try:
            worker.started.outbox.send(msgspec.json.encode(request) + b"\n")
        except OSError:
            self._inbox.append((worker, b""))  # it died while idle: reported as a crash of this attempt
            self._wake()

    def _new(self, kind: Kind) -> _Worker:
        self._started += 1
        log = self._logs / f"worker-{self._started}.log"
        spare = None if self._spares is None else self._spares.take(kind, self._environment)
        started = self._start(log) if spare is None else self._adopted(spare, log)
        self._reaper.add(started.process.pid)
        worker = _Worker(started, kind, log)
        self._workers.append(worker)
        name = f"worker-{self._started}"
        threading.Thread(target=self._read, args=(worker, started.stdout), name=name, daemon=True).start()
        return worker

    def _start(self, log: Path) -> Started:
        output = MaskedLog(log, self._masks.stream())
        self._logs_open.append(output)
        steps, mark = log.with_suffix(SUFFIX), f"{self._mark}/worker-{self._started}"
        try:
            return start(self._environment, self._root, steps, output.file, mark)
        finally:
            output.started()

    def _adopted(self, spare: Started, log: Path) -> Started:
        """Let a spare worker write its output and its steps where those of this run are."""
        self._logs_open.append(MaskedLog(log, self._masks.stream(), spare.errors))
        with suppress(OSError):  # a disk without links costs a display
            os.link(spare.steps, log.with_suffix(SUFFIX))
        return spare

    def _read(self, worker: _Worker, stdout: IO[bytes]) -> None:
        with stdout:
            for line in stdout:
                self._inbox.append((worker, line))
                self._wake()
        worker.dead.set()
        self._inbox.append((worker, b""))
        self._wake()

    def roots(self) -> dict[str, list[int]]:
        """Return the ids of the processes of the workers, by the names of their logs. Any thread may ask."""
        return {worker.log.stem: [worker.started.process.pid] for worker in list(self._workers)}

    def due(self) -> float | None:
        """Return the time by which the next worker must have answered; None if none works, or a person is asked."""
        due = min((worker.due for worker in self._workers if worker.request is not None), default=math.inf)
        return None if due == math.inf else due

    def collect(self) -> list[Result]:
        """Return the results that have come, those of workers that died, and those of workers that hang and are ended
        now.
        """
        results = []
        while self._replies:
            self._reply(*self._replies.popleft())
        while self._inbox:
            worker, line = self._inbox.popleft()
            request = worker.request
            if line.strip() == BEGUN and request is not None:
                now, worker.starting = self._clock(), False
                worker.due = self._due(request, now) if not worker.asked else worker.due
            elif line.startswith(PAUSED) and request is not None:
                worker.due = math.inf if not worker.asked else worker.due
                self._ask(request, msgspec.json.decode(line.removeprefix(PAUSED), type=Paused))
            elif line and request is not None:
                self._over(request)
                worker.request = None
                results.append(msgspec.json.decode(line, type=Result))
            elif not line and worker in self._workers:
                results += self._lose(worker)
        now = self._clock()
        for worker in [one for one in self._workers if one.request is not None and now >= one.due]:
            results += self._lose(worker, hung=True)
        return results

    def _ask(self, request: Request, paused: Paused) -> None:
        """Let a person decide about an attempt that waits."""

        def answer(reply: Reply) -> None:
            self._replies.append((request, reply))
            self._wake()

        if self._pauser is not None:
            self._pauser.ask(paused, answer)

    def _reply(self, request: Request, reply: Reply) -> None:
        """Send the decision of a person to the worker of an attempt, whose time begins again."""
        if reply.action == "quit":
            self._leave()
            return
        for worker in self._workers:
            if worker.request is request:
                seconds = TRY_LIMIT_SECONDS * len(reply.steps)
                worker.due = self._due(request, self._clock()) + seconds if not worker.asked else worker.due
                with suppress(OSError):  # it is gone, which its reader has noticed
                    worker.started.outbox.send(REPLY + msgspec.json.encode(reply) + b"\n")

    def _over(self, request: Request) -> None:
        if self._pauser is not None:
            self._pauser.over(request.task)

    @staticmethod
    def _due(request: Request, begun: float) -> float:
        """Return when an attempt must have ended that began then."""
        return begun + most_seconds(request.test) + held_seconds(request) - KILL_SECONDS

    def _lose(self, worker: _Worker, *, hung: bool = False) -> list[Result]:
        """Take a worker out, with all of its tree; its request, if any, gets a result."""
        self._workers.remove(worker)
        self._end(worker)
        request = worker.request
        if request is None:
            return []
        self._over(request)
        seconds = self._clock() - worker.begun
        if worker.stopped:
            return [Result(request.task, request.attempt, "interrupted", seconds)]
        if hung and worker.starting:
            message = f"the worker and its browser did not start within {seconds:.0f} s, and were ended"
            return [Result(request.task, request.attempt, "error", seconds, AttemptFailure("crash", message))]
        if hung:
            message = f"the worker did not answer within {seconds:.0f} s and was ended with its browser"
            return [Result(request.task, request.attempt, "timeout", seconds, AttemptFailure("timeout", message))]
        message = f"the worker died (exit {worker.started.process.popen.returncode})"
        hint = f"its own output is in {worker.log.name}"
        return [Result(request.task, request.attempt, "error", seconds, AttemptFailure("crash", message, hint=hint))]

    def end(self, task: str) -> None:
        """Let the worker of a task end its attempt; one that does not is ended itself a while later."""
        for worker in self._workers:
            if worker.request is not None and worker.request.task == task:
                worker.due, worker.asked = min(worker.due, self._clock() + END_SECONDS), True
                with suppress(OSError):  # it is gone, which its reader has noticed
                    worker.started.outbox.send(END + b"\n")

    def _end(self, worker: _Worker) -> None:
        """End a worker with all of its tree, and remove what its browser and MCP server wrote for themselves."""
        worker.started.end()
        self._reaper.remove(worker.started.process.pid)
        with suppress(OSError):
            nofollow.unlink(worker.log.with_suffix(SUFFIX))

    def stop(self) -> None:
        """End every worker that works; the next `collect` reports their attempts as interrupted."""
        for worker in list(self._workers):
            if worker.request is not None:
                worker.stopped = True
                self._inbox.append((worker, b""))
        self._wake()

    def close(self) -> None:
        """Let idle workers end by themselves, briefly; end the rest. None is left."""
        for worker in self._workers:
            worker.started.outbox.close()
        for worker in self._workers:
            if worker.request is None:
                worker.dead.wait(timeout=5.0)
            self._end(worker)
        self._workers.clear()
        if self._spares is not None:
            for kind, request in self._latest.items():
                self._spares.prepare(kind, self._environment, request)
        for log in self._logs_open:
            log.join()
