"""The state of a run, `state.json`: a projection of its view for those who look on.

The state has no information beyond the events.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec

from orchestra import nofollow, stored
from orchestra.ledger.disk import disk_error, replace_file
from orchestra.ledger.event import (
    Done,
    RolledBack,
    VerdictGiven,
)
from orchestra.ledger.state_rows import (
    CaseRow,
    Checkpoint,
    Failed,
    GateState,
    NodeRow,
    PastIncident,
    Recovery,
    ResourceUse,
    Running,
    ServiceRow,
    SessionRow,
    State,
)
from orchestra.ledger.versions import Schema, struct_schema
from orchestra.ledger.view import View

KEPT: Final = 100
"""The number of latest errors, recoveries and incidents in the state, and of cases of a task; the counters continue."""


def state_of(view: View) -> State:
    """Return the state of a run. Later events do not touch it."""
    start, segment = view.start, view.segment
    verdicts = view.verdicts
    over = sorted(
        (outage.closed for outage in view.health.outages if outage.closed is not None), key=lambda seen: seen.seq
    )
    recoveries = [seen for seen in view.health.changes if seen.body.action]
    return State(
        seq=view.seq,
        head=view.head,
        time=view.time,
        run=start.run if start is not None else "",
        started=view.started,
        phase=view.phase,
        profile=start.profile if start is not None else None,
        plan_digest=segment.plan_digest,
        source_digest=segment.source_digest,
        methods=start.methods if start is not None else (),
        workers=segment.workers if view.sample is None else view.sample.body.workers,
        completed={task: done(given) for task, given in verdicts.items()},
        current={
            task: Running(attempt=seen.body.attempt, dir=seen.body.folder, since=seen.time, node=seen.body.node)
            for task, seen in view.current.items()
        },
        pending=tuple(view.pending),
        blocked={task: given.reason for task, given in verdicts.items() if given.verdict == "blocked"},
        cases={task: rows for task, given in verdicts.items() if given.cases and (rows := _case_rows(view, task))},
        counts=dict(view.counts),
        class_distribution=Counter(given.speed_class for given in verdicts.values() if given.speed_class is not None),
        resource_use=_use(view),
        spent={name: round(seconds, 3) for name, seconds in view.spent.rows().items()},
        error_count=view.failures,
        errors=tuple(
            Failed(
                seq=seen.seq,
                task=seen.body.task,
                attempt=seen.body.attempt,
                kind=seen.body.error.kind,
                message=seen.body.error.message,
                at=seen.body.error.at,
            )
            for seen in view.failed
            if seen.body.error is not None
        ),
        recovery_count=len(recoveries),
        recoveries=tuple(
            Recovery(
                seq=seen.seq,
                time=seen.time,
                component=seen.body.component,
                action=seen.body.action or "",
                state=seen.body.state,
                attempt=seen.body.attempt,
                reason=seen.body.reason,
                seconds=seen.body.seconds,
            )
            for seen in recoveries[-KEPT:]
        ),
        incident_count=len(view.health.outages),
        incidents={
            outage.opened.body.component: outage.opened.body.reason
            for outage in view.health.outages
            if outage.closed is None
        },
        past_incidents=tuple(
            PastIncident(
                seq=seen.seq,
                time=seen.time,
                component=seen.body.component,
                state=seen.body.state,
                reason=seen.body.reason,
                id=seen.body.id,
                tests=seen.body.tests,
                recovery_steps=seen.body.recovery_steps,
                seconds=seen.body.seconds,
                outcome=seen.body.outcome,
            )
            for seen in over[-KEPT:]
        ),
        nodes={
            name: NodeRow(
                state=seen.body.state,
                message=seen.body.message,
                slots=seen.body.slots,
                running=tuple(
                    task for task, one in view.current.items() if one.body.node == name and view.life(task).running
                ),
            )
            for name, seen in view.nodes.items()
        },
        sessions={
            method: SessionRow(**msgspec.structs.asdict(seen.body), time=seen.time)
            for method, seen in view.sessions.items()
        },
        health={
            name: ServiceRow(**msgspec.structs.asdict(seen.body), time=seen.time)
            for name, seen in view.health.services.items()
            if seen.seq > segment.seq
        },
        gates={
            name: GateState(result=seen.body.result, message=seen.body.message) for name, seen in view.gates.items()
        },
        checkpoints=tuple(
            Checkpoint(seq=seen.seq, method=seen.body.method, group=seen.body.group, time=seen.time)
            for seen in view.checkpoints
        ),
        baseline=view.baseline,
        interrupted=segment.interrupted or None,
        exit_code=segment.finish.exit_code if segment.finish is not None else None,
        sealed=view.sealed,
        resumes=len(view.segments) - 1,
        unknown_events=view.unknown,
    )


def done(given: VerdictGiven) -> Done:
    """Return the state of a verdict."""
    return Done(
        verdict=given.verdict,
        speed_class=given.speed_class,
        seconds=given.seconds,
        attempts=given.attempts,
        reason=given.reason,
        cases=given.cases,
    )


def _case_rows(view: View, task: str) -> tuple[CaseRow, ...]:
    """Return the cases of a task that did not simply pass: failures first, and of many the first."""
    last = view.life(task).last
    found = [case for case in (last.cases if last is not None else ()) if case.verdict != "passed"]
    found.sort(key=lambda case: (not case.bad, case.verdict == "skipped"))
    return tuple(
        CaseRow(
            name=case.name,
            verdict=case.verdict,
            seconds=case.seconds,
            retries=case.retries,
            message=next(iter(case.message.splitlines()), ""),
            excused=case.excused,
        )
        for case in found[:KEPT]
    )


def _use(view: View) -> ResourceUse:
    if view.sample is None:
        return ResourceUse()
    body, use = view.sample.body, view.use
    return ResourceUse(
        time=view.sample.time,
        cpu_percent=body.cpu_percent,
        memory_percent=body.memory_percent,
        workers=body.workers,
        reason=body.reason,
        cpu_percent_peak=use.cpu_percent_peak,
        memory_percent_peak=use.memory_percent_peak,
        cpu_percent_mean=round(use.cpu_percent, 1),
        other_cpu_percent_mean=round(use.other_cpu_percent, 1),
        read_megabytes=round(use.read_megabytes, 3),
        written_megabytes=round(use.written_megabytes, 3),
        received_megabytes=round(use.received_megabytes, 3),
        sent_megabytes=round(use.sent_megabytes, 3),
        by_worker=tuple(use.by_worker[name] for name in sorted(use.by_worker)),
    )


def rollback(before: View, now: View, reason: str = "") -> RolledBack:
    """Return the event that takes the verdicts of `now` back to `before`, an earlier view of the same run."""
    return RolledBack(
        to_seq=before.seq,
        reopened=tuple(task for task in now.verdicts if task not in before.verdicts),
        restored={
            task: done(given)
            for task, given in before.verdicts.items()
            if now.life(task).given_at != before.life(task).given_at
        },
        baseline=before.baseline,
        reason=reason,
    )


def as_json(state: State) -> str:
    """Return the state as JSON with one field a line: quick to write, and a person can still find the field."""
    fields = (
        f"  {json.dumps(name)}: {msgspec.json.encode(getattr(state, name)).decode()}"
        for name in State.__struct_fields__
    )
    return "{\n" + ",\n".join(fields) + "\n}\n"


def from_json(text: str | bytes) -> State:
    """Return the state that `as_json` wrote. Fields of a newer version are passed over.

    Raises:
        ValueError: the text is something else.
    """
    return stored.decode(text, State)


def write_state(path: Path, state: State) -> None:
    """Replace `state.json` atomically and durably. Raises MachineError if the disk refuses; the old file is then
    unchanged.
    """
    replace_file(path, as_json(state).encode())


def read_state(path: Path) -> State:
    """Read `state.json`.

    Raises:
        MachineError: it cannot be read.
        ValueError: it is not a state; the ledger still has it all.
    """
    try:
        content = nofollow.read(path)
    except OSError as error:
        raise disk_error(error, path, "read") from error
    return from_json(content)


def state_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of `state.json`."""
    return struct_schema(State, "orchestra state")
