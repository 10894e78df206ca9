"""The engine of a run on several machines: which node gets an attempt, and what follows from what nodes report.

Counts of resources, needs and gates stay with the run; a node gives slots, and an attempt takes one. The link carries words
to the nodes and puts their answers into the inbox; it knows nothing of tests.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol, TypeAlias

import msgspec

from orchestra.errors import MachineError
from orchestra.ledger.running_step import NodeSteps
from orchestra.plan import Method
from orchestra.runtime.attempt import Request, Result
from orchestra.runtime.engine.contract import NO_SLOTS, Beat, Changed, Done, Lost, Message, Scene
from orchestra.runtime.nodes.words import Pulse

NODE_SECONDS: Final = 60.0
"""So long a run waits for a node when it has none."""

END_SECONDS: Final = 20.0
"""So long the end of a run waits for what nodes still execute; then their attempts are given up."""

WAITING: Final = "waiting"
"""In the place of a node: attempts that wait for a slot."""


class Joined(NamedTuple):
    """A node can be used: its address, its name, and its slots."""

    address: str
    name: str
    slots: int


class Refused(NamedTuple):
    """A node cannot be used: its name, why, and what to do."""

    name: str
    reason: str
    hint: str


class Left(NamedTuple):
    """A node is gone: its address, and why."""

    address: str
    reason: str


class Beaten(NamedTuple):
    """A node has answered a heartbeat: its name, and its content."""

    node: str
    pulse: Pulse


class Looked(NamedTuple):
    """A node has reported all that it knew when it had looked: the numbers of the looks."""

    numbers: tuple[int, ...]


class Answered(NamedTuple):
    """An attempt has ended, and its files are here.

    Attributes:
        lease: of the attempt.
        node: the name of its node.
        result: of the attempt.
        learnt: secret values of its node, by the names that hide them.
        fault: why the node can carry out nothing more.
    """

    lease: str
    node: str
    result: Result
    learnt: Mapping[str, Sequence[str]] = MappingProxyType({})
    fault: str = ""


class Dropped(NamedTuple):
    """An attempt will not end: its lease, and why."""

    lease: str
    reason: str


class Broken(NamedTuple):
    """The link or the disk fails for all."""

    error: MachineError


News: TypeAlias = Joined | Refused | Left | Beaten | Looked | Answered | Dropped | Broken | None
"""The content of the inbox; None lets a wait end."""

Inbox: TypeAlias = SimpleQueue[News]


class Link(Protocol):
    """Carries words to nodes. Nothing of it waits but `close`."""

    def start(self, address: str, lease: str, request: Request, folder: Path) -> None:
        """Send an attempt to a node, and fetch its files into a folder."""

    def end(self, address: str, lease: str) -> None:
        """Let a node end an attempt."""

    def want(self, address: str, components: Sequence[str]) -> None:
        """Let a node start its instances of components."""

    def look(self, address: str, components: Sequence[str], number: int) -> None:
        """Let a node look at them; `Looked` with this number follows what it has to report."""

    def stop(self) -> None:
        """Let every node end every attempt."""

    def close(self) -> None:
        """Let every node end what it has of the run, and end the link."""


@dataclass(slots=True)
class _Node:
    name: str
    slots: int
    busy: set[str] = field(default_factory=set)

    @property
    def free(self) -> int:
        return self.slots - len(self.busy)


class Cluster:
    """One thread owns it, but for `wake`.

    Args:
        scene: the run.
        link: to the nodes.
        inbox: where the link puts their answers.
        where: the address of the cluster, for messages.
        clock: monotonic seconds.
        time_of_day: seconds of the epoch.
    """

    def __init__(
        self,
        scene: Scene,
        link: Link,
        inbox: Inbox,
        where: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        time_of_day: Callable[[], float] = time.time,
    ) -> None:
        self._time = time_of_day
        self._scene, self._link, self._inbox, self._where = scene, link, inbox, where
        self._clock = clock
        self._nodes: dict[str, _Node] = {}
        self._waiting: deque[tuple[str, Request]] = deque()
        self._placed: dict[str, str] = {}
        self._sessions: dict[str, str] = {}
        self._refused: dict[str, Refused] = {}
        self._out: list[Message] = []
        self._steps = NodeSteps(scene.folder)
        self._looks = 0
        self._looking: dict[int, tuple[str, Callable[[], None]]] = {}
        self._closed = False
        self._bare_since = clock()
        self._end_by: float | None = None

    def capacity(self) -> Mapping[str, int]:
        """Return the free slots of each node; less than 0 for attempts that wait for one."""
        free = {node.name: node.free for node in self._nodes.values()}
        return {**free, WAITING: -len(self._waiting)} if self._waiting else free

    def roots(self) -> Mapping[str, Sequence[int]]:
        """Return no process: they are those of nodes."""
        return {}

    def wake(self) -> None:
        """Let a `poll` that waits return. Safe in other threads and in signal handlers."""
        self._inbox.put(None)

    def place(self, method: Method, held: Mapping[str, int] = NO_SLOTS) -> str:
        """Return the node with the most free slots, or that of a single session; empty where it has none."""
        address = self._choose(method, held)
        return self._nodes[address].name if address is not None else ""

    def start(self, request: Request, lease: str) -> None:
        """Start an attempt on the node that it names, or on the one with the most free slots; without one it waits."""
        address = self._address(request.node) if request.node else self._choose(request.method)
        if request.node and address is None:
            self._out.append(Lost(lease, request.node, "it left before the attempt began"))
            return
        if address is None or not self._nodes[address].free:
            self._waiting.append((lease, request))
            return
        self._nodes[address].busy.add(lease)
        self._placed[lease] = address
        if request.method.single_session:
            self._sessions[request.method.id] = address
        folder = Path(request.folder)
        names = {name: value for name, value in request.names.items() if not name.startswith("env.")}
        sent = msgspec.structs.replace(
            request,
            folder=str(folder.relative_to(self._scene.folder)),
            root="",
            log="",
            logins="",
            names=names,
            mark=request.mark.removeprefix(self._scene.mark),
            browser=None,
        )
        self._link.start(address, lease, sent, folder)

    def _choose(self, method: Method, held: Mapping[str, int] = NO_SLOTS) -> str | None:
        """Return the address of the node for an attempt of a method: of a single session the one that has it."""
        own = self._sessions.get(method.id) if method.single_session else None
        if own in self._nodes:
            return own if self._nodes[own].free > held.get(self._nodes[own].name, 0) else None
        left = {address: node.free - held.get(node.name, 0) for address, node in self._nodes.items()}
        free = [(-left[address], node.name, address) for address, node in self._nodes.items() if left[address] > 0]
        return min(free)[2] if free else None

    def _address(self, name: str) -> str | None:
        return next((address for address, node in self._nodes.items() if node.name == name), None)

    def want(self, node: str, components: Sequence[str]) -> None:
        """Let a node start its instances of components; one that is gone starts none."""
        if (address := self._address(node)) is not None:
            self._link.want(address, components)

    def look(self, node: str, components: Sequence[str], done: Callable[[], None]) -> None:
        """Let a node look at its instances; `poll` calls `done`."""
        address = self._address(node)
        if address is None:
            done()
            return
        self._looks += 1
        self._looking[self._looks] = (address, done)
        self._link.look(address, components, self._looks)

    def _looked(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            _, done = self._looking.pop(number, ("", _nothing))
            done()

    def poll(self, timeout: float | None) -> Sequence[Message]:
        """Return what has happened; waits until something has, `wake` was called, or `timeout` seconds are over.

        Raises:
            MachineError: there is no node for too long, or the link is lost.
        """
        if not self._out:
            self._take(self._patience(timeout))
        while not self._inbox.empty():
            self._take(0.0)
        self._check()
        out, self._out = self._out, []
        return out

    def _patience(self, timeout: float | None) -> float | None:
        due = [self._end_by] if self._end_by is not None else []
        due += [self._bare_since + NODE_SECONDS] if not self._nodes else []
        left = [max(0.0, at - self._clock()) for at in due] + ([] if timeout is None else [timeout])
        return min(left, default=None)

    def _take(self, timeout: float | None) -> None:
        try:
            news = self._inbox.get(timeout=timeout) if timeout != 0 else self._inbox.get_nowait()
        except Empty:
            return
        if isinstance(news, Broken):
            self._give_up("the cluster is gone")
            self._nodes.clear()
            if self._end_by is None and not self._closed:
                raise news.error
        elif isinstance(news, Joined):
            self._join(news)
        elif isinstance(news, Refused):
            self._refused[news.name] = news
            self._out.append(
                Beat(news.name, f"the node {news.name} is not used: {news.reason}; {news.hint}", "refused")
            )
        elif isinstance(news, Left):
            self._leave(news)
        elif isinstance(news, Beaten):
            now = self._time()
            self._steps.show(news.node, (step._replace(since=now - step.since) for step in news.pulse.steps))
            if news.pulse.changes:
                self._out.append(Changed(news.node, news.pulse.changes))
        elif isinstance(news, Looked):
            self._looked(news.numbers)  # what they wait for is asked after the changes are taken
        elif isinstance(news, Answered):
            self._answer(news)
        elif isinstance(news, Dropped) and news.lease in self._placed:
            name = self._nodes[self._placed[news.lease]].name
            self._free(news.lease)
            self._out.append(Lost(news.lease, name, news.reason))

    def _answer(self, news: Answered) -> None:
        if self._scene.masks.grow:  # before anything of it is recorded
            for name, values in news.learnt.items():
                self._scene.masks.learn(name, values)
        address = self._placed.get(news.lease)
        if news.fault and address is not None:  # before the next attempt is placed, or it would go there
            del self._placed[news.lease]
            self._nodes[address].busy.discard(news.lease)
            self._leave(Left(address, news.fault))
        self._free(news.lease)
        self._out.append(Done(news.lease, news.result, news.node))

    def _join(self, news: Joined) -> None:
        bound = self._scene.slots or news.slots
        node = self._nodes[news.address] = _Node(news.name, min(bound, news.slots))
        self._refused.pop(news.name, None)
        slots = f"{node.slots} slot{'s' * (node.slots != 1)}"
        self._out.append(Beat(news.name, f"the node {news.name} is used, with {slots}", "used", node.slots))
        self._place()

    def _leave(self, news: Left) -> None:
        node = self._nodes.pop(news.address, None)
        if node is None:
            return
        self._steps.show(node.name, ())
        self._looked([number for number, (where, _) in self._looking.items() if where == news.address])
        for lease in node.busy:
            del self._placed[lease]
            self._out.append(Lost(lease, node.name, news.reason))
        self._out.append(Beat(node.name, f"the node {node.name} was lost: {news.reason}", "lost"))
        if not self._nodes:
            self._bare_since = self._clock()
        self._place()  # a session that it had can go on elsewhere

    def _free(self, lease: str) -> None:
        address = self._placed.pop(lease, None)
        if address is not None:
            self._nodes[address].busy.discard(lease)
            self._place()

    def _place(self) -> None:
        """Start what waits, as far as there are slots."""
        waiting, self._waiting = self._waiting, deque()
        for lease, request in waiting:
            self.start(request, lease)

    def _check(self) -> None:
        now = self._clock()
        if self._closed:
            return
        if self._end_by is not None:
            if now >= self._end_by:
                self._give_up(f"it did not end its attempts within {END_SECONDS:.0f} s")
            return
        if self._nodes or now < self._bare_since + NODE_SECONDS:
            return
        reasons = "; ".join(f"{one.name}: {one.reason}" for one in self._refused.values())
        hint = next((one.hint for one in self._refused.values()), f"orchestra worker --scheduler {self._where}")
        why = f"none that can be used ({reasons})" if reasons else "none"
        raise MachineError(
            f"the cluster at {self._where} has had no node for {NODE_SECONDS:.0f} s: {why}",
            f"{hint}; then `orchestra run --resume`",
        )

    def _give_up(self, reason: str) -> None:
        """Report everything that runs or waits as lost."""
        for lease, address in self._placed.items():
            node = self._nodes.get(address)
            self._out.append(Lost(lease, node.name if node is not None else address, reason))
        for lease, _ in self._waiting:
            self._out.append(Lost(lease, WAITING, reason))
        for node in self._nodes.values():
            node.busy.clear()
        self._placed.clear()
        self._waiting.clear()
        self._looked(list(self._looking))

    def end(self, lease: str) -> None:
        """End an attempt before its time; `poll` gives what came of it."""
        address = self._placed.get(lease)
        if address is not None:
            self._link.end(address, lease)

    def stop(self) -> None:
        """End everything that runs; `poll` reports each attempt as interrupted, or as lost."""
        if self._end_by is not None:
            return
        self._end_by = self._clock() + END_SECONDS
        for lease, _ in self._waiting:
            self._out.append(Lost(lease, WAITING, "the run ended"))
        self._waiting.clear()
        if self._nodes:
            self._link.stop()
        else:
            self._give_up("there is no node")

    def close(self) -> None:
        """End what still runs, on every node, and let go of everything."""
        self._closed = True
        self._link.close()
        self._steps.close()


def _nothing() -> None:
    """Do nothing: a look is over that was called back already."""
