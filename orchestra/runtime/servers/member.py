"""One component of the health matrix: how it comes up, is asked, and goes down.

May import `service`, `probe`, `port`, `identity`, `recovery`.

Knows nothing of the other components but the names that they bind; order, watching and recovery are `health`'s. Longer
than other modules because a start and the questions asked during it are read together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias
from urllib.parse import urlsplit

import msgspec
import psutil

from orchestra.errors import MachineError, OrchestraError
from orchestra.names import expand
from orchestra.plan import Component, Job, Live, Probe, Ready, Service
from orchestra.runtime.processes.ends import end_of, exit_of
from orchestra.runtime.processes.process import alive
from orchestra.runtime.reply import short
from orchestra.runtime.servers import identity, up
from orchestra.runtime.servers.port import Port, Taken, busy, reserve
from orchestra.runtime.servers.probe import Answer, Prober, Scene
from orchestra.runtime.servers.recovery import Watch, poll_seconds, step, wait_seconds
from orchestra.runtime.servers.row import Trouble
from orchestra.runtime.servers.service import Ground, Journal, Running, ending, finish, release, start, stop
from orchestra.runtime.servers.up import UpRow

SETTLE_SECONDS = 0.2
"""A service without `ready` counts as ready when it has run this long: a command that ends at once is no service."""

_STRANGER_LIMIT = 3
_BACKGROUND_POLL_SECONDS = 0.5
_SHORTEST_PAUSE_SECONDS = 0.02
_ASK_AGAIN_SECONDS = (0.0, 0.02, 0.1)
_SHORTEST_PROBE_SECONDS = 0.05


class _Died(Exception):  # noqa: N818 - it is no error but what happened
    """The process of a service ended; `code` is its exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


Basis: TypeAlias = Mapping[str, tuple[int, Mapping[str, str]]]
"""Of each need of a component: how often it came up, and the names that it binds."""


class Member:
    """A component with what it holds. Belongs to the thread of the matrix; `bound` may be read from any.

    Args:
        component: of the plan.
        ground: what it stands on.
        prober: asks its probes.
        names: every name that is bound so far.
        locks: the folder of port reservations.
        say: told when a start begins: reason.
        lent: what `orchestra up` keeps of it, to be used as it stands.
        starts: whether it may be started; else what is lent is all that there is.
    """

    def __init__(
        self,
        component: Component,
        ground: Ground,
        prober: Prober,
        *,
        names: Callable[[], Mapping[str, str]],
        locks: Callable[[], Path],
        say: Callable[[Member, str], None],
        lent: UpRow | None = None,
        starts: bool = True,
    ) -> None:
        self.component = component
        self.service = component.service
        self.running: Running | None = None
        self.bound: Mapping[str, str] = MappingProxyType({})
        self.starts = 0
        self.begun = 0.0
        self.on_failover = False
        self.incidents = 0
        self.recoveries = 0
        self.failovers = 0
        self.incident = ""
        self.was_healthy = False
        self.basis: Basis = {}
        self.latency: float | None = None
        self.standing: UpRow | None = None
        self._lent = lent
        self._may_start = starts
        self._sockets: frozenset[int] = frozenset()
        self._ground = ground
        self._prober = prober
        self._names = names
        self._locks = locks
        self._say = say
        self._asked = 0
        self._strangers = 0
        self.journal = Journal(ground.folder / "services" / f"{component.id}.log", ground.masks, clock=ground.clock)

    # -------------------------------------------------------------------------------------------------- what it is now

    @property
    def host(self) -> str:
        """The address at which it is reached; empty when it has none."""
        return self.bound.get("host", "")

    @property
    def port(self) -> int | None:
        """Its port."""
        text = self.bound.get("port", "")
        return int(text) if text.isdigit() else None

    @property
    def url(self) -> str:
        """Its address."""
        return self.bound.get("url", "")

    @property
    def pid(self) -> int | None:
        """Of its process, whoever started it."""
        if self.running is not None:
            return self.running.process.pid
        return self.standing.pid if self.standing is not None else None

    def stands(self) -> bool:
        """Whether it has a process, whoever started it."""
        return self.running is not None or (self.standing is not None and self.standing.pid is not None)

    def comes_back(self) -> bool:
        """Whether it is there already, or has done its work: what it needs decides whether that still counts."""
        return self.stands() or (self.was_healthy and self.component.service is None)

    def identity_in_words(self) -> str:
        """How its answers are known to be its own."""
        declared = self.component.identity
        if isinstance(declared, str):
            return declared if self.service is not None or self.component.url else "none"
        return " and ".join(sorted(declared))

    def patterns(self) -> tuple[str, ...]:
        """What its log probes look for."""
        probes = [one.probe for one in (self.component.ready, self.component.live) if one is not None]
        return tuple(str(probe.args["match"]) for probe in probes if probe.kind == "log")

    def _place_of(self, pattern: str) -> str:
        """Where a pattern of its probes is in the spec, or its row, where the pattern is not written so."""
        row = f"/health/{self.component.id}"
        for part in ("ready", "live"):
            asked: Ready | Live | None = getattr(self.component, part)
            for key, value in asked.probe.args.items() if asked is not None else ():
                if asked is not None and value == pattern:
                    return self._ground.place(f"{row}/{part}/{asked.probe.kind}/{key}")
        return self._ground.place(row)

    def _lookup(self, name: str) -> str:
        """The value of a late name in the component's own texts."""
        if name == "port" and self.port is not None:
            return str(self.port)
        head, _, rest = name.partition(".")
        value = self._ground.env.get(rest) if head == "env" else self._names().get(name)
        if value is not None:
            return value
        if head == "env":
            raise MachineError(f"the environment variable {rest} is not set", f"export {rest}=…")
        hint = f"add {head} to its `needs`" if rest else "give it a `port` or a `port_range`"
        raise MachineError(f"${{{name}}} has no value yet", hint)

    def _bind(self, host: str, port: int | None, more: Mapping[str, str] = MappingProxyType({})) -> None:
        host = identity.reachable(host)
        shown = f"[{host}]" if ":" in host else host
        own = {"host": host, "port": str(port), "url": f"http://{shown}:{port}"} if port is not None else {}
        self.bound = MappingProxyType({**own, **more})

    # ------------------------------------------------------------------------------------------------------ coming up

    async def come_up(self, *, but: Mapping[int, str] = MappingProxyType({})) -> Trouble | None:
        """Start it and wait until it is ready; why it is not, or None. What ran before is ended first.

        Args:
            but: ports not to be used, with the reason.
        """
        self.begun = self._ground.clock()
        try:
            lent, self._lent, why = self._lent, None, ""
            if lent is not None:
                trouble = await self._stand(lent)
                if trouble is None or not self._may_start:
                    return trouble
                why = f"what `orchestra up` keeps is not used: {trouble.reason}"
            if self.component.job is not None:
                return await self._job(self.component.job, why)
            if self.service is not None:
                return await self._service(self.service, dict(but), why)
            return await self._elsewhere()
        except OrchestraError as error:
            return Trouble(f"cannot be started: {error.message}", error.hint)

    async def _stand(self, lent: UpRow) -> Trouble | None:
        """Use what is up as it stands, once it has proven itself; why not, or None."""
        if self.service is not None and not up.lives(lent):
            return Trouble("its process is gone")
        self.bound, self.standing = MappingProxyType(dict(lent.bound)), lent
        self.starts += 1
        self._say(self, "")
        trouble = await self._until_ready(self._ready_now(), tries=self.component.retries.max + 1)
        if trouble is not None:
            self.bound, self.standing = MappingProxyType({}), None
        return trouble

    def _ready_now(self) -> Ready | None:
        """How one that is up shows that it is ready. What it wrote is its keeper's, so its port is asked instead."""
        ready = self.component.ready
        if ready is None or ready.probe.kind != "log":
            return ready
        return None if self.port is None else msgspec.structs.replace(ready, probe=Probe("tcp", {}))

    async def _job(self, job: Job, why: str) -> Trouble | None:
        await self.go_down()
        self.starts += 1
        self._say(self, why)
        code = await self._to_its_end(job)
        if code is None:
            return self._with_output(f"did not end within {job.timeout_seconds:g} s")
        if code:
            return self._with_output(f"ended with {ending(code)}")
        return await self._until_ready(self.component.ready)

    async def repair(self, run: tuple[str, ...], seconds: float) -> Trouble | None:
        """Run a repair of the ladder to its end, within so many seconds."""
        code = await self._to_its_end(Job(run, timeout_seconds=seconds), word="repair")
        if code is None:
            return Trouble(f"has a repair that did not end within {seconds:g} s")
        return self._with_output(f"has a repair that ended with {ending(code)}") if code else None

    async def _to_its_end(self, job: Job, word: str = "job") -> int | None:
        self.journal.begin(f"{word}: {' '.join(job.run)}", self.patterns())
        self._asked += 1
        mark = f"{self._ground.mark}/{word}:{self.component.id}/{self._asked}"
        running = start(self._ground, job, self.journal, mark=mark, lookup=self._lookup)
        try:
            return await finish(self._ground, running, job.timeout_seconds)
        except asyncio.CancelledError:
            await stop(self._ground, running, None)
            raise

    async def _elsewhere(self) -> Trouble | None:
        """A component that is not started: an address, a tool, a variable, a file."""
        url = expand(self.component.url, self._lookup).rstrip("/")
        if url:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            self._bind(parts.hostname or "", port, {"url": url})
        self.starts += 1
        self._say(self, "")
        trouble = await self._until_ready(self.component.ready, tries=self.component.retries.max + 1)
        if trouble is None:
            return None
        word = "is not to be reached" if url else "failed its check"
        return Trouble(f"{word}: {trouble.reason}", trouble.hint)

    async def _service(self, service: Service, taken: dict[int, str], why: str) -> Trouble | None:
        """Start until it is ready, a bound is over, or the tries or ports are used up."""
        await self.go_down()
        deaths = 0
        while True:
            port = self._reserve(service, taken)
            if isinstance(port, Taken):
                ports = "-".join(map(str, sorted(set(service.ports or ()))))
                listed = "; ".join(port.reasons)
                return Trouble(f"found no free port in {ports}: {listed}", "end what holds it, or widen `port_range`")
            self._launch(service, port, why)
            try:
                trouble = await self._until_ready(self.component.ready)
            except _Died as died:
                deaths += 1
                trouble = self._with_output(f"ended with {ending(died.code)} before it was ready")
                await self.go_down()
                if port is not None and (reason := busy(service.host, port.number)):
                    taken[port.number] = reason
                    why = reason
                elif deaths > self.component.retries.max:
                    return self._with_output(f"ended with {ending(died.code)} at each of {deaths} starts")
                else:
                    why = trouble.reason
                    await self._ground.sleep(wait_seconds(self.component.retries, deaths, self._ground.rand()))
                continue
            if trouble is None:
                return None
            await self.go_down()
            if not trouble.stranger or port is None:
                return trouble
            why = taken[port.number] = trouble.reason

    def _reserve(self, service: Service, taken: Mapping[int, str]) -> Port | Taken | None:
        """The port that it had, else the first free one."""
        if service.ports is None:
            return None
        low, high = service.ports
        had = self.port
        if had is not None and low <= had <= high and had not in taken:
            again = reserve(service.host, (had, had), but={}, folder=self._locks())
            if isinstance(again, Port):
                return again
        return reserve(service.host, (low, high), but=taken, folder=self._locks())

    def _launch(self, service: Service, port: Port | None, why: str) -> None:
        self.starts += 1
        self._strangers = 0
        self._bind(service.host, port.number if port is not None else None)
        self.journal.begin(f"start {self.starts}: {' '.join(service.run)}", self.patterns())
        mark = f"{self._ground.mark}/service:{self.component.id}/{self.starts}"
        try:
            self.running = start(self._ground, service, self.journal, mark=mark, lookup=self._lookup, port=port)
        except OrchestraError:
            if port is not None:
                port.release()
            raise
        self._say(self, why)

    # ----------------------------------------------------------------------------------------------------------- asking

    async def still_ready(self) -> Trouble | None:
        """Whether what runs is ready after an incident of what it needs; None when it is."""
        self.begun = self._ground.clock()
        try:
            return await self._until_ready(self.component.ready if self.standing is None else self._ready_now())
        except _Died as died:
            return self._with_output(f"ended with {ending(died.code)}")

    async def _until_ready(self, ready: Ready | None, tries: int | None = None) -> Trouble | None:
        """Ask until the probe has passed often enough.

        Args:
            ready: the condition; without one, a service has to run for a moment.
            tries: how many misses are allowed, with the waits of `retries`; None polls as long as the time lasts.

        Raises:
            _Died: the service's process has ended.
        """
        if ready is None:
            await self._alive_for(SETTLE_SECONDS if self.running is not None else 0.0)
            return None
        clock, watch, missed, last = self._ground.clock, Watch(), 0, Answer()
        over = clock() + ready.within_seconds
        while True:
            left = max(_SHORTEST_PROBE_SECONDS, over - clock())
            whole = left >= ready.probe.timeout_seconds
            probe = ready.probe if whole else msgspec.structs.replace(ready.probe, timeout_seconds=left)
            answer = await self._or_death(probe)
            # A probe that was cut short by the end of the whole says less than the one before it.
            last = last if answer.timed_out and not whole and last.reason else answer
            watch = step(watch, passed=not answer.reason, successes=ready.successes, failures=1)
            if watch.healthy:
                return None
            missed += bool(answer.reason)
            if self._strangers >= _STRANGER_LIMIT:
                return Trouble(answer.reason, answer.hint, stranger=True)
            if answer.final or (tries is not None and missed >= tries):
                return Trouble(answer.reason, answer.hint)
            pause = poll_seconds(missed)
            if tries is not None and answer.reason:
                pause = wait_seconds(self.component.retries, missed, self._ground.rand())
            if clock() + pause >= over:
                said = f": {last.reason}" if last.reason else ""
                where, hint = self._listens_elsewhere(ready.probe)
                reason = f"did not get ready within {ready.within_seconds:g} s{said}{where}"
                return self._with_output(reason, last.hint or hint)
            await self._alive_for(pause)

    def _listens_elsewhere(self, probe: Probe) -> tuple[str, str]:
        """Where a service listens that does not at the address at which it is asked, and what can be done about that."""
        running, port, host = self.running, self.port, self.host
        if running is None or port is None or probe.kind not in {"http", "tcp"} or {"url", "port"} & probe.args.keys():
            return "", ""
        reaped = running.process.popen.returncode is not None
        held = identity.held_by(running.process.pid, running.process.mark, reaped=reaped)
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if shown in held or any(one in held for one in (f"0.0.0.0:{port}", f"[::]:{port}")):
            return "", ""
        if not held:
            return "; it listens on no port", ""
        other = held[0].rpartition(":")
        fix = f'`host: "{other[0].strip("[]")}"`' if other[2] == str(port) else f"`port: {other[2]}`"
        return f"; it listens on {' and '.join(held)}, not on {shown}", f"let it listen on {shown}, or write {fix}"

    async def ask(self, probe: Probe) -> Answer:
        """One probe; an answer of somebody else in the service's place is a miss that names him."""
        self._asked += 1
        declared = self.component.identity
        scene = Scene(
            root=self._ground.root,
            env=self._ground.env,
            lookup=self._lookup,
            mark=f"{self._ground.mark}/probe:{self.component.id}/{self._asked}",
            host=self.host,
            port=self.port,
            url=self.url,
            said=self.journal.said,
            identity=declared if isinstance(declared, dict) else {},
            place=self._place_of,
        )
        begun = self._ground.clock()
        answer = await self._prober.ask(probe, scene)
        self.latency = self._ground.clock() - begun
        if answer.reason:
            return answer
        if answer.names:
            self._learn(answer.names)
        if not self.stands() or answer.peer is None or declared != "own" or not identity.is_local(answer.peer[0]):
            return answer
        who = self._answerer(answer.peer)
        if not who.stranger:
            self._strangers = 0
            return answer
        self._strangers += 1
        return Answer(
            f"port {answer.peer[1]} is answered by {who.stranger}, not by what was started",
            "end that process, or use another port",
        )

    def _answerer(self, peer: tuple[str, int]) -> identity.Answerer:
        """Who answers at an address: what was started here, or what `orchestra up` has started."""
        running, standing = self.running, self.standing
        if running is not None:
            who = identity.answerer(running.process, *peer, running.known)
            running.known = who.inodes
        elif standing is not None and standing.pid is not None:
            who = identity.answerer_of(standing.pid, standing.mark, *peer, known=self._sockets)
            self._sockets = who.inodes
        else:
            raise AssertionError("asked for what has a process")
        return who

    def _learn(self, groups: Mapping[str, str]) -> None:
        """Names that the service printed. A port that it chose itself gives it an address."""
        if self.service is not None and groups.get("port", "").isdigit():
            self._bind(groups.get("host") or self.service.host, int(groups["port"]), groups)
        else:
            self.bound = MappingProxyType({**self.bound, **groups})

    async def _or_death(self, probe: Probe) -> Answer:
        """The answer, or _Died as soon as the service's process has ended, however long the probe would take."""
        if self.running is None:
            return await self.ask(probe)
        asked, death = asyncio.ensure_future(self.ask(probe)), asyncio.ensure_future(self.death())
        try:
            await asyncio.wait({asked, death}, return_when=asyncio.FIRST_COMPLETED)
            if death.done():
                raise _Died(death.result())
            return asked.result()
        finally:
            for task in (asked, death):
                task.cancel()
            await asyncio.gather(asked, death, return_exceptions=True)

    async def _alive_for(self, seconds: float) -> None:
        """Sleep; _Died as soon as the service's process has ended."""
        if self.running is None:
            await self._ground.sleep(seconds)
            return
        death, nap = asyncio.ensure_future(self.death()), asyncio.ensure_future(self._nap(seconds))
        try:
            await asyncio.wait({death, nap}, return_when=asyncio.FIRST_COMPLETED)
            if death.done():
                raise _Died(death.result())
        finally:
            for task in (death, nap):
                task.cancel()
            await asyncio.gather(death, nap, return_exceptions=True)

    async def _nap(self, seconds: float) -> int:
        await self._ground.sleep(seconds)
        return 0

    async def death(self) -> int:
        """Wait for the end of the service's process; its exit code.

        One that ends with 0 and leaves processes behind has gone to the background: it lives as long as they do.
        """
        running = self.running
        if running is None:
            raise AssertionError("nothing runs")
        code = await exit_of(running.process, self._ground.sleep)
        while code == 0 and (left := await self._left()):
            await self._until_ended(left)
        return code

    async def _left(self) -> list[psutil.Process]:
        """What lives of a service behind its leader.

        Asked more than once: one that forks away moves faster than a list of processes is made, and can be missed in it.
        """
        for pause in _ASK_AGAIN_SECONDS:
            left = self.running.left() if self.running is not None else []
            if left or self.running is None:
                return left
            await self._ground.sleep(pause)
        return self.running.left() if self.running is not None else []

    async def _until_ended(self, processes: Sequence[psutil.Process]) -> None:
        """Wait until these have ended, or for a moment where nobody tells: to list all processes anew takes long."""
        told = [await end_of(one.pid, partial(alive, one)) for one in processes]
        await self._ground.sleep(_SHORTEST_PAUSE_SECONDS if any(told) else _BACKGROUND_POLL_SECONDS)

    async def lives(self) -> bool:
        """Whether something of the service runs."""
        if self.standing is not None:
            return self.standing.pid is None or up.lives(self.standing)
        if self.running is None:
            return False
        return self.running.process.popen.poll() is None or bool(await self._left())

    async def gone(self) -> None:
        """Wait for the end of what `orchestra up` has started."""
        while self.standing is not None and (living := up.living(self.standing)):
            await self._until_ended(living)

    # ------------------------------------------------------------------------------------------------------- going down

    async def go_down(self) -> int:
        """End what runs, with all that belongs to it; how many processes outlived KILL. Nothing runs: nothing happens.

        What `orchestra up` keeps is no longer used, and goes on.
        """
        self.standing = None
        running = self.running
        if running is None:
            return 0
        survivors = await stop(self._ground, running, self.service)
        self.running = None
        return survivors

    def let_go(self) -> None:
        """Close what is open, when the loop ends."""
        if self.running is not None:
            release(self._ground, self.running)
            self.running = None
        self.journal.close()

    def fail_over(self) -> None:
        """From now on the backup is what is started."""
        self.service = self.component.failover or self.component.service
        self.failovers += not self.on_failover
        self.on_failover = True

    def fail_back(self) -> None:
        """From now on the primary is what is started."""
        self.service = self.component.service
        self.on_failover = False

    def _with_output(self, reason: str, hint: str = "") -> Trouble:
        """A trouble with the last lines of the output."""
        if self.running is not None:
            self.running.pipe.drain()
        lines = self.journal.last_lines().splitlines()
        path = self.journal.path
        words = short(" | ".join(lines[-3:]))
        where = f"its output is in {path}" if path.exists() else ""
        return Trouble(
            self._ground.masks.text(f"{reason}; its last words: {words}" if words else reason), hint or where
        )
