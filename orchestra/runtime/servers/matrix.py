"""The health matrix of a run: what starts when, what is watched, and what is done when it fails.

May import `component`, `recovery`, `service`, `reaper`. One thread of its own, with an event loop, owns every component;
what others call returns at once. A run that requests nothing has no such thread.

The order comes from waiting: a component comes up when all that it needs is healthy. When one fails while tests run, an
incident opens: whatever needs it is put aside, the ladder is climbed, and what was put aside comes up again in the same
way. So two incidents at once need no rules of their own. What runs on its backup is taken back, where the spec says so,
once nothing uses it. Longer than other modules because the life of a component, from request to end, is read together;
what is decided in it is decided by `recovery`.
"""

from __future__ import annotations

import asyncio
import contextlib
import graphlib
import os
import random
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import MappingProxyType
from typing import Any

from orchestra.errors import OrchestraError
from orchestra.ledger.rungs import counted
from orchestra.plan import Component, Live
from orchestra.runtime.mask import Masks
from orchestra.runtime.processes.orphan import become_subreaper
from orchestra.runtime.processes.process import end_tree
from orchestra.runtime.processes.reaper import Reaper
from orchestra.runtime.servers.loop import Loop
from orchestra.runtime.servers.member import Basis, Member
from orchestra.runtime.servers.port import locks_folder
from orchestra.runtime.servers.probe import Prober
from orchestra.runtime.servers.recovery import Action, Watch, bound_seconds, decide, once_bound_seconds, step
from orchestra.runtime.servers.row import Row, State, Trouble
from orchestra.runtime.servers.service import Ground, ending
from orchestra.runtime.servers.up import UpRow

__all__ = ["Matrix", "Row"]

_HARD_SECONDS = 15.0
_HURRY_SECONDS = 0.25
"""The pause between two probes of a component that has just missed one, when somebody waits to know how it is."""

_IDLE_POLL_SECONDS = 0.1
"""How often a backup that is to be taken back is asked whether a test still uses it."""


_COOLED = Trouble("has served its time on the backup")
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
        on_event: given the body of each `service_event`, from the matrix's thread.
        wake: called after each change of a state, from that thread.
        reaper: told about every process.
        clock: monotonic seconds.
        sleep: waits that many seconds.
        rand: a number from 0 to 1, for the spread of waits.
        in_use: whether a test under way requires this component; called from the matrix's thread.
        lent: rows that `orchestra up` keeps and that are used as they stand, as long as they are well.
        starts: whether anything may be started; else a row that is lent and not well has failed.
        numbered: how many incidents the ids of a component count already, from earlier segments of the run.
        place: where a JSON pointer is in the spec, for people.
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
        on_event: Callable[[dict[str, Any]], None],
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
    ) -> None:
        self._ground = Ground(root, folder, mark, env, masks, reaper, clock, sleep, rand, place)
        self._on_event = on_event
        self._wake = wake
        self._in_use = in_use
        self._numbered = numbered
        self._prober = Prober()
        self._members = {
            one.id: Member(
                one,
                self._ground,
                self._prober,
                names=self.names,
                locks=lambda: locks_folder(os.getuid()),
                say=self._starting,
                lent=lent.get(one.id),
                starts=starts,
            )
            for one in components
        }
        self._rows = {name: self._row(member, "idle", Trouble("")) for name, member in self._members.items()}
        needs = {one.id: one.needs for one in components}
        self._order = [name for name in graphlib.TopologicalSorter(needs).static_order() if name in needs]
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._looks: set[asyncio.Task[None]] = set()
        self._wanted: dict[str, list[asyncio.Future[None]]] = {name: [] for name in self._members}
        self._pulse = asyncio.Event()
        self._asked = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    # ------------------------------------------------------------------------------------------- called by other threads

    def required_by(self, ids: Iterable[str]) -> tuple[str, ...]:
        """These and all that they need, in the order of the plan."""
        found: set[str] = set()
        ahead = list(ids)
        while ahead:
            name = ahead.pop()
            if name not in found:
                found.add(name)
                ahead += self._members[name].component.needs
        return tuple(name for name in self._members if name in found)

    def request(self, ids: Iterable[str]) -> None:
        """Start these and all that they need, in parallel where their needs allow it; returns at once."""
        wanted = [name for name in self.required_by(ids) if self._rows[name].state == "idle"]
        if not wanted or self._closed:
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
        if self._loop is None or self._closed:
            done()
            return
        self._loop.call_soon_threadsafe(lambda: self._looking(names, done))

    def row(self, name: str) -> Row:
        """What is known of a component now."""
        return self._rows[name]

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

    def names(self) -> dict[str, str]:
        """The names that are bound so far: `backend.url`, `backend.host`, `backend.port`, groups of log probes."""
        return {
            f"{name}.{part}": value for name, member in self._members.items() for part, value in member.bound.items()
        }

    def bound(self, name: str) -> Mapping[str, str]:
        """The names that a component binds: `url`, `host`, `port`, groups of its log probes."""
        return self._members[name].bound

    def mark_of(self, name: str) -> str:
        """The tree mark of a component's process; empty when it has none."""
        running = self._members[name].running
        return running.process.mark if running is not None else ""

    def stop(self, ids: Iterable[str]) -> None:
        """Stop these and whatever needs them, dependents first, and wait for it; a later request starts them anew.

        Not called by the matrix's own thread.
        """
        names = list(ids)
        if self._loop is not None and not self._closed and names:
            asyncio.run_coroutine_threadsafe(self._stop(names), self._loop).result()

    def renew(self, name: str) -> Future[None] | None:
        """Do what a component declares between methods; returns at once. None where it was not begun.

        A restart makes it idle, with whatever needs it; a later request starts them again.
        """
        if self._loop is None or self._closed or self._rows[name].state in {"idle", "failed"}:
            return None
        return asyncio.run_coroutine_threadsafe(self._renew(name), self._loop)

    def close(self) -> None:
        """Stop everything, in reverse order, and wait for it: at most each one's grace and five seconds, in a row."""
        if self._closed:
            return
        self._closed = True
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
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

    # -------------------------------------------------------------------------------------------------- telling others

    def _row(self, member: Member, state: State, trouble: Trouble) -> Row:
        return Row(
            id=member.component.id,
            state=state,
            reason=self._ground.masks.text(trouble.reason),
            pid=member.pid,
            port=member.port,
            url=member.url,
            attempts=member.starts,
            seconds=max(0.0, self._ground.clock() - member.begun) if member.begun else 0.0,
            hint=self._ground.masks.text(trouble.hint),
            required=member.component.required,
            degraded=f"{member.component.id} on failover" if member.on_failover else "",
            identity=member.identity_in_words(),
            incidents=member.incidents,
            recoveries=member.recoveries,
            failovers=member.failovers,
            latency_seconds=member.latency,
            incident=member.incident if state != "healthy" else "",
        )

    def _publish(
        self, name: str, state: State, trouble: Trouble | None = None, action: str = "", *, dead: bool = False
    ) -> None:
        """A new state: shown, recorded, and told to whoever waits for one."""
        incident = self._members[name].incident
        if state == "healthy":
            self._members[name].incident = ""
        row = self._rows[name] = self._row(self._members[name], state, trouble or Trouble(""))
        body: dict[str, Any] = {
            "component": name,
            "state": state,
            "pid": row.pid,
            "port": row.port,
            "attempt": max(1, row.attempts),
            "reason": row.reason,
            "seconds": row.seconds,
        }
        if row.url:
            body["url"] = row.url
        if state == "starting":
            body["bound_seconds"] = once_bound_seconds(self._members[name].component)
        if action:
            body["action"] = action
        if incident:
            body["incident"] = incident
        if state == "unhealthy" and not action and trouble is not None and incident:
            component = self._members[name].component
            aside = [self._members[other].component for other in self._dependents(name)]
            body["ago_seconds"], body["bound_seconds"] = trouble.ago_seconds, bound_seconds(component, aside, dead=dead)
        # A disk that refuses is told to the run by its own next event; the services go on until it ends.
        with contextlib.suppress(OrchestraError):
            self._on_event(body)
        pulse, self._pulse = self._pulse, asyncio.Event()
        pulse.set()
        self._wake()

    def _starting(self, member: Member, why: str) -> None:
        self._publish(member.component.id, "starting", Trouble(why))

    # -------------------------------------------------------------------------------------------------------- coming up

    def _want(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._tasks and not self._closed:
                self._begin(name)

    def _begin(self, name: str) -> None:
        task = asyncio.get_running_loop().create_task(self._live_guarded(name), name=name)
        self._tasks[name] = task

    async def _live_guarded(self, name: str) -> None:
        """A component's life; a bug of ours in it fails the component, so that nothing waits for it for ever."""
        try:
            await self._live(name)
        except Exception as error:  # noqa: BLE001 - it is told with its traceback in the component's log
            self._members[name].journal.begin(traceback.format_exc())
            self._publish(name, "failed", Trouble(f"met a bug of orchestra: {error!r}", "please report it"))

    async def _live(self, name: str) -> None:
        """Come up when all needs are healthy, then be watched, until it has failed for good."""
        member = self._members[name]
        trouble = await self._needs_settled(name)
        if trouble is not None:
            await self._give_up(name, trouble)
            return
        basis = self._basis(name)
        resumed = member.comes_back() and basis == member.basis
        trouble = await (member.still_ready() if resumed else member.come_up())
        if trouble is not None and resumed:
            trouble = await member.come_up()
        member.basis = basis
        if trouble is not None and not (member.was_healthy and member.component.ladder):
            await self._give_up(name, trouble)
            return
        if trouble is None:
            member.was_healthy = True
            self._publish(name, "healthy", Trouble("is up by `orchestra up`") if member.standing is not None else None)
            trouble = await self._trouble(member)
        # One that was healthy and does not come up again behind what it needs has an incident of its own.
        while trouble is not None:
            end = await (self._take_back(name) if trouble is _COOLED else self._recover(name, trouble))
            if end is not None and trouble is not _COOLED:
                await self._give_up(name, end)
                return
            trouble = end or await self._trouble(member)

    def _basis(self, name: str) -> Basis:
        """What a component rests on now: of each need how often it came up, and its names."""
        needs = (self._members[need] for need in self._members[name].component.needs)
        return {need.component.id: (need.starts, dict(need.bound)) for need in needs}

    async def _give_up(self, name: str, trouble: Trouble) -> None:
        member = self._members[name]
        await member.go_down()
        self._publish(name, "failed", trouble)

    async def _needs_settled(self, name: str) -> Trouble | None:
        """Wait until each need is healthy; which one has failed, or None. Bounded, because every need's own life is."""
        needs = self._members[name].component.needs
        while True:
            for need in needs:
                row = self._rows[need]
                if row.state == "failed":
                    self._members[name].incident = row.incident
                    return Trouble(f"needs {need}, which {row.reason}", row.hint)
            if all(self._rows[need].state == "healthy" for need in needs):
                return None
            await self._pulse.wait()

    # --------------------------------------------------------------------------------------------------------- watching

    async def _trouble(self, member: Member) -> Trouble | None:
        """Wait until something is wrong with a healthy component; None when there is nothing to watch."""
        live = member.component.live
        watches = [] if live is None else [asyncio.ensure_future(self._misses(member, live))]
        if member.stands():
            watches.append(asyncio.ensure_future(self._death(member)))
        if member.on_failover and member.component.fail_back:
            watches.insert(0, asyncio.ensure_future(self._cooled(member)))
        if not watches:
            return None
        try:
            done, _ = await asyncio.wait(watches, return_when=asyncio.FIRST_COMPLETED)
            return next(watch for watch in reversed(watches) if watch in done).result()
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)

    async def _death(self, member: Member) -> Trouble:
        if member.standing is not None:
            await member.gone()
            return Trouble("ended while tests ran; `orchestra up` had started it")
        code = await member.death()
        return Trouble(f"ended with {ending(code)} while tests ran", f"its output is in {member.journal.path}")

    async def _cooled(self, member: Member) -> Trouble:
        """Wait until the backup has served its time and nothing uses it: no test begins any more that requires it."""
        await self._ground.sleep(member.component.cool_down_seconds)
        name = member.component.id
        self._publish(name, "unhealthy", Trouble("is taken back from its backup"))
        aside = self._dependents(name)
        while any(map(self._in_use, (name, *aside))):
            await self._ground.sleep(_IDLE_POLL_SECONDS)
        return _COOLED

    async def _misses(self, member: Member, live: Live) -> Trouble:
        name, clock = member.component.id, self._ground.clock
        watch, answer, well = Watch(healthy=True), None, clock()
        while watch.healthy:
            await self._between(name, live, watch)
            waiting, self._wanted[name] = self._wanted[name], []
            begun = clock()
            answer = await member.ask(live.probe)
            watch = step(watch, passed=not answer.reason, successes=1, failures=live.failures)
            if answer.reason:
                self._wanted[name] = [*waiting, *self._wanted[name]]
            else:
                well = begun
                for one in waiting:
                    one.set_result(None)
        said, hint = (answer.reason, answer.hint) if answer is not None else ("", "")
        reason = f"missed {watch.misses} probes in a row while tests ran: {said}"
        return Trouble(reason, hint, ago_seconds=max(0.0, clock() - well))

    async def _between(self, name: str, live: Live, watch: Watch) -> None:
        """The pause before the next probe; short when somebody waits for what it says."""
        if watch.misses and self._wanted[name]:
            await self._ground.sleep(min(live.every_seconds, _HURRY_SECONDS))
            return
        nap = asyncio.ensure_future(self._nap(live.every_seconds))
        asked = asyncio.ensure_future(self._asked.wait())
        try:
            while not nap.done() and not self._wanted[name]:
                if asked.done():  # somebody waits for another one
                    asked = asyncio.ensure_future(self._asked.wait())
                await asyncio.wait({nap, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            nap.cancel()
            asked.cancel()
            await asyncio.gather(nap, asked, return_exceptions=True)

    async def _nap(self, seconds: float) -> None:
        await self._ground.sleep(seconds)

    def _looking(self, names: Sequence[str], done: Callable[[], None]) -> None:
        task = asyncio.get_running_loop().create_task(self._look(names, done))
        self._looks.add(task)
        task.add_done_callback(self._looks.discard)

    async def _look(self, names: Sequence[str], done: Callable[[], None]) -> None:
        try:
            await asyncio.gather(*map(self._known, names))
        finally:
            done()
            self._wake()

    async def _known(self, name: str) -> None:
        """Wait until a component that is said to be healthy has proven it, or is no longer said to be."""
        member = self._members[name]
        asked: asyncio.Future[None] | None = None
        if self._rows[name].state == "healthy" and (not member.stands() or await member.lives()):
            if member.component.live is None:
                return
            asked = asyncio.get_running_loop().create_future()
            self._wanted[name].append(asked)
            self._hurry()
        while self._rows[name].state == "healthy" and not (asked is not None and asked.done()):
            pulse = asyncio.ensure_future(self._pulse.wait())
            futures: set[asyncio.Future[Any]] = {pulse} if asked is None else {pulse, asked}
            await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
            pulse.cancel()

    def _hurry(self) -> None:
        """Let every watcher that sleeps see whether somebody waits for it."""
        asked, self._asked = self._asked, asyncio.Event()
        asked.set()

    # ------------------------------------------------------------------------------------------------------- recovering

    def _dependents(self, name: str) -> list[str]:
        """Services that need this one and were begun, in the order of their start."""
        found = {name}
        for other in self._order:
            if other in self._tasks and any(need in found for need in self._members[other].component.needs):
                found.add(other)
        return [other for other in self._order if other in found and other != name]

    async def _recover(self, name: str, trouble: Trouble) -> Trouble | None:
        """Climb the ladder; None when it is healthy again, else why it has failed for good."""
        member = self._members[name]
        component = member.component
        member.incidents += 1
        member.incident = f"{name}-{self._numbered.get(name, 0) + member.incidents}"
        dead = await self._dead(member)
        self._publish(name, "unhealthy", trouble, dead=dead)
        aside = await self._put_aside(name)
        tried: list[int] = []
        last: Trouble | None = trouble
        action: Action | None = None
        try:
            while last is not None:
                dead = await self._dead(member)
                action = decide(component.ladder, component.retries, tried, self._ground.rand(), dead=dead)
                if action is None:
                    return _past_the_ladder(component, trouble, last, tried)
                tried.append(action.rung)
                await self._ground.sleep(action.wait_seconds)
                member.recoveries += 1
                last = await self._act(member, action, aside)
                if last is not None:
                    self._publish(name, "unhealthy", last, action.kind)
            self._publish(name, "healthy", action=action.kind if action is not None else "")
        finally:
            self._resume(aside)
        return None

    async def _dead(self, member: Member) -> bool:
        """Whether a service has no process any more."""
        return member.component.service is not None and not await member.lives()

    async def _take_back(self, name: str) -> Trouble | None:
        """Start the primary in place of the backup, and the backup again when it does not come up."""
        member = self._members[name]
        aside = await self._put_aside(name)
        try:
            for other in reversed(aside):
                await self._members[other].go_down()
            await member.go_down()
            member.fail_back()
            lost = await member.come_up()
            if lost is not None:
                await member.go_down()
                member.fail_over()
                member.failovers -= 1  # it is the same failover, which goes on
                said = Trouble(f"could not be taken back: {lost.reason}", lost.hint)
                self._publish(name, "unhealthy", said, "fail_back")
                lost = await member.come_up()
            if lost is None:
                self._publish(name, "healthy", action="" if member.on_failover else "fail_back")
        finally:
            self._resume(aside)
        return lost

    def _resume(self, aside: Iterable[str]) -> None:
        for other in aside:
            # Another incident may have put it aside too, and begun it again: a component has one life at a time.
            task = self._tasks.get(other)
            if task is not None and task.done() and not self._closed and self._rows[other].state != "failed":
                self._begin(other)

    async def _put_aside(self, name: str) -> list[str]:
        """Stop watching and starting whatever needs this one, until it is healthy again or has failed."""
        aside = [other for other in self._dependents(name) if self._rows[other].state != "failed"]
        for other in aside:
            self._tasks[other].cancel()
        await asyncio.gather(*(self._tasks[other] for other in aside), return_exceptions=True)
        for other in aside:
            self._publish(other, "unhealthy", Trouble(f"waits for {name}, which is being recovered"))
        return aside

    async def _act(self, member: Member, action: Action, aside: Sequence[str]) -> Trouble | None:
        """One action of the ladder; None when the component is healthy after it."""
        if action.kind in {"retry", "run"}:
            if action.kind == "run":
                try:
                    lost = await member.repair(action.run, action.timeout_seconds)
                except OrchestraError as error:
                    lost = Trouble(f"has a repair that cannot be started: {error.message}", error.hint)
                if lost is not None:
                    return lost
            return await self._answers(member)
        for other in reversed(aside):
            await self._members[other].go_down()
        had = member.port
        if action.kind == "failover":
            await member.go_down()
            member.fail_over()
        but = {had: f"port {had} was given up"} if action.kind == "port" and had is not None else {}
        return await member.come_up(but=but)

    async def _answers(self, member: Member) -> Trouble | None:
        """Whether it is healthy as it is."""
        if member.component.service is not None and not await member.lives():
            return Trouble("does not run")
        probes = [one.probe for one in (member.component.live, member.component.ready) if one is not None]
        for probe in probes[:1]:
            answer = await member.ask(probe)
            if answer.reason:
                return Trouble(answer.reason, answer.hint)
        return None

    # ------------------------------------------------------------------------------------------------------- going down

    async def _stop(self, names: Sequence[str]) -> None:
        over = {*names, *(other for name in names for other in self._dependents(name))}
        for name in over:
            task = self._tasks.pop(name, None)
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        for name in [name for name in reversed(self._order) if name in over]:
            member = self._members[name]
            await self._down(name, ())
            member.standing = None
            member.fail_back()
            member.incident, member.was_healthy = "", False
            self._rows[name] = self._row(member, "idle", Trouble(""))

    async def _renew(self, name: str) -> None:
        member = self._members[name]
        for rung in member.component.between:
            if rung.kind == "restart":
                await self._stop([name])
                continue
            try:
                lost = await member.repair(rung.run, rung.timeout_seconds)
            except OrchestraError as error:
                lost = Trouble(f"has a command between methods that cannot be started: {error.message}", error.hint)
            if lost is not None:
                await self._stop([name])
                self._publish(name, "failed", lost)
                return

    async def _shut(self) -> None:
        """Cancel every life, stop every service once all that need it are gone, and end the loop."""
        try:
            tasks = [*self._tasks.values(), *self._looks]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            downs: dict[str, asyncio.Task[None]] = {}
            for name in reversed(self._order):
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
        self._publish(name, "stopped", Trouble(left))


def _past_the_ladder(component: Component, trouble: Trouble, last: Trouble, tried: Sequence[int]) -> Trouble:
    """Why a component has failed for good.

    Args:
        component: with its ladder.
        trouble: what was seen first.
        last: what was seen after the last action.
        tried: the index of the rung of each action.
    """
    if not component.ladder:
        return Trouble(f"{trouble.reason} and has no `recover`", "declare a ladder: recover: [restart]")
    if not tried:
        return Trouble(
            f"{trouble.reason}, and no rung of its `recover` starts it again", "write recover: [retry, restart]"
        )
    what = counted([component.ladder[index].kind for index in tried])
    return Trouble(f"{trouble.reason}; {last.reason} and was not brought back by {what}", last.hint)
