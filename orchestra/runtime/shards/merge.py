"""Merge the records of shards into one run: its folder, its ledger, the gates of the end, and what a run leaves behind.

The bytes depend on the shards alone. So the id of the merged run comes from the time and the chains of its shards, its events
have the times of theirs, and no clock and no order of arguments is read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from orchestra import nofollow
from orchestra.errors import EXIT_MACHINE, MachineError, UsageError
from orchestra.gates.catalogue import metric_of
from orchestra.gates.standard import gates_of
from orchestra.ledger import history, integrity, plan_store, run_record
from orchestra.ledger.audit import audit, examined
from orchestra.ledger.author import Author
from orchestra.ledger.baseline import place_of
from orchestra.ledger.canonical import digest
from orchestra.ledger.disk import copy_files, disk_error, make_folder, remove_tree
from orchestra.ledger.event import AttemptFinished, Attested, Body, Repeated, RunFinished
from orchestra.ledger.evidence_file import evidence_file
from orchestra.ledger.log import Writer, run_id
from orchestra.ledger.merging import RANK as GATE_RANK
from orchestra.ledger.merging import Derived, Source, Timed, derived, folder_of, source_of, start_of
from orchestra.ledger.origin import machine_shape
from orchestra.ledger.quick import STATE
from orchestra.ledger.reading import LedgerError
from orchestra.ledger.reports import reports_of
from orchestra.ledger.runs import LEDGER
from orchestra.ledger.segment import segments
from orchestra.ledger.shard_faults import fault_of
from orchestra.ledger.state import state_of, write_state
from orchestra.ledger.transaction import LAST_RUN, Transaction, recover
from orchestra.ledger.uncollected import uncollected
from orchestra.ledger.view import Observer, View, look
from orchestra.plan import Plan
from orchestra.runtime.attempts.verdict import exit_code
from orchestra.runtime.gates.gate import Gates
from orchestra.runtime.gates.rejudge import values_of
from orchestra.runtime.run.pace import Pace
from orchestra.runtime.run.recorder import Publisher


class MergeError(MachineError):
    """Records that cannot be merged into one."""


class Merged(NamedTuple):
    """A merged run: its id, its folder, its plan, and its exit code."""

    run: str
    folder: Path
    plan: Plan
    code: int


def sources_of(folders: Sequence[Path], *, incomplete: bool) -> list[Source]:
    """Return the verified records of shards, in the order of the shards.

    Args:
        folders: of their runs, absolute.
        incomplete: shards may be missing, and may have no end.

    Raises:
        LedgerError: a record is damaged.
        MergeError: they are not the shards of one selection.
    """
    sources = []
    for folder in folders:
        audited, events, view = examined(folder, going=incomplete)
        if audited.damage is not None and not _lacks_an_end(folder, audited.damage.message):
            raise LedgerError(audited.damage)
        if incomplete and view.start is None and len(folders) > 1:
            continue  # a kill before its first event: there is no record of it
        sources.append(source_of(folder, events, view))
    if not sources:
        raise MergeError("these runs cannot be merged: none of them has a beginning", "run the shards again")
    sources.sort(key=lambda source: (source.shard.index, source.start.run, source.view.head))
    if fault := fault_of(sources, incomplete=True):
        hint = "give each shard of one selection once, of the same commit, plan and durations"
        raise MergeError(f"these runs cannot be merged: {fault}", hint)
    if not incomplete and (fault := fault_of(sources, incomplete=False)):
        hint = "run what is missing again; --allow-incomplete gives each test that is missing the verdict error"
        raise MergeError(f"these runs cannot be merged: {fault}", hint)
    return sources


def _lacks_an_end(folder: Path, message: str) -> bool:
    """Return True if the only damage of a record is its missing end, which `fault_of` reports by its shard."""
    if not message.startswith(("the run has no end", "truncated last line")):
        return False
    return audit(folder, going=True).damage is None


def id_of(sources: Sequence[Source]) -> str:
    """Return the id of a merged run: of the second in which its last shard ended, and of its chains; later than theirs."""
    heads = digest([[source.shard.index, source.view.head] for source in sources])
    ended = max(datetime.fromisoformat(source.view.ended) for source in sources)
    return run_id(ended, heads[:4], max(source.start.run for source in sources))


@uncollected()
def merge(
    home: Path,
    sources: Sequence[Source],
    *,
    author: Author,
    observers: Callable[[Plan, Path], Sequence[Observer]],
) -> Merged:
    """Write the merged run and return it. The lock of the suite must be held.

    Args:
        home: `.orchestra/<suite>`, absolute.
        sources: as `sources_of` gives them.
        author: of the ledger.
        observers: closed with the view of the run: they write its report and print its end.

    Raises:
        UsageError: the shards are merged already.
        MachineError: the disk refuses.
    """
    recover(home)
    run = id_of(sources)
    folder = home / "runs" / run
    if nofollow.is_file(folder / LEDGER) and look(folder, steps=False).sealed:
        raise UsageError(f"these shards are merged already, as run {run}", f"`orchestra show {run}` shows it")
    if nofollow.is_folder(folder):
        remove_tree(folder)  # of a merge that a crash cut off
    make_folder(folder)
    first, digest_of_plan = sources[0].folder, sources[0].view.segment.plan_digest
    plan, stored = plan_store.load(first, digest_of_plan), plan_store.file_name(digest_of_plan)
    try:
        bound = {copy: old for one in sources for copy, old in _bound(one, folder / folder_of(one.shard.index))}
        copy_files({**bound, folder / stored: first / stored})
        code = _write(home, folder, plan, sources, author, observers)
    except BaseException:
        remove_tree(folder)
        raise
    return Merged(run, folder, plan, code)


def _bound(one: Source, target: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the place below `target` and the source of the ledger of a shard, its plans, and all files that it binds."""
    names = [path.name for path in segments(one.folder / LEDGER)]
    names += [name for name in nofollow.names(one.folder) if name.startswith("plan-") and name.endswith(".json")]
    names += [file.path for event in one.events for file in _evidence(event.body)]
    names += [file.path for seen in (one.view.logs, one.view.reports) if seen is not None for file in seen.body.files]
    for name in dict.fromkeys(names):  # the output of all that passed is one file
        try:
            yield target / os.path.normpath(name), evidence_file(one.folder, name)
        except OSError as error:
            raise disk_error(error, one.folder / name, "copy") from error


def _evidence(body: Body) -> Sequence[Any]:
    return body.evidence if isinstance(body, AttemptFinished | Repeated | Attested) else ()


def _write(
    home: Path,
    folder: Path,
    plan: Plan,
    sources: Sequence[Source],
    author: Author,
    observers: Callable[[Plan, Path], Sequence[Observer]],
) -> int:
    """Write the ledger, then what a run leaves behind; return the exit code."""
    view, merged, start = View(steps=len(plan.methods) > 1), derived(sources), start_of(folder.name, sources)
    time = min(source.view.begun for source in sources)
    with Writer(folder / LEDGER, now=lambda: datetime.fromisoformat(time), author=author) as writer:

        def add(body: Body) -> None:
            view.see(writer.append(body))

        def add_all(events: Sequence[Timed]) -> None:
            nonlocal time
            writer.append_all(events, view.see)
            time = max([time, *(one.time for one in events[-1:])])

        add(start)
        add_all(merged.before)
        time = _end(merged, time)
        gates = Gates([gate for gate in gates_of(plan) if gate.phase == "after"], add)
        gates.after(_values(plan, view, sources))
        add_all(merged.after)
        time = _end(merged, time)
        results = {**_earlier_results(sources), **gates.results()}
        counted = [verdict.verdict for verdict in view.verdicts.values() if not verdict.excused]
        codes = [source.view.segment.finish.exit_code for source in sources if source.view.segment.finish is not None]
        failed = "failed" in results.values()
        code = exit_code(counted, gates_failed=failed, unhealthy=EXIT_MACHINE in codes)
        pace = Pace.open(home, plan.baseline, place_of(machine_shape(start.provenance), plan.profile))
        if not code:
            pace.keep(folder, view, add)
        counts = {verdict: count for verdict, count in view.counts.items() if count}
        add(RunFinished(exit_code=code, counts=counts, seconds=_seconds(sources), gates=results))
        view.see(writer.seal(integrity.sealed(integrity.Facts(plan, view)), integrity.VERSION))
        _leave(home, view, pace)
        for observer in (watching := observers(plan, folder)):
            observer.close(view)
        if files := [file for one in watching if isinstance(one, Publisher) for file in one.written]:
            add(reports_of(folder, files))
            view.see(writer.seal())
        write_state(folder / STATE, state_of(view))
    return code


def _end(made: Derived, before: str) -> str:
    return max(before, *(one.time for one in (*made.before[-1:], *made.after[-1:])))


def _values(plan: Plan, view: View, sources: Sequence[Source]) -> Mapping[str, Any]:
    """Return the metrics of the merged run: from its record, and those that were measured from all shards together."""
    read = [seen.body.values for source in sources for seen in source.view.gates.values() if seen.body.phase == "after"]
    values = values_of(plan, view)
    if not any("regressions" in some for some in read):
        del values["regressions"]  # no shard had a baseline to compare with
    for name in {name for some in read for name in some}:
        metric = metric_of(name)
        if metric is not None and metric.over_shards is not None:
            values[name] = metric.over_shards(_measured(name, sources))
    return values


def _measured(name: str, sources: Sequence[Source]) -> list[Any]:
    """Return a metric as each shard measured it at its end."""
    metric, measured = metric_of(name), []
    for source in sources:
        values = [
            gate.body.values[name]
            for gate in source.view.gates.values()
            if gate.body.phase == "after" and name in gate.body.values
        ]
        measured += [float(value) if metric is not None and metric.type == "double" else value for value in values[-1:]]
    return measured


def _earlier_results(sources: Sequence[Source]) -> dict[str, str]:
    """Return the worst result of each gate before and during the tests."""
    worst: dict[str, str] = {}
    for source in sources:
        for name, result in source.view.segment.finish.gates.items() if source.view.segment.finish is not None else ():
            if not name.startswith("after:") and GATE_RANK.get(result, 0) >= GATE_RANK.get(worst.get(name, ""), -1):
                worst[name] = result
    return worst


def _seconds(sources: Sequence[Source]) -> float:
    """Return the time of the slowest shard: they run at the same time."""
    taken = [source.view.segment.finish.seconds for source in sources if source.view.segment.finish is not None]
    return max([*taken, 0.0])


def _leave(home: Path, view: View, pace: Pace) -> None:
    """Change the history and the durations as a run does at its end."""
    change = Transaction(home)
    change.write(history.LAST, history.encoded(history.with_run(history.load(home / history.LAST), view)))
    if (record := run_record.record_of(view)) is not None:
        change.write(history.EXECUTIONS, history.with_record(home, record))
        change.link(LAST_RUN, record.run)
    pace.commit(change)
    change.commit()
