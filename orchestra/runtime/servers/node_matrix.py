"""The health matrix of a run on a cluster: the rows of the machine of the run, and those of each node, as it reports them.

A node starts, watches, recovers and ends its own instances of components with `where: worker`, by a matrix of its own. The run
asks for them, and takes each change of their rows into its record as one of `app@n1`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import msgspec

from orchestra.instances import PER_WORKER, Worker, component_of, instance_of, node_of, of_nodes, on_node
from orchestra.ledger.event import ServiceChanged
from orchestra.plan import Component, closure
from orchestra.runtime.servers.matrix import Matrix
from orchestra.runtime.servers.row import Row, RowChange

GONE = "its node is gone"


class Nodes(Protocol):
    """The way to the nodes. Nothing of it waits."""

    def want(self, node: str, components: Sequence[str]) -> None:
        """Let a node start its instances of these components, if it has not."""

    def look(self, node: str, components: Sequence[str], done: Callable[[], None]) -> None:
        """Let a node find out whether they are well; `done` is called when it has reported it, or is gone."""


class NodeMatrix(Matrix):
    """The rows of a run with nodes.

    Args:
        components: as of `Matrix`.
        nodes: the way to them.
        on_event: as of `Matrix`.
        numbered: as of `Matrix`.
        rest: as of `Matrix`.
    """

    def __init__(
        self,
        components: Sequence[Component],
        *,
        nodes: Nodes,
        on_event: Callable[[ServiceChanged, float], None],
        numbered: Mapping[str, int] = MappingProxyType({}),
        **rest: Any,
    ) -> None:
        self._there = {component.id: component for component in of_nodes(components)}
        here = [component for component in components if component.id not in self._there]
        super().__init__(here, on_event=on_event, numbered=numbered, **rest)
        self._every, self._nodes, self._on_event = tuple(components), nodes, on_event
        self._reported: dict[str, Row] = {}
        self._bound_there: dict[str, Mapping[str, str]] = {}
        self._asked: set[str] = set()
        # A node counts its incidents from 1 in each visit; the numbers of the run go on.
        self._numbers = dict(numbered)
        self._before: dict[str, int] = {}

    # ------------------------------------------------------------------------------------------------ as of any matrix

    def required_by(self, ids: Iterable[str], worker: Worker = 0) -> tuple[str, ...]:
        """Return the rows of these components and of all that they need, in the order of the plan.

        Args:
            ids: components.
            worker: whose instances are meant: a number, or a node; without one they are left out.
        """
        rows = []
        for component in closure(self._every, ids):
            if component.id in self._there:
                rows += [on_node(component.id, worker)] if isinstance(worker, str) and worker else []
            elif component.per == PER_WORKER:
                rows += [instance_of(component.id, worker)] if isinstance(worker, int) and worker else []
            else:
                rows.append(component.id)
        return tuple(rows)

    def request(self, rows: Iterable[str]) -> None:
        """Start these rows, here and on nodes; returns at once."""
        here, there = _parted(rows)
        super().request(here)
        for node, names in there.items():
            if unasked := [name for name in names if name not in self._asked]:
                self._asked.update(unasked)
                self._nodes.want(node, [component_of(name) for name in unasked])

    def look(self, ids: Iterable[str], done: Callable[[], None]) -> None:
        """Find out whether these are well now; `done` is called when all are known to be, or not to be."""
        here, there = _parted(ids)
        if not there:
            super().look(here, done)
            return
        left, lock = [1 + len(there)], threading.Lock()

        def one() -> None:
            with lock:
                left[0] -= 1
                over = not left[0]
            if over:
                done()

        super().look(here, one)
        for node, names in there.items():
            self._nodes.look(node, [component_of(name) for name in names], one)

    def row(self, name: str) -> Row:
        """Return the current row of a component or of an instance."""
        if not node_of(name):
            return super().row(name)
        return self._reported.get(name) or Row(name, "idle", required=self._there[component_of(name)].required)

    def rows(self) -> dict[str, Row]:
        """Return all current rows by id; one that no node has started yet is idle, without a node."""
        started = {component_of(name) for name in self._reported}
        idle = {
            name: Row(name, "idle", required=one.required) for name, one in self._there.items() if name not in started
        }
        return {**super().rows(), **idle, **self._reported}

    def touch(self, rows: Iterable[str]) -> None:
        """Note that an attempt uses these; an instance on a node has no reset."""
        super().touch(_parted(rows)[0])

    def unclean(self, rows: Iterable[str]) -> str:
        """Return the first of these that is to be reset before the next attempt; empty for none."""
        return super().unclean(_parted(rows)[0])

    def names(self, worker: Worker = 0) -> dict[str, str]:
        """Return the names that are bound so far.

        Args:
            worker: whose instances the names of components with instances mean: a number, or a node.
        """
        there = {
            f"{component_of(name)}.{part}": value
            for name, bound in self._bound_there.items()
            if node_of(name) == worker
            for part, value in bound.items()
        }
        return {**super().names(worker), **there}

    # --------------------------------------------------------------------------------------------------- what nodes report

    def take(self, node: str, changes: Iterable[RowChange]) -> None:
        """Take changes of the rows of a node, in order. Not called by two threads at a time."""
        for change in changes:
            event = change.event
            name = on_node(event.component, node)
            if event.component not in self._there:
                continue
            incident = self._incident(name, event.incident)
            component = self._there[event.component]
            self._reported[name] = Row(
                name,
                event.state,  # type: ignore[arg-type] # as the matrix of the node has it
                event.reason,
                port=event.port,
                url=event.url or "",
                attempts=event.attempt,
                seconds=event.seconds,
                hint=change.hint,
                required=component.required,
                degraded=f"{name} on failover" if change.degraded else "",
                incident=incident if event.state != "healthy" else "",
            )
            self._bound_there[name] = change.bound
            # An id of a process means nothing on another machine.
            told = msgspec.structs.replace(event, component=name, pid=None, incident=incident)
            self._on_event(told, change.ago_seconds)

    def _incident(self, name: str, own: str) -> str:
        """Return the id of an incident in the run for that of a node; empty for none."""
        number = own.rpartition("-")[2]
        if not number.isdecimal():
            return ""
        before = self._before.setdefault(name, self._numbers.get(name, 0))
        self._numbers[name] = max(self._numbers.get(name, 0), before + int(number))
        return f"{name}-{before + int(number)}"

    def gone(self, node: str) -> None:
        """Take the loss of a node: its instances ended with it, and its next visit starts them again."""
        for name in [name for name in self._reported if node_of(name) == node]:
            row = self._reported.pop(name)
            self._bound_there.pop(name, None)
            self._before.pop(name, None)
            if row.state in {"starting", "healthy", "unhealthy"}:
                event = ServiceChanged(
                    component=name, state="stopped", pid=None, port=None, attempt=row.attempts, reason=GONE, seconds=0.0
                )
                self._on_event(event, 0.0)
        self._asked = {name for name in self._asked if node_of(name) != node}


def _parted(rows: Iterable[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Return the rows of this machine, and the others by node."""
    here: list[str] = []
    there: dict[str, list[str]] = {}
    for name in rows:
        node = node_of(name)
        (there.setdefault(node, []) if node else here).append(name)
    return here, there
