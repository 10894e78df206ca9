"""The record of a suite that ran in shards, from the records of its shards. Pure but for the reading of files.

A merged ledger is a ledger like any other: it begins, has attempts and verdicts, gates, an end and a seal. Its events are
those of the shards, in the order of time, with three names changed: files are below the folder of their shard, a component of
shard 2 is `backend@2`, and so are its incidents. Its first event binds the chain of each shard by its last hash, and each
chain is kept, whole, in the folder of the merged run: an audit derives the events again and compares.

Of a shard that was resumed or rolled back the attempts and verdicts that count are taken; the others stay in its own ledger.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from orchestra.errors import MachineError
from orchestra.ledger.event import (
    AttemptFinished,
    AttemptStarted,
    Attested,
    Body,
    Event,
    GateJudged,
    HeldBack,
    Incident,
    Interrupted,
    Logs,
    Merged,
    MergedShard,
    NodeChanged,
    Note,
    Repeated,
    ResourceSampled,
    RunStarted,
    ServiceChanged,
    SessionChanged,
    Sharding,
    VerdictGiven,
)
from orchestra.ledger.life import Seen
from orchestra.ledger.origin import Provenance
from orchestra.ledger.parts import Evidence
from orchestra.ledger.runs import is_run_id
from orchestra.ledger.view import View

RANK: Final = {"not_applicable": 0, "passed": 1, "warned": 2, "failed": 3}
"""Results of gates, the worst last: a gate of the shards has the worst of its results."""

_ALL_KEPT: Final = frozenset(
    {
        ServiceChanged,
        Incident,
        SessionChanged,
        HeldBack,
        ResourceSampled,
        NodeChanged,
        Note,
        Interrupted,
        Attested,
    }
)
"""The events of a shard that are all a part of the merged run; of those of a task only what counts is."""

_PLACE: Final = itemgetter(0, 1, 2)
"""Time, shard and number of a row of `derived`."""

_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z", re.ASCII)


class Timed(NamedTuple):
    """An event to be: its time, and its body."""

    time: str
    body: Body


class Source(NamedTuple):
    """The record of a shard.

    Attributes:
        folder: of its run.
        events: all of them.
        view: of them.
        start: its first event.
        shard: its place.
    """

    folder: Path
    events: Sequence[Event]
    view: View
    start: RunStarted
    shard: Sharding

    @property
    def ended(self) -> bool:
        """Return True if the chain is sealed over a finished run."""
        return self.view.segment.finish is not None and self.view.sealed


def source_of(folder: Path, events: Sequence[Event], view: View) -> Source:
    """Return the record of a shard. Raises MachineError if it is none of a shard.

    Anyone may have written it: what becomes a name or a time of the merged run is checked.

    Args:
        folder: of its run.
        events: all of them, verified.
        view: of them, with their steps.
    """
    if view.start is None or view.start.shard is None:
        what = "is the run of a whole selection" if view.start is not None else "has no beginning"
        raise MachineError(f'"{folder}" is no shard: it {what}', "merge runs of `orchestra run --shard I/N`")
    start, shard = view.start, view.start.shard
    odd = {
        f'its run id is "{start.run}"': not is_run_id(start.run),
        f"it is shard {shard.name} of {len(shard.selection)} tests": not 1
        <= shard.index
        <= shard.of
        <= len(shard.selection),
        "an event has no time in UTC": not all(map(_is_time, {event.time for event in events})),
    }
    if fault := next((fault for fault, holds in odd.items() if holds), ""):
        raise MachineError(f'"{folder}" is no record of a shard: {fault}', "run the shard again")
    return Source(folder, events, view, start, shard)


def _is_time(text: str) -> bool:
    """Return True if a text is a time as ledgers have it."""
    try:
        return _TIME.fullmatch(text) is not None and bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def folder_of(index: int) -> str:
    """Return the folder of a shard in that of the merged run."""
    return f"shards/{index}"


def start_of(run: str, sources: Sequence[Source]) -> RunStarted:
    """Return the first event of a merged run.

    Args:
        run: its id.
        sources: at least one, in the order of the shards.
    """
    first = sources[0]
    shards = tuple(
        MergedShard(
            index=source.shard.index,
            run=source.start.run,
            events=source.view.seq,
            head=source.view.head,
            ended=source.ended,
        )
        for source in sources
    )
    return msgspec.structs.replace(
        first.start,
        run=run,
        plan_digest=first.view.segment.plan_digest,  # of shards that were resumed by a changed plan that one
        source_digest=first.view.segment.source_digest,
        selection=first.shard.selection,
        workers=0,
        argv=("orchestra", "merge", *(source.start.run for source in sources)),
        provenance=_origin([source.start.provenance for source in sources]),
        builds={name: build for source in reversed(sources) for name, build in source.start.builds.items()},
        opening_seconds=0.0,
        shard=None,
        merged=Merged(of=first.shard.of, shards=shards),
    )


def _origin(origins: Sequence[Provenance]) -> Provenance:
    """Return the origin of the first shard, with the changed files of all."""
    trees = [origin.git for origin in origins]
    dirty = {path: digest for tree in reversed(trees) for path, digest in tree.dirty.items()}
    numbers = [tree.dirty_files for tree in trees if tree.dirty_files is not None]
    number = max([len(dirty), *numbers]) if numbers else None
    return msgspec.structs.replace(origins[0], git=msgspec.structs.replace(trees[0], dirty=dirty, dirty_files=number))


class Derived(NamedTuple):
    """The events of a merged run that its shards give: those before its gates of the end, and those after them."""

    before: list[Timed]
    after: list[Timed]

    @property
    def end(self) -> str:
        """The time of the last one."""
        return max((one.time for one in (*self.before, *self.after)), default="")


def derived(sources: Sequence[Source]) -> Derived:
    """Return the events that the shards give, whatever the order of the sources."""
    ordered = sorted(sources, key=lambda one: one.shard.index)
    gates = _worst_gates(ordered)
    early: list[tuple[str, int, int, Body]] = []
    late: list[tuple[str, int, int, Body]] = []
    for one in ordered:
        cut = _first_pending(one)
        mine = [seen for source, seen in gates if source is one]
        judged = [(seen.seq, seen.time, _of_shard(seen.body, one.shard)) for seen in mine]
        for seq, time, body in (*_kept(one), *judged):
            (early if seq < cut else late).append((time, one.shard.index, seq, _renamed(body, one.shard)))
    given = {task for one in ordered for task in one.view.verdicts}
    missing = [_never_ran(task, ordered) for task in ordered[0].shard.selection if task not in given]
    ended, logs = max(one.view.time for one in ordered), _logs(ordered)
    return Derived(
        [*_timed(early), *(Timed(ended, body) for body in missing)],
        [*_timed(late), *([Timed(ended, logs)] if logs.files or logs.open else [])],
    )


def _timed(rows: list[tuple[str, int, int, Body]]) -> Iterator[Timed]:
    """Yield events in the order of time; those of a moment by shard, and of a shard in its own order."""
    return (Timed(time, body) for time, _, _, body in sorted(rows, key=_PLACE))


def _first_pending(one: Source) -> int:
    """Return the number of the event where a shard began to close: its first gate of the end."""
    found = (seen.seq for seen in one.view.gates.values() if seen.body.phase == "after")
    return min(found, default=one.view.seq + 1)


def _worst_gates(ordered: Sequence[Source]) -> list[tuple[Source, Seen[GateJudged]]]:
    """Return each gate before and during the tests where it had its worst result, in the first such shard."""
    worst: dict[str, tuple[Source, Seen[GateJudged]]] = {}
    for one in ordered:
        for name, seen in one.view.gates.items():
            before = worst.get(name)
            rank = RANK.get(seen.body.result, 0)
            if seen.body.phase != "after" and (before is None or RANK.get(before[1].body.result, 0) < rank):
                worst[name] = one, seen
    return list(worst.values())


def _kept(one: Source) -> Iterator[tuple[int, str, Body]]:
    """Yield the events of a shard that are a part of the merged run: number, time, body."""
    valid = {id(body) for body in _valid(one.view)}
    started: dict[str, Event] = {}
    for event in one.events:
        body = event.body
        if isinstance(body, AttemptStarted):
            started[body.task] = event
        elif id(body) in valid:
            valid.discard(id(body))
            if isinstance(body, AttemptFinished) and (begun := started.pop(body.task, None)) is not None:
                yield begun.seq, begun.time, begun.body
            yield event.seq, event.time, body
        elif type(body) in _ALL_KEPT:
            yield event.seq, event.time, body
    for seen in (life.given for task, life in one.view.lives.items() if task in one.view.verdicts):
        if seen is not None and id(seen.body) in valid:  # a rollback gave it back, without the executions before it
            yield seen.seq, seen.time, seen.body
    for outage in one.view.health.outages:
        if outage.closed is not None and outage.closed.seq == outage.opened.seq:  # the end of a segment cut it off
            yield outage.closed.seq, outage.closed.time, outage.closed.body


def _valid(view: View) -> Iterator[Body]:
    """Yield what counts of each task that has a verdict."""
    for task in view.verdicts:
        life = view.lives[task]
        yield from (seen.body for seen in life.attempts)
        yield from life.repeats
        if life.comparison is not None:
            yield life.comparison
        if life.given is not None:
            yield life.given.body


def _of_shard(body: GateJudged, shard: Sharding) -> GateJudged:
    named = f"shard {shard.name}{': ' if body.message else ''}{body.message}"
    return msgspec.structs.replace(body, message=named)


def _never_ran(task: str, ordered: Sequence[Source]) -> VerdictGiven:
    """Return the verdict of a task that no shard gave one."""
    method, _, test = task.partition(":")
    whose = next((one for one in ordered if task in one.view.lives), None)
    there = {one.shard.index for one in ordered}
    lost = ", ".join(
        f"{index}/{ordered[0].shard.of}" for index in range(1, ordered[0].shard.of + 1) if index not in there
    )
    why = f"shard {whose.shard.name} has no end" if whose is not None else f"no record of shard {lost}"
    return VerdictGiven(
        task=task,
        test=test,
        method=method,
        verdict="error",
        reason=f"never ran: {why}",
        seconds=0.0,
        attempts=0,
        speed_class=None,
        degraded=(),
        inputs=None,
    )


def _logs(ordered: Sequence[Source]) -> Logs:
    seen = [(one.view.logs.body, one.shard) for one in ordered if one.view.logs is not None]
    return Logs(
        files=tuple(file for body, shard in seen for file in _files(body.files, shard)),
        open=tuple(_path(path, shard) for body, shard in seen for path in body.open),
    )


# ----------------------------------------------------------------------------------------------------------- new names


def _renamed(body: Body, shard: Sharding) -> Body:
    """Return a body with the names that it has in the merged record."""
    change: dict[str, object] = {}
    match body:
        case AttemptStarted(folder=folder, node=node):
            change = {"dir": _path(folder, shard), "node": _node(node, shard)}
        case AttemptFinished(evidence=files, incidents=incidents, node=node):
            if files or incidents or node:
                change = {
                    "evidence": _files(files, shard),
                    "incidents": _incidents(incidents, shard),
                    "node": _node(node, shard),
                }
        case VerdictGiven(incidents=incidents):
            change = {"incidents": _incidents(incidents, shard)} if incidents else {}
        case NodeChanged(node=node):
            change = {"node": _node(node, shard)}
        case Repeated(evidence=files, dir=folder):
            change = {"evidence": _files(files, shard), "dir": _path(folder, shard)}
        case Attested(evidence=files):
            change = {"evidence": _files(files, shard)}
        case ServiceChanged(component=name, incident=incident):
            change = {"component": _component(name, shard), "incident": _incident(incident, shard)}
        case Incident(component=name, id=incident):
            change = {"component": _component(name, shard), "id": _incident(incident, shard)}
        case ResourceSampled(by_worker=uses):
            named = (msgspec.structs.replace(use, worker=_component(use.worker, shard)) for use in uses)
            change = {"by_worker": tuple(named)}
        case Note(message=message):
            change = {"message": f"shard {shard.name}: {message}"}
        case _:
            pass
    return msgspec.structs.replace(body, **change) if change else body


def _path(path: str, shard: Sharding) -> str:
    return f"{folder_of(shard.index)}/{path}"


def _files(files: Iterable[Evidence], shard: Sharding) -> tuple[Evidence, ...]:
    return tuple(msgspec.structs.replace(file, path=_path(file.path, shard)) for file in files)


def _component(name: str, shard: Sharding) -> str:
    return f"{name}@{shard.index}"


def _node(name: str, shard: Sharding) -> str:
    return _component(name, shard) if name else ""


def _incident(name: str, shard: Sharding) -> str:
    whose, dash, number = name.rpartition("-")
    return f"{_component(whose, shard)}-{number}" if dash else name


def _incidents(names: Iterable[str], shard: Sharding) -> tuple[str, ...]:
    return tuple(_incident(name, shard) for name in names)
