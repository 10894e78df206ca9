"""The leases of a run: which answer of an engine is the result of which attempt.

An attempt whose node is lost is given up: it has the cause `crash`, and is repeated by the retries of its test. An answer that
comes later has an old lease. It is noted, and is never a result: no verdict is lost, and none is given twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from orchestra.ledger.event import Body, NodeChanged, Note
from orchestra.plan import Method
from orchestra.runtime.attempt import AttemptFailure, Request, Result
from orchestra.runtime.engine.contract import HERE, NO_SLOTS, Beat, Changed, Done, Engine, Message
from orchestra.runtime.servers.matrix import Matrix
from orchestra.runtime.servers.node_matrix import NodeMatrix

LATE = "late_result"
"""The kind of the note of a result with an old lease."""


class _Lease(NamedTuple):
    request: Request
    begun: float


class Leases:
    """Gives an engine attempts, each with a lease, and takes their results. One thread owns it.

    Args:
        engine: carries them out.
        record: records an event.
        clock: monotonic seconds.
    """

    def __init__(
        self, engine: Engine, record: Callable[[Body], object], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._record = record
        self._clock = clock
        self._count = 0
        self._held: dict[str, _Lease] = {}
        self._of: dict[str, str] = {}
        self._ending = False
        self._rows: NodeMatrix | None = None
        self.roots, self.wake = engine.roots, engine.wake
        self.want, self.look = engine.want, engine.look

    def report_to(self, matrix: Matrix) -> None:
        """Let the matrix of the run have what nodes report of their rows."""
        self._rows = matrix if isinstance(matrix, NodeMatrix) else None

    def close(self) -> None:
        """End what still runs, on every node, take what nodes report of their end, and let go of everything."""
        self._engine.close()
        if self._rows is not None:
            for said in self._engine.poll(0.0):
                self._result(said)

    def nodes(self) -> Mapping[str, int]:
        """Return the free slots of each node; less than 0 where attempts wait for one."""
        return self._engine.capacity()

    def free(self) -> int:
        """Return how many further attempts the engine can start at once."""
        return sum(self._engine.capacity().values())

    def slots(self) -> int | None:
        """Return how many attempts all nodes can have at once; None where this machine decides."""
        free = self._engine.capacity()
        return None if HERE in free else sum(free.values()) + len(self._held)

    def place(self, method: Method, held: Mapping[str, int] = NO_SLOTS) -> str:
        """Return the node for the next attempt of a method; empty on this machine, and where none has a free slot.

        Args:
            method: of the plan.
            held: how many slots of each node are held for others.
        """
        node = self._engine.place(method, held)
        return "" if node == HERE else node

    def start(self, request: Request) -> None:
        """Start an attempt. `poll` reports any failure, like its end."""
        self._count += 1
        lease = f"{request.mark}/{self._count}"
        self._held[lease] = _Lease(request, self._clock())
        self._of[request.task] = lease
        self._engine.start(request, lease)

    def poll(self, timeout: float | None) -> list[Result]:
        """Return the attempts that have ended; waits until something happens, or `timeout` seconds are over.

        Raises:
            MachineError: the engine is lost.
        """
        return [result for said in self._engine.poll(timeout) if (result := self._result(said)) is not None]

    def _result(self, said: Message) -> Result | None:
        if isinstance(said, Beat):
            self._record(NodeChanged(node=said.node, state=said.state, message=said.message, slots=said.slots))
            if said.state == "lost" and self._rows is not None:
                self._rows.gone(said.node)
            return None
        if isinstance(said, Changed):
            if self._rows is not None:
                self._rows.take(said.node, said.changes)
            return None
        held = self._held.pop(said.lease, None)
        if held is None:
            self._late(said)
            return None
        request = held.request
        self._of.pop(request.task, None)
        if isinstance(said, Done):
            return said.result if said.node == HERE else msgspec.structs.replace(said.result, node=said.node)
        seconds = self._clock() - held.begun
        if self._ending:
            return Result(request.task, request.attempt, "interrupted", seconds, node=said.node)
        failure = AttemptFailure("crash", f"the node {said.node} was lost: {said.reason}")
        return Result(request.task, request.attempt, "error", seconds, failure, node=said.node)

    def _late(self, said: Message) -> None:
        """Note a result of an attempt that was given up; that such an attempt is lost once more is no news."""
        if isinstance(said, Done):
            result = said.result
            message = f"{said.node} answered for attempt {result.attempt} of {result.task} after it was given up"
            data = {"node": said.node, "task": result.task, "attempt": result.attempt, "outcome": result.outcome}
            self._record(Note(kind=LATE, message=f"{message}: {result.outcome}, which does not count", data=data))

    def end(self, task: str) -> None:
        """End the attempt at a task before its time; `poll` gives what came of it."""
        if task in self._of:
            self._engine.end(self._of[task])

    def stop(self) -> None:
        """End everything that runs; `poll` reports each attempt as interrupted."""
        self._ending = True
        self._engine.stop()
