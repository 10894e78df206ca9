"""The faults of records that are to be one: shards that do not belong together, and a merged record that its shards do not give.

Pure.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from orchestra.ledger.event import BaselineChanged, Body, GateJudged, RunFinished, RunStarted, Segment
from orchestra.ledger.merging import Source, derived, start_of
from orchestra.ledger.versions import type_of


def fault_of(sources: Sequence[Source], *, incomplete: bool) -> str:
    """Return why these records are not the shards of one selection, naming them; empty if they are.

    Args:
        sources: at least one, in the order of the shards.
        incomplete: shards may be missing, and may have no end.
    """
    return next(_faults(sources, incomplete=incomplete), "")


def _faults(sources: Sequence[Source], *, incomplete: bool) -> Iterator[str]:
    first, whole = sources[0], sources[0].shard.selection
    for one in sources[1:]:
        for what, mine, its in _alike(first, one):
            if mine != its:
                yield f'{_name(one)} has {what} "{its}", and {_name(first)} has "{mine}"'
    places: dict[int, Source] = {}
    for one in sources:
        if (other := places.setdefault(one.shard.index, one)) is not one:
            yield f"shard {one.shard.name} is there twice: {_name(other)} and {_name(one)}"
    owners: dict[str, Source] = {}
    for one in sources:
        for task in one.start.selection:
            if (other := owners.setdefault(task, one)) is not one:
                yield f"{task} is in two shards: {_name(other)} and {_name(one)}"
    known = set(whole)
    yield from (
        f"{_name(owners[task])} has {task}, which is in no shard of its selection" for task in owners.keys() - known
    )
    if not incomplete:
        yield from _gaps(sources, places.keys(), [task for task in whole if task not in owners])


def _gaps(sources: Sequence[Source], there: Container[int], left: Sequence[str]) -> Iterator[str]:
    """Yield what is missing."""
    number = sources[0].shard.of
    if lost := [f"{index}/{number}" for index in range(1, number + 1) if index not in there]:
        yield f"no record of shard {', '.join(lost)} is given"
    yield from (
        f"{_name(source)} has no end: its chain is not sealed over a finished run"
        for source in sources
        if not source.ended
    )
    if left:
        yield f"{left[0]} is in no shard ({len(left)} in all)"


def _alike(first: Source, one: Source) -> Iterator[tuple[str, object, object]]:
    """Yield what must be the same in all shards: its name, and both values."""
    yield "suite", first.start.suite, one.start.suite
    yield "plan", first.start.plan_digest, one.start.plan_digest
    yield "plan of its latest segment", first.view.segment.plan_digest, one.view.segment.plan_digest
    yield "commit", first.start.provenance.git.commit, one.start.provenance.git.commit
    yield "number of shards", first.shard.of, one.shard.of
    yield "durations", first.shard.durations, one.shard.durations
    yield "selection", " ".join(first.shard.selection), " ".join(one.shard.selection)


def _name(one: Source) -> str:
    return f"run {one.start.run} (shard {one.shard.name}, {one.folder})"


def derivation_fault(start: RunStarted, bodies: Sequence[Body], sources: Sequence[Source]) -> str | None:
    """Return the first event of a merged record that its shards do not give; None if they give it.

    Args:
        start: its first event.
        bodies: of the events after it.
        sources: the records of its shards, in order.
    """
    if start_of(start.run, sources) != start:
        return "its first event is not the one that its shards give"
    made = derived(sources)
    wanted = [one.body for one in (*made.before, *made.after)]
    ends = next((place for place, body in enumerate(bodies) if isinstance(body, RunFinished)), len(bodies))
    own = [body for body in bodies[:ends] if not _is_own(body)]
    for number, (body, other) in enumerate(zip(own, wanted, strict=False)):
        if body != other:
            return (
                f'its event "{type_of(body)[0]}", number {number + 1} of those from its shards, is not what they give'
            )
    if len(own) != len(wanted):
        return f"it has {len(own)} events from its shards, and they give {len(wanted)}"
    return None


def _is_own(body: Body) -> bool:
    """Return True if a merged run makes an event itself."""
    return isinstance(body, Segment | BaselineChanged) or (isinstance(body, GateJudged) and body.phase == "after")
