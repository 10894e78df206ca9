"""The tests that hold the instances of components with `per: worker`, and the instances that are free. One thread owns it.

A worker here is a number: the instances of all such components with that number belong to one test at a time, from the
grant of its slot to its verdict. Instances that run already come before those that would have to be started.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from orchestra.instances import node_of, used_on_nodes, uses_instance
from orchestra.plan import Component
from orchestra.runtime.engine.contract import NO_SLOTS
from orchestra.runtime.engine.leases import Leases
from orchestra.runtime.run.opening import Task
from orchestra.runtime.servers.matrix import Matrix

_TURN = {"healthy": 0, "idle": 1, "stopped": 1, "starting": 2, "unhealthy": 3, "failed": 4}
"""By the worst state of its instances: which worker a test gets first."""


class Holding:
    """The workers whose instances tests hold.

    Args:
        components: of the plan.
        number: of the workers.
        matrix: has the instances.
    """

    def __init__(self, components: Sequence[Component], number: int, matrix: Matrix) -> None:
        self._components = components
        self._matrix = matrix
        self._workers = range(1, number + 1)
        self._held: dict[str, int] = {}

    def take(self, task: Task) -> bool:
        """Give a task the instances of a worker, or others for those that have failed; whether it has them.

        A task waits while others hold all workers that have not failed. Where none is left, it gets one that has failed.
        """
        if not uses_instance(self._components, task.test):
            return True
        turns = {worker: self._turn(task, worker) for worker in self._workers}
        failed = {worker for worker, turn in turns.items() if turn == _TURN["failed"]}
        if task.name in self._held and task.worker not in failed:
            return True
        self.release(task)
        held = set(self._held.values())
        if failed and self._hopeless(task, turns):
            free = failed - held or failed
        else:
            free = turns.keys() - failed - held
            if not free and turns.keys() - failed:
                return False
            free = free or failed - held or failed
        chosen = min(free, key=lambda worker: (turns[worker], worker))
        task.worker = self._held[task.name] = chosen
        return True

    def release(self, task: Task) -> None:
        """Take back the instances of a task, if it has any."""
        self._held.pop(task.name, None)

    def slots(self) -> Mapping[str, int]:
        """Return that no slot of a node is held."""
        return NO_SLOTS

    def _own(self, task: Task, worker: int) -> list[str]:
        """Return the instances of a worker that a task requires, without the components of which there is one."""
        once = self._matrix.required_by(task.test.requires)
        return [row for row in self._matrix.required_by(task.test.requires, worker) if row not in once]

    def _turn(self, task: Task, worker: int) -> int:
        return max(_TURN[self._matrix.row(row).state] for row in self._own(task, worker))

    def _hopeless(self, task: Task, turns: dict[int, int]) -> bool:
        """Return whether another instance would fail like those that have: none has ever been healthy, and none starts.

        Without this a server that cannot start would be given its time once for each worker.
        """
        if _TURN["starting"] in turns.values():
            return False
        return not any(self._matrix.served(row) for worker in self._workers for row in self._own(task, worker))


class NodeHolding:
    """The nodes whose instances of components with `where: worker` tests use. One thread owns it.

    A test holds a slot of its node while its components start there. From its start on the engine counts the slot.

    Args:
        components: of the plan.
        engine: has the nodes.
        matrix: has the instances.
    """

    def __init__(self, components: Sequence[Component], engine: Leases, matrix: Matrix) -> None:
        self._components, self._engine, self._matrix = components, engine, matrix
        self._held: dict[str, str] = {}

    def take(self, task: Task) -> bool:
        """Give a task a node, or another one for one that is gone or whose instance has failed; whether it has one.

        Where each node has failed ones, it gets one of these.
        """
        if not used_on_nodes(self._components, [task.test]):
            return True
        nodes = {node: slots for node, slots in self._engine.nodes().items() if slots >= 0}
        others = self._slots(but=task.name)
        turns = {node: self._turn(task, node) for node in nodes}
        free = {node for node, slots in nodes.items() if slots > others[node]}
        well = {node for node, turn in turns.items() if turn != _TURN["failed"]}
        if self._held.get(task.name) in free & well:
            return True
        self.release(task)
        if task.method.single_session:  # which stays on its node
            free &= {self._engine.place(task.method, others)}
        elif well:
            free &= well
        choice = free & well or free
        if not choice:
            return False
        task.worker = self._held[task.name] = min(
            choice, key=lambda node: (turns[node], others[node] - nodes[node], node)
        )
        return True

    def release(self, task: Task) -> None:
        """Take back the slot of a task that has not begun."""
        self._held.pop(task.name, None)

    def slots(self) -> Mapping[str, int]:
        """Return how many slots of each node are held for tests that have not begun."""
        return self._slots()

    def _slots(self, but: str = "") -> Counter[str]:
        return Counter(node for name, node in self._held.items() if name != but)

    def _turn(self, task: Task, node: str) -> int:
        rows = self._matrix.required_by(task.test.requires, node)
        return max(_TURN[self._matrix.row(row).state] for row in rows if node_of(row))
