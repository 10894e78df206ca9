"""Audit a run offline: is its record intact, and are its events possible?

One pass over the ledger, so that the first wrong line is reported. The audit checks line by line: the chain and its
canonical JSON, times, seals; the plan of the run against its digest; the life of each task (start, end, attempts, one
final verdict); each evidence file against its digest; the counts at the end; the rules in the seal; the whole logs and
the files of the report, which are bound again when they are rewritten; and the signature of the last seal, if a key is
given. `impossible` is pure: it compares an event with the view of the events before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from orchestra.errors import MachineError, OrchestraError
from orchestra.ledger import integrity, plan_store, shard_faults
from orchestra.ledger.canonical import parse
from orchestra.ledger.event import (
    AttemptFinished,
    AttemptStarted,
    Attested,
    Body,
    Event,
    Logs,
    Note,
    Repeated,
    Reports,
    RolledBack,
    RunFinished,
    RunResumed,
    RunStarted,
    Seal,
    Unknown,
    VerdictGiven,
)
from orchestra.ledger.evidence_file import evidence_digest
from orchestra.ledger.life import Life
from orchestra.ledger.merging import folder_of, source_of
from orchestra.ledger.outcome import FINE
from orchestra.ledger.parts import Evidence
from orchestra.ledger.reading import Damage, LedgerError, Tail
from orchestra.ledger.runs import LEDGER
from orchestra.ledger.uncollected import uncollected
from orchestra.ledger.versions import type_of
from orchestra.ledger.view import View
from orchestra.plan import Plan

# A verdict that an execution must have led to, and how its last attempt must have ended.
_EXECUTED: Final = {"passed": "passed", "flaky": "passed", "failed": "failed", "timeout": "timeout"}
_NOT_EXECUTED: Final = frozenset({"unchanged", "skipped"})


class Audited(NamedTuple):
    """The result of an audit.

    Attributes:
        damage: the first wrong line; None when nothing is wrong.
        events, files: how many events and files of evidence were looked at.
        verdicts: how many tasks have one.
        ended: the record ends in a seal over a finished run.
        signer: the SHA-256 of the public key that the last seal names, empty where it names none.
    """

    damage: Damage | None
    events: int
    files: int
    verdicts: int
    ended: bool
    signer: str = ""


class Examined(NamedTuple):
    """An audited record, with what was read for it.

    Attributes:
        audited: the result.
        events: those before the damage, all without one; none where they were not to be kept.
        view: of them.
    """

    audited: Audited
    events: list[Event]
    view: View


def impossible(view: View, body: Body) -> str | None:
    """Return the contradiction of an event to those that the view has seen; None if there is none."""
    if view.start is None and not isinstance(body, RunStarted | Note | Unknown):
        return f'the first event of a run is "run_started", and not "{type_of(body)[0]}"'
    fault = _FAULTS.get(type(body))
    return fault(view, body) if fault is not None else None


def open_tasks(view: View) -> list[str]:
    """Return the selected tasks without a verdict."""
    return [task for task in view.selection if task not in view.verdicts]


def _start_fault(view: View, body: RunStarted) -> str | None:
    if view.start is not None:
        return "the run has begun already"
    return None if len(set(body.selection)) == len(body.selection) else "it selects a task twice"


def _resume_fault(view: View, body: RunResumed) -> str | None:
    return _unselected(view, body.rerun)


def _attempt_start_fault(view: View, body: AttemptStarted) -> str | None:
    if fault := _settled(view, body.task):
        return fault
    life = view.lives[body.task]
    if life.running:
        return f"attempt {life.running} of {body.task} has not ended"
    if body.attempt != life.ended + 1:
        return f"it is attempt {body.attempt} of {body.task}, and the next one is {life.ended + 1}"
    return None


def _attempt_end_fault(view: View, body: AttemptFinished) -> str | None:
    if fault := _settled(view, body.task):
        return fault
    if body.attempt != view.lives[body.task].running:
        return f"attempt {body.attempt} of {body.task} ends without having started"
    if body.seconds < 0:
        return f"attempt {body.attempt} of {body.task} took {body.seconds:g} seconds"
    return None


def _verdict_fault(view: View, body: VerdictGiven) -> str | None:
    return _settled(view, body.task) or _execution_fault(view.lives[body.task], body)


def _rollback_fault(view: View, body: RolledBack) -> str | None:
    if body.to_seq > view.seq:
        return f"it goes back to event {body.to_seq}, which is not before it"
    if fault := _unselected(view, body.reopened) or _unselected(view, body.restored):
        return fault
    for task, done in body.restored.items():
        lives = (*view.earlier_lives.get(task, ()), view.lives[task])
        given = [life.given for life in lives if life.given is not None and life.given.seq <= body.to_seq]
        then = max(given, key=lambda seen: seen.seq, default=None)
        if then is None or (then.body.verdict, then.body.attempts) != (done.verdict, done.attempts):
            return f'it restores "{done.verdict}" for {task}, which it did not have at event {body.to_seq}'
    return None


def _end_fault(view: View, body: RunFinished) -> str | None:
    if waiting := open_tasks(view):
        return f"the run ends, but {waiting[0]} has no verdict ({len(waiting)} in all)"
    counts = {verdict: count for verdict, count in view.counts.items() if count}
    recorded = {verdict: count for verdict, count in body.counts.items() if count}
    if recorded != counts:
        return f"it counts {_counted(recorded)}, and the verdicts are {_counted(counts)}"
    bad = any(given.verdict not in FINE and not given.excused for given in view.verdicts.values())
    if body.exit_code == 0 and (bad or "failed" in body.gates.values()):
        return "it has exit code 0, but not everything passed"
    return None


def _unselected(view: View, tasks: Iterable[str]) -> str | None:
    selected = set(view.selection)
    return next((f"{task} was not selected" for task in tasks if task not in selected), None)


def _settled(view: View, task: str) -> str | None:
    """Return the reason why nothing can happen to a task: it was not selected, or has its verdict."""
    if task not in view.lives:
        return f"{task} was not selected"
    given = view.verdicts.get(task)
    return f'{task} has its final verdict already: "{given.verdict}"' if given is not None else None


def _execution_fault(life: Life, body: VerdictGiven) -> str | None:
    """Return the contradiction of a verdict to the executions before it."""
    task, verdict, attempts = body.task, body.verdict, body.attempts
    if verdict in _NOT_EXECUTED:
        return f'{task} is "{verdict}", but has {attempts} attempts' if attempts else None
    if verdict not in _EXECUTED:
        return None if life.ended <= attempts <= max(life.ended, life.running) else _ended_otherwise(life, body)
    if not attempts:
        return f'{task} is "{verdict}" without an execution'
    if life.running or attempts != life.ended or life.last is None:
        return _ended_otherwise(life, body)
    if life.last.outcome != _EXECUTED[verdict]:
        return f'{task} is "{verdict}", but its last attempt ended as "{life.last.outcome}"'
    excused = 1 + life.suspects  # what failed during an incident is repeated and does not make a pass flaky
    if (verdict == "flaky" and attempts == 1) or (verdict == "passed" and attempts > excused):
        return f'{task} passed on attempt {attempts}: that is not "{verdict}"'
    return None


def _ended_otherwise(life: Life, body: VerdictGiven) -> str:
    return f'{body.task} is "{body.verdict}" after {body.attempts} attempts, but {life.ended} have ended'


_FAULTS: Final[Mapping[type[Body], Callable[[View, Any], str | None]]] = {
    RunStarted: _start_fault,
    RunResumed: _resume_fault,
    AttemptStarted: _attempt_start_fault,
    AttemptFinished: _attempt_end_fault,
    VerdictGiven: _verdict_fault,
    RolledBack: _rollback_fault,
    RunFinished: _end_fault,
}


def audit(
    folder: Path, *, going: bool = False, signed_by: Callable[[Mapping[str, Any]], str | None] | None = None
) -> Audited:
    """Audit a run.

    Args:
        folder: the run's.
        going: the run is under way: it may lack its end, and its last line may be half written.
        signed_by: returns the problem of the signature of a seal, given its body as it is written; None without a check.

    Raises:
        MachineError: the ledger cannot be read.
    """
    return examined(folder, going=going, signed_by=signed_by, keep=False).audited


@uncollected()
def examined(
    folder: Path,
    *,
    going: bool = False,
    signed_by: Callable[[Mapping[str, Any]], str | None] | None = None,
    keep: bool = True,
) -> Examined:
    """Audit a run, and keep what was read: its events, and its view with all steps. Args and errors as of `audit`."""
    tail, view, plan, files = Tail(folder / LEDGER, strict=True), View(steps=keep), Plan("", "", (), ()), 0
    events: list[Event] = []
    bound: dict[type[Body], tuple[Path, int]] = {}
    seal = b""
    damage: Damage | None = None
    try:
        for event in tail.poll():
            body = event.body
            fault = impossible(view, body)
            if fault is None and type(body) in _BINDING:
                fault, number, plan = _binding_fault(folder, view, body, plan)
                files += number
            if fault is not None:
                damage = Damage(tail.path, tail.line, fault)
                break
            view.see(event)
            if keep or (view.start is not None and view.start.merged is not None):
                events.append(event)
            if type(body) in _BOUND_AGAIN:
                bound[type(body)] = tail.path, tail.line
            seal = tail.text if view.sealed else seal
    except LedgerError as error:
        damage = error.damage
    if damage is None and not going:
        damage, number = _bound_fault(folder, view, bound)
        files += number
        damage = damage or _ending_fault(tail, view)
    if damage is None:
        damage, number = _shards_fault(folder, view, events)
        files += number
    last: Mapping[str, Any] = parse(seal)["body"] if seal else {}
    if damage is None and signed_by is not None:
        fault = signed_by(last) if view.sealed else "it has no end yet, and no seal to sign"
        damage = Damage(tail.path, tail.line, fault) if fault is not None else None
    ended = view.segment.finish is not None and view.sealed
    audited = Audited(damage, tail.tip.seq, files, len(view.verdicts), ended, str(last.get("signed_by", "")))
    return Examined(audited, events, view)


def _bound_fault(folder: Path, view: View, bound: Mapping[type[Body], tuple[Path, int]]) -> tuple[Damage | None, int]:
    """Return the first whole log or file of the report that is not what was bound, and how many were looked at."""
    damage, files = None, 0
    for seen in (view.logs, view.reports):
        fault, number = _evidence_fault(folder, seen.body.files if seen is not None else ())
        files += number
        if fault is not None and seen is not None:
            damage = damage or Damage(*bound[type(seen.body)], fault)
    return damage, files


def _ending_fault(tail: Tail, view: View) -> Damage | None:
    """Return the missing part at the end of a ledger without a writer."""
    line = tail.line + 1
    if tail.torn:
        return Damage(tail.path, line, f"truncated last line ({tail.torn} bytes)")
    if waiting := open_tasks(view):
        return Damage(tail.path, line, f"the run has no end: {waiting[0]} has no verdict ({len(waiting)} in all)")
    if view.segment.finish is None or not view.sealed:
        return Damage(tail.path, line, "the run has no end: the seal is missing")
    return None


_BOUND_AGAIN: Final = frozenset({Logs, Reports})
"""The events that bind files which later ones of their type bind again."""

_BINDING: Final = frozenset({AttemptFinished, Repeated, Attested, RunStarted, RunResumed, Seal})
"""The events that bind what is outside of them, and is looked at in its turn."""


def _binding_fault(folder: Path, view: View, body: Body, plan: Plan) -> tuple[str | None, int, Plan]:
    """Return the fault of what an event binds, how many files of evidence were looked at, and the plan from here on."""
    match body:
        case AttemptFinished() | Repeated() | Attested():
            return *_evidence_fault(folder, body.evidence), plan
        case RunStarted() | RunResumed() if body.plan_digest is not None:
            found, fault = _plan_of(folder, body, plan)
            return fault, 0, found
        case Seal():
            return integrity.seal_fault(integrity.Facts(plan, view), body), 0, plan
        case _:
            return None, 0, plan


def _plan_of(folder: Path, body: RunStarted | RunResumed, before: Plan) -> tuple[Plan, str | None]:
    """Return the plan that an event names, for the integrity rules, and its problem."""
    try:
        plan = plan_store.load(folder, body.plan_digest or "")
    except OrchestraError as error:
        return before, error.message
    if plan.source_digest != body.source_digest:
        was = f"the plan that was stored from {plan.source_digest}"
        return before, f"it was compiled from {body.source_digest}, and {was}"
    return plan, None


def _evidence_fault(folder: Path, files: Iterable[Evidence]) -> tuple[str | None, int]:
    """Return the first of these files that is not what was recorded, and how many were looked at."""
    number = 0
    for file in files:
        number += 1
        try:
            digest, size = evidence_digest(folder, file)
        except OSError as error:
            return f'the evidence "{file.place}" cannot be read: {error.strerror}', number
        if (digest, size) != (file.digest, file.bytes):
            recorded, actual = f"{file.bytes} bytes, {file.digest[:12]}…", f"{size} bytes, {digest[:12]}…"
            return f'the evidence "{file.place}" was changed: recorded with {recorded}, found with {actual}', number
    return None, number


def _shards_fault(folder: Path, view: View, events: Sequence[Event]) -> tuple[Damage | None, int]:
    """Return the damage of a merged run that its shards show, and how many of their files were looked at.

    The chain of each shard is audited like a run, must end as the merged one binds it, and must give its events.
    """
    number = 0
    start = view.start
    if start is None or start.merged is None:
        return None, number
    sources = []
    for bound in start.merged.shards:
        place = folder / folder_of(bound.index)
        audited, its, seen = examined(place, going=not bound.ended)
        number += audited.files
        if audited.damage is not None:
            return audited.damage, number
        try:
            sources.append(source := source_of(place, its, seen))
        except MachineError as error:
            return Damage(place / LEDGER, 1, error.message), number
        if (source.view.seq, source.view.head) != (bound.events, bound.head):
            wrong = f"its {source.view.seq} events end in another hash than that of the {bound.events} that the merged run binds"
            return Damage(place / LEDGER, source.view.seq, wrong), number
    bodies = [event.body for event in events if event.body is not start]
    fault = shard_faults.derivation_fault(start, bodies, sources)
    return Damage(folder / LEDGER, 1, fault) if fault is not None else None, number


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())) or "none"
