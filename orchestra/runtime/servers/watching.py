"""The watch over a healthy component: its probes, its process, its time on the backup; and tests that wait for a probe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from orchestra.plan import Live
from orchestra.runtime.servers.ask import ask
from orchestra.runtime.servers.board import Board
from orchestra.runtime.servers.member import Member
from orchestra.runtime.servers.recovery import Watch, step
from orchestra.runtime.servers.row import Trouble
from orchestra.runtime.servers.service import ending

COOLED = Trouble("has completed its cool-down on the failover")
"""No trouble, but the time to start the primary again."""

RESET = Trouble("is to be reset")
"""No trouble either: a test is about to use an instance that another one has used."""

_HURRY_SECONDS = 0.25
"""The pause between two probes of a component that has just missed one, when a test waits to know how it is."""

_IDLE_POLL_SECONDS = 0.1
"""The pause between two checks whether a test still uses a backup that is to be taken back."""


class Watching:
    """Watches the components of a matrix.

    Args:
        board: the components.
        in_use: whether a test under way requires this component.
        wake: called when an answer that was waited for is known.
    """

    def __init__(self, board: Board, in_use: Callable[[str], bool], wake: Callable[[], None]) -> None:
        self._board = board
        self._in_use = in_use
        self._wake = wake
        self._wanted: dict[str, list[asyncio.Future[None]]] = {name: [] for name in board.members}
        self._asked = asyncio.Event()
        self.looks: set[asyncio.Task[None]] = set()

    async def trouble(self, member: Member) -> Trouble | None:
        """Wait until a healthy component has a trouble; None when there is nothing to watch."""
        live = member.component.live
        watches = [] if live is None else [asyncio.ensure_future(self._misses(member, live))]
        if member.has_process():
            watches.append(asyncio.ensure_future(_death(member)))
        if member.on_failover and member.component.fail_back:
            watches.insert(0, asyncio.ensure_future(self._cooled(member)))
        if member.component.reset:  # first, so that a process that has ended comes before it
            watches.insert(0, asyncio.ensure_future(_reset_asked(member)))
        if not watches:
            return None
        try:
            done, _ = await asyncio.wait(watches, return_when=asyncio.FIRST_COMPLETED)
            return next(watch for watch in reversed(watches) if watch in done).result()
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)

    async def _cooled(self, member: Member) -> Trouble:
        """Wait until the backup has served its time and no test uses it: none that requires it begins any more."""
        sleep = member.ground.sleep
        await sleep(member.component.cool_down_seconds)
        name = member.component.id
        self._board.publish(name, "unhealthy", Trouble("is taken back from its failover"))
        aside = self._board.dependents(name)
        while any(map(self._in_use, (name, *aside))):
            await sleep(_IDLE_POLL_SECONDS)
        return COOLED

    async def _misses(self, member: Member, live: Live) -> Trouble:
        name, clock = member.component.id, member.ground.clock
        watch, answer, well = Watch(healthy=True), None, clock()
        while watch.healthy:
            await self._between(member, live, watch)
            waiting, self._wanted[name] = self._wanted[name], []
            begun = clock()
            answer = await ask(member, live.probe)
            watch = step(watch, passed=not answer.reason, successes=1, failures=live.failures)
            if answer.reason:
                self._wanted[name] = [*waiting, *self._wanted[name]]
            else:
                well = begun
                for waiter in waiting:
                    waiter.set_result(None)
        why, hint = (answer.reason, answer.hint) if answer is not None else ("", "")
        reason = f"missed {watch.misses} probes in a row while tests ran: {why}"
        return Trouble(reason, hint, ago_seconds=max(0.0, clock() - well))

    async def _between(self, member: Member, live: Live, watch: Watch) -> None:
        """Pause before the next probe; shortly when a test waits for its answer."""
        name = member.component.id
        if watch.misses and self._wanted[name]:
            await member.ground.sleep(min(live.every_seconds, _HURRY_SECONDS))
            return
        nap = asyncio.ensure_future(_sleep(member, live.every_seconds))
        asked = asyncio.ensure_future(self._asked.wait())
        try:
            while not nap.done() and not self._wanted[name]:
                if asked.done():  # a test waits for another component
                    asked = asyncio.ensure_future(self._asked.wait())
                await asyncio.wait({nap, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            nap.cancel()
            asked.cancel()
            await asyncio.gather(nap, asked, return_exceptions=True)

    # ------------------------------------------------------------------------------------------- tests that want to know

    def look(self, names: Sequence[str], done: Callable[[], None]) -> None:
        """Call back when each of these is well or is known not to be."""
        task = asyncio.get_running_loop().create_task(self._look(names, done))
        self.looks.add(task)
        task.add_done_callback(self.looks.discard)

    async def _look(self, names: Sequence[str], done: Callable[[], None]) -> None:
        try:
            await asyncio.gather(*map(self._known, names))
        finally:
            done()
            self._wake()

    async def _known(self, name: str) -> None:
        """Wait until a component that counts as healthy has proven it, or no longer counts as healthy."""
        member = self._board.members[name]
        asked: asyncio.Future[None] | None = None
        if self._board.healthy(name) and (not member.has_process() or await member.lives()):
            if member.component.live is None:
                return
            asked = asyncio.get_running_loop().create_future()
            self._wanted[name].append(asked)
            self._hurry()
        while self._board.healthy(name) and not (asked is not None and asked.done()):
            change = asyncio.ensure_future(self._board.change())
            futures: set[asyncio.Future[Any]] = {change} if asked is None else {change, asked}
            await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
            change.cancel()

    def _hurry(self) -> None:
        """Let every watch that sleeps see whether a test waits for its component."""
        asked, self._asked = self._asked, asyncio.Event()
        asked.set()


async def _sleep(member: Member, seconds: float) -> None:
    await member.ground.sleep(seconds)


async def _reset_asked(member: Member) -> Trouble:
    await member.reset_asked.wait()
    return RESET


async def _death(member: Member) -> Trouble:
    if member.standing is not None:
        starter = member.standing.by
        await member.gone()
        return Trouble(f"ended while tests ran; {starter} had started it")
    code = await member.death()
    return Trouble(f"ended with {ending(code)} while tests ran", f"its output is in {member.journal.path}")
