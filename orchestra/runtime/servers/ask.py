"""Questions to one component: whether it is ready, what a probe answers, and who gave the answer.

Every question that a service gets while it starts is a race with the end of its process: a start that dies is known at
once, however long the probe would take.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec

from orchestra.plan import Probe, Ready
from orchestra.probes.kind import Answer
from orchestra.runtime.servers import identity
from orchestra.runtime.servers.member import Member
from orchestra.runtime.servers.probe import Scene
from orchestra.runtime.servers.recovery import Watch, poll_seconds, step, wait_seconds
from orchestra.runtime.servers.row import Trouble
from orchestra.runtime.servers.service import ending

SETTLE_SECONDS = 0.2
"""A service without `ready` counts as ready when it has run this long: a command that ends at once is no service."""

_STRANGER_LIMIT = 3
_SHORTEST_PROBE_SECONDS = 0.05

_T = TypeVar("_T")


class Died(Exception):  # noqa: N818 - it is an event, no error
    """The process of a service ended; `code` is its exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


async def still_ready(member: Member) -> Trouble | None:
    """Ask whether a running component is ready after an incident of what it needs; None when it is."""
    member.begun = member.ground.clock()
    try:
        return await until_ready(member, member.component.ready if member.standing is None else ready_as_kept(member))
    except Died as died:
        return member.with_output(f"ended with {ending(died.code)}")


def ready_as_kept(member: Member) -> Ready | None:
    """Return how a component that is up shows that it is ready. Its keeper has its output, so its port is asked instead."""
    ready = member.component.ready
    if ready is None or not member.prober.kind_of(ready.probe).reads_log:
        return ready
    return None if member.port is None else msgspec.structs.replace(ready, probe=Probe("tcp", {}))


async def until_ready(member: Member, ready: Ready | None, tries: int | None = None) -> Trouble | None:
    """Ask until the probe has passed often enough; why it has not, or None.

    Args:
        member: the component.
        ready: the condition; without one, a service has to run for a moment.
        tries: how many misses are allowed, with the waits of `retries`; None polls as long as the time lasts.

    Raises:
        Died: the service's process has ended.
    """
    if ready is None:
        await _alive_for(member, SETTLE_SECONDS if member.running is not None else 0.0)
        return None
    clock, watch, missed, last = member.ground.clock, Watch(), 0, Answer()
    over = clock() + ready.within_seconds
    while True:
        left = max(_SHORTEST_PROBE_SECONDS, over - clock())
        whole = left >= ready.probe.timeout_seconds
        probe = ready.probe if whole else msgspec.structs.replace(ready.probe, timeout_seconds=left)
        answer = await _or_death(member, ask(member, probe))
        # A probe that the end of the start cut short is less informative than the one before it.
        last = last if answer.timed_out and not whole and last.reason else answer
        watch = step(watch, passed=not answer.reason, successes=ready.successes, failures=1)
        if watch.healthy:
            return None
        missed += bool(answer.reason)
        if member.strangers >= _STRANGER_LIMIT:
            return Trouble(answer.reason, answer.hint, stranger=True)
        if answer.final or (tries is not None and missed >= tries):
            return Trouble(answer.reason, answer.hint)
        pause = poll_seconds(missed)
        if tries is not None and answer.reason:
            pause = wait_seconds(member.component.retries, missed, member.ground.rand())
        if clock() + pause >= over:
            return _out_of_time(member, ready, last)
        await _alive_for(member, pause)


def _out_of_time(member: Member, ready: Ready, last: Answer) -> Trouble:
    """Return why a component was not ready in time: the last answer, and the port at which it listens instead."""
    answered = f": {last.reason}" if last.reason else ""
    where, hint = _listens_elsewhere(member, ready.probe)
    return member.with_output(
        f"did not get ready within {ready.within_seconds:g} s{answered}{where}", last.hint or hint
    )


def _listens_elsewhere(member: Member, probe: Probe) -> tuple[str, str]:
    """Return where a service listens that does not at the address at which it is asked, and a fix for that."""
    running, port, host = member.running, member.port, member.host
    key = member.prober.kind_of(probe).address
    if running is None or port is None or not key or key in probe.args:
        return "", ""
    reaped = running.process.popen.returncode is not None
    held = identity.held_by(running.process.pid, running.process.mark, reaped=reaped)
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if shown in held or any(address in held for address in (f"0.0.0.0:{port}", f"[::]:{port}")):
        return "", ""
    if not held:
        return "; it listens on no port", ""
    other = held[0].rpartition(":")
    fix = f'`host: "{other[0].strip("[]")}"`' if other[2] == str(port) else f"`port: {other[2]}`"
    return f"; it listens on {' and '.join(held)}, not on {shown}", f"let it listen on {shown}, or write {fix}"


async def ask(member: Member, probe: Probe) -> Answer:
    """Ask one probe; an answer of another process in the service's place is a miss that names that process."""
    declared = member.component.identity
    scene = Scene(
        root=member.ground.root,
        env=member.ground.env,
        lookup=member.lookup,
        mark=member.next_mark("probe"),
        host=member.host,
        port=member.port,
        url=member.url,
        said=member.journal.said,
        identity=declared if isinstance(declared, dict) else {},
        place=member.place_of,
    )
    begun = member.ground.clock()
    answer = await member.prober.ask(probe, scene)
    member.latency = member.ground.clock() - begun
    if answer.reason:
        return answer
    if answer.names:
        member.learn(answer.names)
    if not member.has_process() or answer.peer is None or declared != "own" or not identity.is_local(answer.peer[0]):
        return answer
    who = _answerer(member, answer.peer)
    if not who.stranger:
        member.strangers = 0
        return answer
    member.strangers += 1
    return Answer(
        f"port {answer.peer[1]} is answered by {who.stranger}, not by the started process",
        "end that process, or use another port",
    )


def _answerer(member: Member, peer: tuple[str, int]) -> identity.Answerer:
    """Return who answers at an address: what was started here, or what `orchestra up` has started."""
    running, standing = member.running, member.standing
    if running is not None:
        who = identity.answerer(running.process, *peer, running.known)
        running.known = who.inodes
    elif standing is not None and standing.pid is not None:
        who = identity.answerer_of(standing.pid, standing.mark, *peer, known=member.sockets)
        member.sockets = who.inodes
    else:
        raise AssertionError("asked for a component with a process")
    return who


async def _alive_for(member: Member, seconds: float) -> None:
    """Sleep; raise Died as soon as the service's process has ended."""
    await _or_death(member, _sleep(member, seconds))


async def _sleep(member: Member, seconds: float) -> None:
    await member.ground.sleep(seconds)


async def _or_death(member: Member, work: Coroutine[Any, Any, _T]) -> _T:
    """Return the result of work, or raise Died as soon as the service's process has ended, however long that takes."""
    if member.running is None:
        return await work
    working, death = asyncio.ensure_future(work), asyncio.ensure_future(member.death())
    try:
        await asyncio.wait({working, death}, return_when=asyncio.FIRST_COMPLETED)
        if death.done():
            raise Died(death.result())
        return working.result()
    finally:
        for task in (working, death):
            task.cancel()
        await asyncio.gather(working, death, return_exceptions=True)
