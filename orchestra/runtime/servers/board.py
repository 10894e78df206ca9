"""The rows of a health matrix, which components need which, and the task in which each of them lives.

Belongs to the thread of the matrix. A change of a row is shown, recorded, and wakes whatever waits for one.
"""

from __future__ import annotations

import asyncio
import contextlib
import graphlib
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from orchestra.errors import OrchestraError
from orchestra.ledger.event import ServiceChanged
from orchestra.runtime.servers.member import Basis, Member
from orchestra.runtime.servers.recovery import bound_seconds, once_bound_seconds
from orchestra.runtime.servers.row import Row, State, Trouble


class Board:
    """The components of a matrix with their rows and their lives.

    Args:
        members: the components by id, in the order of the plan.
        on_event: given each change of a row, and how many seconds before it the component was last known to be healthy.
        wake: called after each change of a row.
        live: the life of a component, as a coroutine.

    Attributes:
        members: as given.
        order: their ids, each after those that it needs.
        lives: the task of each component that was begun.
        closed: nothing is begun any more.
    """

    def __init__(
        self,
        members: Mapping[str, Member],
        *,
        on_event: Callable[[ServiceChanged, float], None],
        wake: Callable[[], None],
        live: Callable[[str], Coroutine[Any, Any, None]],
    ) -> None:
        self.members = members
        needs = {name: member.component.needs for name, member in members.items()}
        self.order = [name for name in graphlib.TopologicalSorter(needs).static_order() if name in needs]
        self.lives: dict[str, asyncio.Task[None]] = {}
        self.closed = False
        self._rows = {name: member.row("idle", Trouble("")) for name, member in members.items()}
        self._pulse = asyncio.Event()
        self._on_event = on_event
        self._wake = wake
        self._live = live

    def row(self, name: str) -> Row:
        """Return the row of a component as it is now."""
        return self._rows[name]

    def healthy(self, name: str) -> bool:
        """Return whether a component counts as healthy now."""
        return self._rows[name].state == "healthy"

    def failed(self, name: str) -> bool:
        """Return whether a component has failed for good."""
        return self._rows[name].state == "failed"

    def change(self) -> Coroutine[Any, Any, bool]:
        """Return a wait for the next change of any row, from now on."""
        return self._pulse.wait()

    def publish(
        self, name: str, state: State, trouble: Trouble | None = None, action: str = "", *, dead: bool = False
    ) -> None:
        """Change the row of a component, record the change, and wake whatever waits for one.

        Args:
            name: the component's id.
            state: its new state.
            trouble: why it is not healthy, or how it became so.
            action: of its recovery, which led to this state.
            dead: its process has ended, so that no probe can pass again.
        """
        member = self.members[name]
        incident = member.incident
        if state == "healthy":
            member.incident = ""
        row = self._rows[name] = member.row(state, trouble or Trouble(""))
        member.offer(row)
        bound, ago = None, 0.0
        if state == "starting":
            bound = once_bound_seconds(member.component)
        elif state == "unhealthy" and not action and trouble is not None and incident:
            aside = [self.members[other].component for other in self.dependents(name)]
            bound = bound_seconds(member.component, aside, dead=dead, reset=member.reset_failed)
            ago = trouble.ago_seconds
        change = ServiceChanged(
            component=name,
            state=state,
            pid=row.pid,
            port=row.port,
            attempt=max(1, row.attempts),
            reason=row.reason,
            seconds=row.seconds,
            url=row.url or None,
            bound_seconds=bound,
            action=action or None,
            incident=incident,
        )
        # The run learns of a full disk from its own next event. The services stay up until it ends.
        with contextlib.suppress(OrchestraError):
            self._on_event(change, ago)
        pulse, self._pulse = self._pulse, asyncio.Event()
        pulse.set()
        self._wake()

    def nudge(self) -> None:
        """Wake whatever waits for a change of a row, although no row has changed."""
        self._wake()

    def forget(self, name: str) -> None:
        """Make the row of a component idle, without an event."""
        self._rows[name] = self.members[name].row("idle", Trouble(""))

    # ------------------------------------------------------------------------------------------------------------ lives

    def begin(self, name: str) -> None:
        """Begin the life of a component."""
        self.lives[name] = asyncio.get_running_loop().create_task(self._live(name), name=name)

    def with_needs(self, names: Iterable[str]) -> list[str]:
        """Return these components and all that they need, each after those that it needs."""
        reached, ahead = set[str](), list(names)
        while ahead:
            name = ahead.pop()
            if name not in reached:
                reached.add(name)
                ahead += self.members[name].component.needs
        return [name for name in self.order if name in reached]

    def dependents(self, name: str) -> list[str]:
        """Return the components that need this one and were begun, in the order of their start."""
        reached = {name}
        for other in self.order:
            if other in self.lives and any(need in reached for need in self.members[other].component.needs):
                reached.add(other)
        return [other for other in self.order if other in reached and other != name]

    def basis(self, name: str) -> Basis:
        """Return the basis of a component: how often each of its needs came up, and the names that it binds."""
        needs = (self.members[need] for need in self.members[name].component.needs)
        return {need.component.id: (need.starts, dict(need.bound)) for need in needs}

    async def needs_settled(self, name: str) -> Trouble | None:
        """Wait until each need is healthy; which one has failed, or None. Bounded, because the life of each need is."""
        member = self.members[name]
        while True:
            for need in member.component.needs:
                row = self._rows[need]
                if row.state == "failed":
                    member.incident = row.incident
                    return Trouble(f"needs {need}, which {row.reason}", row.hint)
            if all(map(self.healthy, member.component.needs)):
                return None
            await self.change()
