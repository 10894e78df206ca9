"""The start of one component: a job, a service, a place elsewhere, or a component that `orchestra up` runs already."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

import msgspec

from orchestra.errors import OrchestraError
from orchestra.names import expand
from orchestra.plan import Job, Service
from orchestra.runtime.servers import up
from orchestra.runtime.servers.ask import Died, ready_as_kept, until_ready
from orchestra.runtime.servers.lending import Lending
from orchestra.runtime.servers.member import Member
from orchestra.runtime.servers.port import Port, Taken, busy, reserve
from orchestra.runtime.servers.recovery import once_bound_seconds, wait_seconds
from orchestra.runtime.servers.row import Trouble
from orchestra.runtime.servers.service import ending, finish, start, stop
from orchestra.runtime.servers.up import UpRow

_PORT_SECONDS = 0.2
"""Between two looks whether a port is free."""

_SHARE_SECONDS = 0.1
"""Between two looks whether another run lends its component."""


async def come_up(member: Member, *, but: Mapping[int, str] = MappingProxyType({}), why: str = "") -> Trouble | None:
    """Start a component and wait until it is ready; why it is not, or None. A process of an earlier start is ended first.

    Args:
        member: the component.
        but: ports not to be used, with the reason.
        why: the reason of this start, as its event has it.
    """
    member.begun = member.ground.clock()
    try:
        lent, member.lent = member.lent, None
        if lent is not None:
            trouble = await _use_kept(member, lent)
            if trouble is None or not member.may_start:
                return trouble
            why = f"the servers of {lent.by} are not used: {trouble.reason}"
        if member.lending is not None and member.may_start:
            used, trouble = await _use_shared(member, member.lending)
            if used or trouble is not None:
                return trouble
        if member.component.job is not None:
            return await _job(member, member.component.job, why)
        if member.service is not None:
            return await _service(member, member.service, dict(but), why)
        return await _elsewhere(member)
    except OrchestraError as error:
        return Trouble(f"cannot be started: {error.message}", error.hint)


async def _use_shared(member: Member, lending: Lending) -> tuple[bool, Trouble | None]:
    """Use the component of another run that shares it, once it is healthy there.

    Returns:
        Whether it is used, and why it can be neither used nor started. False and None: it is ours to start.
    """
    end = member.ground.clock() + once_bound_seconds(member.component)
    waits = False
    while (owner := lending.own()) is not None:
        row = lending.borrow()
        if row is not None:
            trouble = await _use_kept(member, msgspec.structs.replace(row, by=f"run {owner.run}"))
            if trouble is None:
                return True, None
            lending.give_back()
        if member.ground.clock() >= end:
            hint = "`orchestra health` of that suite shows why; without `shared` each run starts its own"
            return False, Trouble(f"is shared with run {owner.run}, where it did not become healthy in time", hint)
        if not waits:
            waits = True
            member.starting(member, f"waits for run {owner.run}, which shares it")
        await member.ground.sleep(_SHARE_SECONDS)
    return False, None


async def _use_kept(member: Member, lent: UpRow) -> Trouble | None:
    """Use a component that is up, once it has proven itself; why not, or None."""
    if member.service is not None and not up.lives(lent):
        return Trouble("its process is gone")
    member.bound, member.standing = MappingProxyType(dict(lent.bound)), lent
    member.starts += 1
    member.starting(member, "")
    trouble = await until_ready(member, ready_as_kept(member), tries=member.component.retries.max + 1)
    if trouble is not None:
        member.bound, member.standing = MappingProxyType({}), None
    return trouble


async def _job(member: Member, job: Job, why: str) -> Trouble | None:
    await member.go_down()
    member.starts += 1
    member.starting(member, why)
    code = await _to_its_end(member, job, "job")
    if code is None:
        return member.with_output(f"did not end within {job.timeout_seconds:g} s")
    if code:
        return member.with_output(f"ended with {ending(code)}")
    return await until_ready(member, member.component.ready)


async def repair(member: Member, run: tuple[str, ...], seconds: float, word: str = "repair") -> Trouble | None:
    """Run a command that the spec declares for a component to its end, within so many seconds: a `repair`, a `reset`."""
    code = await _to_its_end(member, Job(run, timeout_seconds=seconds), word)
    if code is None:
        return member.with_output(f"has a {word} that did not end within {seconds:g} s")
    return member.with_output(f"has a {word} that ended with {ending(code)}") if code else None


async def _to_its_end(member: Member, job: Job, word: str) -> int | None:
    member.journal.begin(f"{word}: {' '.join(job.run)}", member.patterns())
    running = start(member.ground, job, member.journal, mark=member.next_mark(word), lookup=member.lookup)
    try:
        return await finish(member.ground, running, job.timeout_seconds)
    except asyncio.CancelledError:
        await stop(member.ground, running, None)
        raise


async def _elsewhere(member: Member) -> Trouble | None:
    """Ask a component that is not started: an address, a tool, a variable, a file."""
    url = expand(member.component.url, member.lookup).rstrip("/")
    if url:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        member.bind(parts.hostname or "", port, {"url": url})
    member.starts += 1
    member.starting(member, "")
    trouble = await until_ready(member, member.component.ready, tries=member.component.retries.max + 1)
    if trouble is None:
        return None
    word = "is not reachable" if url else "failed its check"
    return Trouble(f"{word}: {trouble.reason}", trouble.hint)


async def _service(member: Member, service: Service, taken: dict[int, str], why: str) -> Trouble | None:
    """Start a service until it is ready, a bound is over, or the tries or ports are used up."""
    await member.go_down()
    deaths = 0
    while True:
        port = await _awaited(member, service, taken)
        if isinstance(port, Taken):
            ports = "-".join(map(str, sorted(set(service.ports or ()))))
            listed = "; ".join(port.reasons)
            hint = "end the process that holds it, or widen `port_range`"
            hint += ", or wait for that run with `port_wait_seconds`" if port.ours else ""
            return Trouble(f"found no free port in {ports}: {listed}", hint)
        _launch(member, service, port, why)
        try:
            trouble = await until_ready(member, member.component.ready)
        except Died as died:
            deaths += 1
            trouble = member.with_output(f"ended with {ending(died.code)} before it was ready")
            await member.go_down()
            if port is not None and (reason := busy(service.host, port.number)):
                taken[port.number] = reason
                why = reason
            elif deaths > member.component.retries.max:
                return member.with_output(f"ended with {ending(died.code)} at each of {deaths} starts")
            else:
                why = trouble.reason
                await member.ground.sleep(wait_seconds(member.component.retries, deaths, member.ground.rand()))
            continue
        if trouble is None:
            return None
        await member.go_down()
        if not trouble.stranger or port is None:
            return trouble
        why = taken[port.number] = trouble.reason


async def _awaited(member: Member, service: Service, taken: Mapping[int, str]) -> Port | Taken | None:
    """Return a port; one that another run of this user holds is awaited as long as the spec lets it."""
    end = member.ground.clock() + service.port_wait_seconds
    waits = False
    while isinstance(port := _reserve(member, service, taken), Taken) and port.ours and member.ground.clock() < end:
        if not waits:
            waits = True
            member.starting(member, f"waits up to {service.port_wait_seconds:g} s: {'; '.join(port.reasons)}")
        await member.ground.sleep(_PORT_SECONDS)
    return port


def _reserve(member: Member, service: Service, taken: Mapping[int, str]) -> Port | Taken | None:
    """Return the port that the component had, else the first free one."""
    if service.ports is None:
        return None
    low, high = service.ports
    had = member.port
    if had is not None and low <= had <= high and had not in taken:
        again = reserve(service.host, (had, had), but={}, folder=member.locks())
        if isinstance(again, Port):
            return again
    return reserve(service.host, (low, high), but=taken, folder=member.locks())


def _launch(member: Member, service: Service, port: Port | None, why: str) -> None:
    member.starts += 1
    member.strangers = 0
    member.bind(service.host, port.number if port is not None else None)
    member.journal.begin(f"start {member.starts}: {' '.join(service.run)}", member.patterns())
    mark = f"{member.ground.mark}/service:{member.component.id}/{member.starts}"
    try:
        member.running = start(member.ground, service, member.journal, mark=mark, lookup=member.lookup, port=port)
    except OrchestraError:
        if port is not None:
            port.release()
        raise
    member.starting(member, why)
