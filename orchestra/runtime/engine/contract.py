"""The seam of engines: what carries out attempts, on this machine or on others.

An engine is asked by one thread, the loop of the run, except for `wake` and `roots`. Each attempt that it is given has a lease,
a word that no other attempt has: an answer for a lease that was given up is no result any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol, TypeAlias

from orchestra.ledger.event import NodeState
from orchestra.plan import Method, Plan, Test
from orchestra.runtime.attempt import Request, Result
from orchestra.runtime.mask import Masks
from orchestra.runtime.processes.reaper import Reaper
from orchestra.runtime.servers.row import RowChange

HERE = "here"
"""The node of an engine that carries out attempts on the machine of the run."""

UNBOUNDED = 1 << 20
"""Free slots where the machine, and no engine, bounds how much runs at once."""


NO_SLOTS: Final[Mapping[str, int]] = MappingProxyType({})
"""No slot is held for an attempt that has not begun."""


class Done(NamedTuple):
    """An attempt has ended: its lease, its result, and the node; its files are in its folder."""

    lease: str
    result: Result
    node: str = HERE


class Lost(NamedTuple):
    """An attempt will have no result, because its node is gone: its lease, the node, and why."""

    lease: str
    node: str
    reason: str


class Beat(NamedTuple):
    """A node has come, was refused or is gone: its name, a sentence for the record, the word for that, and its slots."""

    node: str
    message: str
    state: NodeState
    slots: int = 0


class Changed(NamedTuple):
    """Rows of the health matrix of a node have changed: the node, and the changes in order."""

    node: str
    changes: Sequence[RowChange]


Message: TypeAlias = Done | Lost | Beat | Changed


class Engine(Protocol):
    """Carries out attempts."""

    def capacity(self) -> Mapping[str, int]:
        """Return the free slots of each node; less than 0 where attempts wait for a slot."""

    def place(self, method: Method, held: Mapping[str, int] = NO_SLOTS) -> str:
        """Return the node for the next attempt of a method; empty where none has a free slot, and `HERE` without nodes.

        Args:
            method: of the plan.
            held: how many slots of each node are held for others.
        """

    def start(self, request: Request, lease: str) -> None:
        """Start an attempt, on the node that the request names and on no other. `poll` reports any failure, like its end.

        Without a node it goes to any with a free slot. It waits where there is no slot.
        """

    def want(self, node: str, components: Sequence[str]) -> None:
        """Let a node start its instances of these components, if it has not; `poll` reports how their rows change."""

    def look(self, node: str, components: Sequence[str], done: Callable[[], None]) -> None:
        """Let a node find out whether they are well. `poll` calls `done` after their changes, or when the node is gone."""

    def poll(self, timeout: float | None) -> Sequence[Message]:
        """Return what has happened; wait until something has, `wake` was called, or `timeout` seconds are over.

        Raises:
            MachineError: the engine itself is lost.
        """

    def end(self, lease: str) -> None:
        """End an attempt before its time, with the whole tree of its processes; `poll` gives what came of it."""

    def stop(self) -> None:
        """End everything that runs; `poll` reports each attempt as interrupted, or as lost."""

    def close(self) -> None:
        """End what still runs, on every node, and let go of everything."""

    def roots(self) -> Mapping[str, Sequence[int]]:
        """Return the ids of the processes of this machine at the top of what runs, by name. Any thread may ask."""

    def wake(self) -> None:
        """Let a `poll` that waits return. Safe in other threads and in signal handlers."""


class Scene(NamedTuple):
    """The run that an engine of other machines works for.

    Attributes:
        run: its id.
        mark: the tree mark of all that it starts.
        root: the project root.
        folder: the run's own.
        plan: the suite.
        tests: the selected ones.
        browsers: the version of each browser engine that they need.
        environment: of the run.
        reaper: gets what the engine starts on this machine.
        masks: take secrets out of texts.
        slots: the most attempts at once on a node; 0 for all that it has.
    """

    run: str
    mark: str
    root: Path
    folder: Path
    plan: Plan
    tests: tuple[Test, ...]
    browsers: Mapping[str, str]
    environment: Mapping[str, str]
    reaper: Reaper
    masks: Masks
    slots: int = 0


class Opened(Protocol):
    """An engine that can be used, before the run that uses it has begun."""

    def engine(self, scene: Scene) -> Engine:
        """Return the engine of a run, whose `close` closes all."""

    def close(self) -> None:
        """Let go of everything; a second call does nothing."""


class ClusterKind(NamedTuple):
    """An engine of other machines, as the run needs to know it.

    Attributes:
        name: as `--engine` names it.
        doc: its meaning, as a noun phrase.
        open: opens it, by the address of a cluster, empty for one of this machine, and the words by which others learn who
            uses it. Raises MachineError if it cannot be used.
    """

    name: str
    doc: str
    open: Callable[[str, str], Opened]
