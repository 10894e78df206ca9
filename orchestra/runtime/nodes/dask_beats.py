"""Heartbeats: the run asks each of its nodes, and the answers have what a node executes and how its rows change.

All of it is called in the loop of the link.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from orchestra.runtime.nodes.cluster import Beaten, Looked, News
from orchestra.runtime.nodes.dask_courier import FETCH_SECONDS, Courier
from orchestra.runtime.nodes.words import BEAT_SECONDS, DATA, LOST_SECONDS, Ask, Pulse, Wanted

QUICK_SECONDS = 0.1
"""The time between two heartbeats of a node whose rows are about to change."""

LOOK_SECONDS = 60.0
"""The limit for a node to find out whether its components are well; after it the attempt is concluded all the same."""


class Beats:
    """The heartbeats of one node.

    Args:
        courier: asks it.
        address: of the node.
        name: of the node.
        session: of its visit.
        put: takes news for the run.
        scheduled: whether the scheduler answers.
    """

    def __init__(
        self,
        courier: Courier,
        address: str,
        name: str,
        session: str,
        *,
        put: Callable[[News], None],
        scheduled: Callable[[], Awaitable[bool]],
    ) -> None:
        self._courier, self._address, self._name, self._session = courier, address, name, session
        self._put, self._scheduled = put, scheduled
        self._taken = 0
        self._moving = False
        self._soon = asyncio.Event()
        self._looked: list[int] = []
        self._asked: set[asyncio.Task[None]] = set()

    async def follow(self) -> str:
        """Ask for heartbeats until the node is lost, and return why it is."""
        latest = time.monotonic()
        while True:
            await self._pause()
            looked, self._looked = self._looked, []
            try:
                answer = await self._courier.ask(self._address, "beat", self._ask(), BEAT_SECONDS)
                if not answer.startswith(DATA):
                    return "it was started again, or gave the run up"
                latest = time.monotonic()
                self._take(answer)
                if looked:
                    self._put(Looked(tuple(looked)))
            except Exception:  # noqa: BLE001 - whatever Dask raises: there was no heartbeat
                self._looked = looked + self._looked
                if time.monotonic() - latest > LOST_SECONDS and await self._scheduled():
                    return f"no heartbeat for {LOST_SECONDS:.0f} s"

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(QUICK_SECONDS if self._moving else BEAT_SECONDS):
                await self._soon.wait()
        self._soon.clear()

    def _ask(self) -> Ask:
        return Ask(self._session, offset=self._taken)

    def _take(self, answer: bytes) -> None:
        pulse = msgspec.json.decode(answer.removeprefix(DATA), type=Pulse)
        self._taken += len(pulse.changes)
        self._moving = pulse.moving
        self._put(Beaten(self._name, pulse))

    def want(self, components: Sequence[str]) -> None:
        """Let the node start components."""
        self._tell("want", components, FETCH_SECONDS, None)

    def look(self, components: Sequence[str], number: int) -> None:
        """Let the node look at components; `Looked` with this number follows its changes."""
        self._tell("look", components, LOOK_SECONDS, number)

    def _tell(self, op: str, components: Sequence[str], seconds: float, number: int | None) -> None:
        wanted = Wanted(self._session, components=tuple(components))

        async def tell() -> None:
            with contextlib.suppress(Exception):  # a node that does not hear is lost
                await self._courier.ask(self._address, op, wanted, seconds)
            if number is not None:
                self._looked.append(number)
            self._soon.set()

        self._asked.add(task := asyncio.ensure_future(tell()))
        task.add_done_callback(self._asked.discard)

    async def part(self, seconds: float) -> None:
        """Let the node end what it has of the run, and take what it reports of that."""
        for task in self._asked:
            task.cancel()
        answer = await self._courier.ask(self._address, "bye", self._ask(), seconds)
        if answer.startswith(DATA):
            self._take(answer)
