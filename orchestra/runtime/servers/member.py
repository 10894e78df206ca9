"""One component of the health matrix: its process, its names, its counts, and its end.

Knows nothing of the other components but the names that they bind. `start` brings it up, `ask` asks it, `watching` and
`climb` do the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import psutil

from orchestra.errors import MachineError
from orchestra.instances import component_of
from orchestra.plan import Component, Live, Ready
from orchestra.probes.reply import short
from orchestra.runtime.processes.ends import end_of, exit_of
from orchestra.runtime.processes.process import alive
from orchestra.runtime.servers import identity, up
from orchestra.runtime.servers.journal import Journal
from orchestra.runtime.servers.lending import Lending
from orchestra.runtime.servers.probe import Prober
from orchestra.runtime.servers.row import Row, State, Trouble
from orchestra.runtime.servers.service import Ground, Running, release, stop
from orchestra.runtime.servers.up import UpRow

_BACKGROUND_POLL_SECONDS = 0.5
_SHORTEST_PAUSE_SECONDS = 0.02
_ASK_AGAIN_SECONDS = (0.0, 0.02, 0.1)

Basis: TypeAlias = Mapping[str, tuple[int, Mapping[str, str]]]
"""Of each need of a component: how often it came up, and the names that it binds."""


class Member:
    """A component with what it holds. Belongs to the thread of the matrix; `bound` may be read from any.

    Args:
        component: of the plan.
        ground: the project, the run, and clock, sleep and chance.
        prober: asks its probes.
        names: every name that is bound so far.
        own: names of an instance: its folder and its number.
        locks: the folder of port reservations.
        starting: called when a start begins, with the reason.
        lent: what `orchestra up` keeps of it, to be used without a start.
        starts: whether it may be started; else what is lent is all that there is.
        lending: its sharing with other runs; None where it is not shared.
    """

    def __init__(
        self,
        component: Component,
        ground: Ground,
        prober: Prober,
        *,
        names: Callable[[], Mapping[str, str]],
        locks: Callable[[], Path],
        starting: Callable[[Member, str], None],
        lent: UpRow | None = None,
        starts: bool = True,
        lending: Lending | None = None,
        own: Mapping[str, str] = MappingProxyType({}),
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
        self.lent = lent
        self.may_start = starts
        self.lending = lending
        self.sockets: frozenset[int] = frozenset()
        self.ground = ground
        self.prober = prober
        self.names = names
        self.own = own
        # Attempts that have used an instance so far, after how many it was reset last, and for how many a reset is asked.
        # Numbers, because a reset that is asked twice must not be done a second time under the next attempt.
        self.uses = self.reset_uses = self.reset_for = 0
        self.reset_asked = asyncio.Event()
        self.reset_failed = False
        self.locks = locks
        self.starting = starting
        self._marks = 0
        self.strangers = 0
        self.journal = Journal(ground.folder / "services" / f"{component.id}.log", ground.masks, clock=ground.clock)

    # -------------------------------------------------------------------------------------------------- what it is now

    def row(self, state: State, trouble: Trouble) -> Row:
        """Return its row of the matrix, in a state, without secrets."""
        text = self.ground.masks.text
        return Row(
            id=self.component.id,
            state=state,
            reason=text(trouble.reason),
            pid=self.pid,
            port=self.port,
            url=self.url,
            attempts=self.starts,
            seconds=max(0.0, self.ground.clock() - self.begun) if self.begun else 0.0,
            hint=text(trouble.hint),
            required=self.component.required,
            degraded=f"{self.component.id} on failover" if self.on_failover else "",
            identity=self.identity_in_words(),
            incidents=self.incidents,
            recoveries=self.recoveries,
            failovers=self.failovers,
            latency_seconds=self.latency,
            incident=self.incident if state != "healthy" else "",
        )

    def offer(self, row: Row) -> None:
        """Let other runs use a shared component while it is healthy and was started here."""
        if self.lending is None:
            return
        if row.state == "healthy" and self.standing is None and not row.degraded:
            mark = self.running.process.mark if self.running is not None else ""
            self.lending.lend(up.row_of(row, self.bound, mark))
        else:
            self.lending.withdraw()

    @property
    def host(self) -> str:
        """Return the address at which it is reached; empty when it has none."""
        return self.bound.get("host", "")

    @property
    def port(self) -> int | None:
        """Return its port."""
        text = self.bound.get("port", "")
        return int(text) if text.isdigit() else None

    @property
    def url(self) -> str:
        """Return its URL."""
        return self.bound.get("url", "")

    @property
    def pid(self) -> int | None:
        """Return the id of its process, started by this matrix or by `orchestra up`."""
        if self.running is not None:
            return self.running.process.pid
        return self.standing.pid if self.standing is not None else None

    def has_process(self) -> bool:
        """Return whether it has a process, started by this matrix or by `orchestra up`."""
        return self.running is not None or (self.standing is not None and self.standing.pid is not None)

    def comes_back(self) -> bool:
        """Return whether it is up already or has done its work. Its needs decide whether that still counts."""
        return self.has_process() or (self.was_healthy and self.component.service is None)

    def identity_in_words(self) -> str:
        """Return how its answers are known to be its own."""
        declared = self.component.identity
        if isinstance(declared, str):
            return declared if self.service is not None or self.component.url else "none"
        return " and ".join(sorted(declared))

    def patterns(self) -> tuple[str, ...]:
        """Return the patterns that its log probes look for."""
        probes = [part.probe for part in (self.component.ready, self.component.live) if part is not None]
        return tuple(str(probe.args["match"]) for probe in probes if self.prober.kind_of(probe).reads_log)

    def place_of(self, pattern: str) -> str:
        """Return where a pattern of its probes is in the spec, else where its row is."""
        row = f"/health/{component_of(self.component.id)}"
        for part in ("ready", "live"):
            asked: Ready | Live | None = getattr(self.component, part)
            for key, value in asked.probe.args.items() if asked is not None else ():
                if asked is not None and value == pattern:
                    return self.ground.place(f"{row}/{part}/{asked.probe.kind}/{key}")
        return self.ground.place(row)

    def lookup(self, name: str) -> str:
        """Return the value of a runtime variable in the component's own texts."""
        if name == "port" and self.port is not None:
            return str(self.port)
        if name in self.own:
            return self.own[name]
        head, _, rest = name.partition(".")
        value = self.ground.env.get(rest) if head == "env" else self.names().get(name)
        if value is not None:
            return value
        if head == "env":
            raise MachineError(f"the environment variable {rest} is not set", f"export {rest}=…")
        hint = f"add {head} to its `needs`" if rest else "give it a `port` or a `port_range`"
        raise MachineError(f"${{{name}}} has no value yet", hint)

    def next_mark(self, word: str) -> str:
        """Return the tree mark of its next job, repair or probe."""
        self._marks += 1
        return f"{self.ground.mark}/{word}:{self.component.id}/{self._marks}"

    def bind(self, host: str, port: int | None, more: Mapping[str, str] = MappingProxyType({})) -> None:
        """Set its address, and more names that it binds."""
        host = identity.reachable(host)
        shown = f"[{host}]" if ":" in host else host
        own = {"host": host, "port": str(port), "url": f"http://{shown}:{port}"} if port is not None else {}
        self.bound = MappingProxyType({**own, **more})

    def learn(self, groups: Mapping[str, str]) -> None:
        """Add names that the service printed. A port that it chose itself gives it an address."""
        if self.service is not None and groups.get("port", "").isdigit():
            self.bind(groups.get("host") or self.service.host, int(groups["port"]), groups)
        else:
            self.bound = MappingProxyType({**self.bound, **groups})

    # ------------------------------------------------------------------------------------------------ whether it lives

    async def death(self) -> int:
        """Wait for the end of the service's process; its exit code.

        One that ends with 0 and leaves processes behind has gone to the background: it lives as long as they do.
        """
        running = self.running
        if running is None:
            raise AssertionError("nothing runs")
        code = await exit_of(running.process, self.ground.sleep)
        while code == 0 and (left := await self._left()):
            await self._until_ended(left)
        return code

    async def _left(self) -> list[psutil.Process]:
        """Return the processes of a service that live after its leader.

        Listed more than once: a process that forks away moves faster than a list of processes is made.
        """
        for pause in _ASK_AGAIN_SECONDS:
            left = self.running.left() if self.running is not None else []
            if left or self.running is None:
                return left
            await self.ground.sleep(pause)
        return self.running.left() if self.running is not None else []

    async def _until_ended(self, processes: Sequence[psutil.Process]) -> None:
        """Wait until these have ended, or for a moment where the system reports no end: a new list takes long."""
        reported = [await end_of(process.pid, partial(alive, process)) for process in processes]
        await self.ground.sleep(_SHORTEST_PAUSE_SECONDS if any(reported) else _BACKGROUND_POLL_SECONDS)

    async def lives(self) -> bool:
        """Return whether a process of the service runs."""
        if self.standing is not None:
            return self.standing.pid is None or up.lives(self.standing)
        if self.running is None:
            return False
        return self.running.process.popen.poll() is None or bool(await self._left())

    async def dead(self) -> bool:
        """Return whether it is a service without a process."""
        return self.component.service is not None and not await self.lives()

    async def gone(self) -> None:
        """Wait for the end of a process that `orchestra up` or another run has started."""
        while self.standing is not None and (living := up.living(self.standing)):
            await self._until_ended(living)

    # ------------------------------------------------------------------------------------------------------- going down

    async def go_down(self) -> int:
        """End its process with the whole tree; how many processes outlived KILL. Without a process nothing happens.

        A process that `orchestra up` keeps is no longer used, and stays up.
        """
        self.standing = None
        if self.lending is not None:
            self.lending.give_back()
        running = self.running
        if running is None:
            return 0
        survivors = await stop(self.ground, running, self.service)
        self.running = None
        return survivors

    def let_go(self) -> None:
        """Close its pipe and its log, when the loop ends."""
        if self.running is not None:
            release(self.ground, self.running)
            self.running = None
        self.journal.close()

    def fail_over(self) -> None:
        """Let later starts start the backup."""
        self.service = self.component.failover or self.component.service
        self.failovers += not self.on_failover
        self.on_failover = True

    def fail_back(self) -> None:
        """Let later starts start the primary."""
        self.service = self.component.service
        self.on_failover = False

    def with_output(self, reason: str, hint: str = "") -> Trouble:
        """Return a trouble with the last lines of the output."""
        if self.running is not None:
            self.running.pipe.drain()
        lines = self.journal.last_lines().splitlines()
        path = self.journal.path
        words = short(" | ".join(lines[-3:]))
        where = f"its output is in {path}" if path.exists() else ""
        return Trouble(self.ground.masks.text(f"{reason}; its last words: {words}" if words else reason), hint or where)
