"""The health matrix of a run: the thread that owns every component, and the requests of other threads to it.

Public calls return at once, except `stop`, `hear` and `close`. A run that requests nothing has no such thread.

The order comes from waiting: a component comes up when all that it needs is healthy (`start`), and is watched then
(`watching`). When one fails while tests run, an incident opens: its dependents are put aside, the steps of its recovery
are taken (`climb`), and the dependents come up again in the same way. So two incidents at once need no rules of their
own. A component on its backup is taken back, where the spec wants it, once no test uses it.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from types import MappingProxyType

from orchestra.instances import Worker, component_of, expanded, once, required, worker_of
from orchestra.ledger.event import ServiceChanged
from orchestra.plan import NO_TLS, Component, Tls
from orchestra.recovery import RECOVERY
from orchestra.runtime.mask import Masks
from orchestra.runtime.processes.orphan import become_subreaper
from orchestra.runtime.processes.process import end_tree
from orchestra.runtime.processes.reaper import Reaper
from orchestra.runtime.servers.ask import still_ready
from orchestra.runtime.servers.board import Board
from orchestra.runtime.servers.climb import Climb, repaired
from orchestra.runtime.servers.lending import Lending
from orchestra.runtime.servers.loop import Loop
from orchestra.runtime.servers.member import Member
from orchestra.runtime.servers.own_folders import OwnFolders
from orchestra.runtime.servers.port import locks_folder
from orchestra.runtime.servers.probe import Prober
from orchestra.runtime.servers.row import Row, Trouble
from orchestra.runtime.servers.service import Ground
from orchestra.runtime.servers.start import come_up
from orchestra.runtime.servers.up import UpRow
from orchestra.runtime.servers.watching import COOLED, RESET, Watching

__all__ = ["Matrix", "Row"]

_HARD_SECONDS = 15.0
_HEAR_SECONDS = 1.0


class Matrix:
    """The components of a suite, started on request, with all that they need.

    Args:
        components: the rows, as in the plan.
        root: the project root.
        folder: the run's folder; logs go to `services/<id>.log` in it.
        mark: the run's tree mark.
        env: what services, jobs and probes inherit.
        masks: take secrets out of logs and reasons.
        on_event: given each change of a row, and how many seconds before it the component was last known to be healthy; called
            from the matrix's thread.
        wake: called after each change of a state, from that thread.
        reaper: gets every process.
        clock: monotonic seconds.
        sleep: waits that many seconds.
        rand: a number from 0 to 1, for the spread of waits.
        in_use: whether a test under way requires this component; called from the matrix's thread.
        lent: rows that `orchestra up` keeps and that are used as they stand, as long as they are well.
        starts: whether anything may be started; else a row that is lent and not well has failed.
        numbered: how many incidents the ids of a component count already, from earlier segments of the run.
        place: where a JSON pointer is in the spec, for people.
        tls: how probes check certificates.
        lendings: of the components that are shared with other runs.
        instances: how many there are of each component with `per: worker`.
    """

    def __init__(
        self,
        components: Sequence[Component],
        *,
        root: Path,
        folder: Path,
        mark: str,
        env: Mapping[str, str],
        masks: Masks,
        on_event: Callable[[ServiceChanged, float], None],
        wake: Callable[[], None],
        reaper: Reaper | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rand: Callable[[], float] = random.random,
        in_use: Callable[[str], bool] = lambda _: False,
        lent: Mapping[str, UpRow] = MappingProxyType({}),
        starts: bool = True,
        numbered: Mapping[str, int] = MappingProxyType({}),
        place: Callable[[str], str] = lambda _: "",
        tls: Tls = NO_TLS,
        lendings: Mapping[str, Lending] = MappingProxyType({}),
        instances: int = 0,
    ) -> None:
        self._ground = Ground(root, folder, mark, env, masks, reaper, clock, sleep, rand, place)
        self._components = tuple(components)
        rows = expanded(components, instances)
        several = len(rows) > len(once(components))
        self._own = OwnFolders(folder, instances if several else 0)
        self._prober = Prober(root, tls)
        for part in (part for row in rows for part in (row.ready, row.live) if part is not None):
            self._prober.kind_of(part.probe)  # a plug-in that cannot be loaded ends the run before it begins
        self._members = {
            component.id: Member(
                component,
                self._ground,
                self._prober,
                names=partial(self.names, worker_of(component.id)),
                own=self._own.names(worker_of(component.id)),
                locks=lambda: locks_folder(os.getuid()),
                starting=lambda member, why: self._board.publish(member.component.id, "starting", Trouble(why)),
                lent=lent.get(component.id),
                starts=starts,
                lending=lendings.get(component.id),
            )
            for component in rows
        }
        self._board = Board(self._members, on_event=on_event, wake=wake, live=self._live_guarded)
        self._watching = Watching(self._board, in_use, wake)
        self._climb = Climb(self._board, numbered)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    # ------------------------------------------------------------------------------------------- called by other threads

    def required_by(self, ids: Iterable[str], worker: Worker = 0) -> tuple[str, ...]:
        """Return the rows of these components and of all that they need, in the order of the plan.

        Args:
            ids: components.
            worker: whose instances are meant; 0 leaves components with instances out.
        """
        return required(self._components, ids, worker if isinstance(worker, int) else 0)

    def request(self, rows: Iterable[str]) -> None:
        """Start these rows and all that they need, in parallel where their needs allow it; returns at once."""
        wanted = [name for name in self._board.with_needs(rows) if self._board.row(name).state == "idle"]
        if not wanted or self._board.closed:
            return
        if self._loop is None:
            become_subreaper()  # what a service leaves behind comes to us, and is found
            self._loop = Loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="health", daemon=True)
            self._thread.start()
        self._loop.call_soon_threadsafe(self._want, wanted)

    def look(self, ids: Iterable[str], done: Callable[[], None]) -> None:
        """Find out whether these are well now; returns at once.

        Args:
            ids: components.
            done: called, from the matrix's thread, when each is well or is known not to be: within the bound of its
                liveness. At once when nothing runs.
        """
        names = list(ids)
        if self._loop is None or self._board.closed:
            done()
            return
        self._loop.call_soon_threadsafe(lambda: self._watching.look(names, done))

    def row(self, name: str) -> Row:
        """Return the current row of a component, or of an instance."""
        return self._board.row(name)

    def rows(self) -> dict[str, Row]:
        """Return all current rows by id."""
        return {name: self._board.row(name) for name in self._members}

    def served(self, name: str) -> bool:
        """Return whether a component has been healthy since it was first started, or was stopped and started again."""
        return self._members[name].was_healthy

    def touch(self, rows: Iterable[str]) -> None:
        """Note that an attempt uses these: they are reset before another one does."""
        for name in rows:
            self._members[name].uses += 1

    def unclean(self, rows: Iterable[str]) -> str:
        """Return the first of these that is to be reset before the next attempt; empty for none."""
        members = (self._members[name] for name in rows)
        return next((one.component.id for one in members if one.component.reset and one.uses > one.reset_uses), "")

    def reset(self, name: str) -> None:
        """Begin the reset of an instance that no attempt uses, unless it is under way; returns at once. `wake` follows."""
        member = self._members[name]
        if self._loop is not None and not self._board.closed:
            self._loop.call_soon_threadsafe(self._climb.ask_reset, member, member.uses)

    def hear(self) -> None:
        """Have what the services have written up to now in their logs; a loop that is busy is not waited for longer."""
        if self._loop is None:
            return
        heard = threading.Event()

        def drain() -> None:
            for member in self._members.values():
                if member.running is not None:
                    member.running.pipe.drain()
            heard.set()

        self._loop.call_soon_threadsafe(drain)
        heard.wait(_HEAR_SECONDS)

    def names(self, worker: Worker = 0) -> dict[str, str]:
        """Return the names that are bound so far: `backend.url`, `backend.host`, `backend.port`, groups of log probes.

        Args:
            worker: whose instances the names of components with instances mean; 0 leaves them out.
        """
        return {
            f"{component_of(name)}.{part}": value
            for name, member in self._members.items()
            if worker_of(name) in {0, worker}
            for part, value in member.bound.items()
        }

    def bound(self, name: str) -> Mapping[str, str]:
        """Return the names that a component binds: `url`, `host`, `port`, groups of its log probes."""
        return self._members[name].bound

    def mark_of(self, name: str) -> str:
        """Return the tree mark of a component's process; empty when it has none."""
        running = self._members[name].running
        return running.process.mark if running is not None else ""

    def stop(self, ids: Iterable[str]) -> None:
        """Stop these and their dependents, dependents first, and wait for it; a later request starts them again.

        Not called by the matrix's own thread.
        """
        names = list(ids)
        if self._loop is not None and not self._board.closed and names:
            asyncio.run_coroutine_threadsafe(self._stop(names), self._loop).result()

    def renew(self, name: str) -> Future[None] | None:
        """Do what a component declares between methods; returns at once. None where it was not begun.

        A restart makes it idle, with whatever needs it; a later request starts them again.
        """
        if self._loop is None or self._board.closed or self._board.row(name).state in {"idle", "failed"}:
            return None
        return asyncio.run_coroutine_threadsafe(self._renew(name), self._loop)

    def close(self) -> None:
        """Stop everything, in reverse order, and wait for it: at most each one's grace and five seconds, in a row."""
        if self._board.closed:
            return
        self._board.closed = True
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            self._own.remove()
            return
        services = [service for one in self._members.values() if (service := one.service) is not None]
        bound = _HARD_SECONDS + sum(service.grace_seconds + _HARD_SECONDS for service in services)
        loop.call_soon_threadsafe(lambda: loop.create_task(self._shut()))
        thread.join(bound)
        if thread.is_alive():  # the loop hangs, which is a bug of ours: leave no process behind all the same
            for member in self._members.values():
                if member.running is not None:
                    end_tree(member.running.process, grace_seconds=0.0)
            return
        loop.close()
        self._own.remove()

    # ----------------------------------------------------------------------------------------------- life of a component

    def _want(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._board.lives and not self._board.closed:
                self._board.begin(name)

    async def _live_guarded(self, name: str) -> None:
        """Run the life of a component; a bug of ours in it fails the component, so that no test waits for ever."""
        try:
            await self._live(name)
        except Exception as error:  # noqa: BLE001 - its traceback goes to the component's log
            self._members[name].journal.begin(traceback.format_exc())
            self._board.publish(name, "failed", Trouble(f"met a bug of orchestra: {error!r}", "please report it"))

    async def _live(self, name: str) -> None:
        """Bring a component up when all its needs are healthy, then watch and recover it, until it has failed for good."""
        member = self._members[name]
        trouble = await self._board.needs_settled(name)
        if trouble is not None:
            await self._give_up(member, trouble)
            return
        trouble, action = await self._up(member), ""
        if trouble is not None and not member.was_healthy:
            trouble = await self._climb.stand_in(member, trouble)
            action = "failover"
        if trouble is not None and not (member.was_healthy and member.component.recover):
            await self._give_up(member, trouble)
            return
        if trouble is None:
            member.was_healthy = True
            kept = Trouble(f"is up by {member.standing.by}") if member.standing is not None else None
            self._board.publish(name, "healthy", kept, action)
            trouble = await self._watching.trouble(member)
        # A component that was healthy and does not come up after the recovery of its needs has an incident of its own.
        while trouble is not None:
            if trouble is RESET:
                trouble = await self._climb.reset(name) or await self._watching.trouble(member)
                continue
            cooled = trouble is COOLED
            lost = await (self._climb.take_back(name) if cooled else self._climb.recover(name, trouble))
            if lost is not None and not cooled:
                await self._give_up(member, lost)
                return
            trouble = lost or await self._watching.trouble(member)

    async def _up(self, member: Member) -> Trouble | None:
        """Start a component, or use it as it is when nothing that it needs has changed; why it is not ready, or None."""
        basis = self._board.basis(member.component.id)
        if member.comes_back() and basis == member.basis:
            trouble = await still_ready(member)
            if trouble is not None:
                trouble = await come_up(member)
        else:
            trouble = await come_up(member)
        member.basis = basis
        return trouble

    async def _give_up(self, member: Member, trouble: Trouble) -> None:
        await member.go_down()
        self._board.publish(member.component.id, "failed", trouble)

    # ------------------------------------------------------------------------------------------------------- going down

    async def _stop(self, names: Sequence[str]) -> None:
        over = {*names, *(other for name in names for other in self._board.dependents(name))}
        for name in over:
            task = self._board.lives.pop(name, None)
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        for name in [name for name in reversed(self._board.order) if name in over]:
            member = self._members[name]
            await self._down(name, ())
            member.standing = None
            member.fail_back()
            member.incident, member.was_healthy = "", False
            self._board.forget(name)

    async def _renew(self, name: str) -> None:
        member = self._members[name]
        for step in member.component.between:
            if RECOVERY[step.kind].starts:
                await self._stop([name])
                continue
            lost = await repaired(member, step.run, step.timeout_seconds, "a command between methods")
            if lost is not None:
                await self._stop([name])
                self._board.publish(name, "failed", lost)
                return

    async def _shut(self) -> None:
        """Cancel every life, stop every service once all that need it are gone, and end the loop."""
        try:
            tasks = [*self._board.lives.values(), *self._watching.looks]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            downs: dict[str, asyncio.Task[None]] = {}
            for name in reversed(self._board.order):
                before = [downs[other] for other in downs if name in self._members[other].component.needs]
                downs[name] = asyncio.ensure_future(self._down(name, before))
            await asyncio.gather(*downs.values(), return_exceptions=True)
            await self._prober.close()
        finally:
            for member in self._members.values():
                member.let_go()
            asyncio.get_running_loop().stop()

    async def _down(self, name: str, before: Sequence[asyncio.Task[None]]) -> None:
        if before:
            await asyncio.wait(before)
        member = self._members[name]
        if member.running is None:
            return
        survivors = await member.go_down()
        left = f"left {survivors} processes that outlive KILL" if survivors else ""
        self._board.publish(name, "stopped", Trouble(left))
