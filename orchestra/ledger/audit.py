"""The audit of a run, offline: is its record whole, and does it say what a run can say? May import the ledger's own parts.

One pass over the ledger, so that the first wrong line is the one that is named. What is looked at, line by line: the
chain and its canonical JSON, times, seals; the kept plan against its digest; the life of each task (start, end, attempts,
one final verdict); each file of evidence against its digest; the counts at the end; what the seal says of the rules of
integrity; the whole logs and the files of the report, which are bound anew when they are written anew; and the signature
of the last seal, where a key is given. The rules of a task's life are in `Lives`, which is
pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from orchestra.errors import OrchestraError
from orchestra.ledger import integrity, kept_plan
from orchestra.ledger.disk import file_digest
from orchestra.ledger.event import CATALOGUE, Event
from orchestra.ledger.evidence_file import evidence_file
from orchestra.ledger.log import Finding, LedgerError, Tail
from orchestra.ledger.outcome import FINE
from orchestra.ledger.runs import LEDGER
from orchestra.plan import Plan

Body = Mapping[str, Any]

# A verdict that an execution must have led to, and how its last attempt must have ended.
_EXECUTED: Final = {"passed": "passed", "flaky": "passed", "failed": "failed", "timeout": "timeout"}
_NOT_EXECUTED: Final = frozenset({"unchanged", "skipped"})


class Audited(NamedTuple):
    """What an audit found.

    Attributes:
        finding: the first wrong line; None when nothing is wrong.
        events, files: how many events and files of evidence were looked at.
        verdicts: how many tasks have one.
        ended: the record ends in a seal over a finished run.
        signer: the SHA-256 of the public key that the last seal names, empty where it names none.
    """

    finding: Finding | None
    events: int
    files: int
    verdicts: int
    ended: bool
    signer: str = ""


@dataclass(slots=True)
class _Life:
    """A task from its selection to its verdict; begins anew when it is reopened."""

    running: int = 0
    ended: int = 0
    outcome: str = ""
    suspects: int = 0
    verdict: str = ""
    excused: bool = False


@dataclass(slots=True)
class Lives:
    """Judges each event by those before it; `fault` tells what is wrong with one, or None."""

    tasks: dict[str, _Life] = field(default_factory=dict)
    begun: bool = False
    finished: bool = False
    _given: dict[str, list[tuple[int, str, int]]] = field(default_factory=dict)

    def fault(self, event: Event) -> str | None:
        """What the event says that cannot be, after those before it. One of a newer version is passed over."""
        known = CATALOGUE.get(event.type)
        if known is None or event.v > known.version:
            return None
        if missing := known.body.__required_keys__ - event.body.keys():
            return f"its body lacks {', '.join(sorted(missing))}"
        if not self.begun and event.type not in {"run_started", "note"}:
            return f'the first event of a run is "run_started", and not "{event.type}"'
        judge = _JUDGES.get(event.type)
        return judge(self, event) if judge is not None else None

    def open_tasks(self) -> list[str]:
        """The selected tasks without a verdict."""
        return [task for task, life in self.tasks.items() if not life.verdict]

    def _run_started(self, event: Event) -> str | None:
        if self.begun:
            return "the run has begun already"
        self.begun = True
        self.tasks = {task: _Life() for task in event.body["selection"]}
        return None if len(self.tasks) == len(event.body["selection"]) else "it selects a task twice"

    def _run_resumed(self, event: Event) -> str | None:
        self.finished = False
        for life in self.tasks.values():
            life.running = 0
        return self._reopen(event.body["rerun"])

    def _attempt_started(self, event: Event) -> str | None:
        body = event.body
        life, fault = self._life(body["task"])
        if life is None:
            return fault
        if life.running:
            return f"attempt {life.running} of {body['task']} has not ended"
        if body["attempt"] != life.ended + 1:
            return f"it is attempt {body['attempt']} of {body['task']}, and the next one is {life.ended + 1}"
        life.running = body["attempt"]
        return None

    def _attempt_finished(self, event: Event) -> str | None:
        body = event.body
        life, fault = self._life(body["task"])
        if life is None:
            return fault
        if body["attempt"] != life.running:
            return f"attempt {body['attempt']} of {body['task']} ends without having started"
        if body["seconds"] < 0:
            return f"attempt {body['attempt']} of {body['task']} took {body['seconds']} seconds"
        life.running, life.ended, life.outcome = 0, body["attempt"], body["outcome"]
        life.suspects += bool(body.get("infra_suspect"))
        return None

    def _verdict(self, event: Event) -> str | None:
        body = event.body
        task, verdict, attempts = body["task"], body["verdict"], body["attempts"]
        life, fault = self._life(task)
        if life is None:
            return fault
        if fault := _verdict_fault(life, task, verdict, attempts):
            return fault
        life.verdict, life.running, life.excused = verdict, 0, bool(body.get("excused"))
        self._given.setdefault(task, []).append((event.seq, verdict, attempts))
        return None

    def _rolled_back(self, event: Event) -> str | None:
        body = event.body
        if body["to_seq"] >= event.seq:
            return f"it goes back to event {body['to_seq']}, which is not before it"
        self.finished = False
        if fault := self._reopen(body["reopened"]):
            return fault
        for task, done in body["restored"].items():
            if task not in self.tasks:
                return f"{task} was not selected"
            before = [(verdict, tries) for seq, verdict, tries in self._given.get(task, ()) if seq <= body["to_seq"]]
            if not before or before[-1] != (done["verdict"], done["attempts"]):
                return f'it restores "{done["verdict"]}" for {task}, which it did not have at event {body["to_seq"]}'
            self.tasks[task] = _Life(ended=done["attempts"], verdict=done["verdict"])
        return None

    def _run_finished(self, event: Event) -> str | None:
        if waiting := self.open_tasks():
            return f"the run ends, but {waiting[0]} has no verdict ({len(waiting)} in all)"
        counts: dict[str, int] = {}
        for life in self.tasks.values():
            counts[life.verdict] = counts.get(life.verdict, 0) + 1
        said = {verdict: count for verdict, count in event.body["counts"].items() if count}
        if said != counts:
            return f"it counts {_counted(said)}, and the verdicts are {_counted(counts)}"
        bad = any(life.verdict not in FINE and not life.excused for life in self.tasks.values())
        if event.body["exit_code"] == 0 and (bad or "failed" in event.body["gates"].values()):
            return "it has the exit code 0, but not all is good"
        self.finished = True
        return None

    def _life(self, task: str) -> tuple[_Life, None] | tuple[None, str]:
        life = self.tasks.get(task)
        if life is None:
            return None, f"{task} was not selected"
        if life.verdict:
            return None, f'{task} has its final verdict already: "{life.verdict}"'
        return life, None

    def _reopen(self, tasks: Iterable[str]) -> str | None:
        for task in tasks:
            if task not in self.tasks:
                return f"{task} was not selected"
            self.tasks[task] = _Life()
        return None


def _verdict_fault(life: _Life, task: str, verdict: str, attempts: int) -> str | None:
    """What a verdict says that the executions before it do not bear out."""
    after = f'{task} is "{verdict}" after {attempts} attempts, of which {life.ended} have ended'
    if verdict in _NOT_EXECUTED:
        return f'{task} is "{verdict}", but has {attempts} attempts' if attempts else None
    if verdict not in _EXECUTED:
        return None if life.ended <= attempts <= max(life.ended, life.running) else after
    if not attempts:
        return f'{task} is "{verdict}" without an execution'
    if life.running or attempts != life.ended:
        return after
    if life.outcome != _EXECUTED[verdict]:
        return f'{task} is "{verdict}", but its last attempt ended as "{life.outcome}"'
    excused = 1 + life.suspects  # what failed during an incident is repeated and does not make a pass flaky
    if (verdict == "flaky" and attempts == 1) or (verdict == "passed" and attempts > excused):
        return f'{task} passed on attempt {attempts}: that is not "{verdict}"'
    return None


_JUDGES: Final[Mapping[str, Callable[[Lives, Event], str | None]]] = {
    name: getattr(Lives, f"_{name}") for name in CATALOGUE if hasattr(Lives, f"_{name}")
}


def audit(folder: Path, *, going: bool = False, signed_by: Callable[[Body], str | None] | None = None) -> Audited:
    """Audit a run.

    Args:
        folder: the run's.
        going: the run is under way: it may lack its end, and its last line may be half written.
        signed_by: says what is wrong with the signature of the last seal; None where nobody asks.

    Raises:
        MachineError: the ledger cannot be read.
    """
    tail, lives, files, last = Tail(folder / LEDGER, strict=True), Lives(), 0, ""
    facts, bound = integrity.Facts(Plan("", "", (), ())), (_Bound("logs"), _Bound("reports"))
    seal: Body = {}
    finding: Finding | None = None
    try:
        for event in tail.poll():
            fault = lives.fault(event) or _plan_fault(folder, event, facts)
            if fault is None:
                fault, seen = _evidence_fault(folder, event.body.get("evidence", ()))
                files += seen
            if fault is None and event.type == "seal":
                fault = integrity.seal_fault(facts, event.body)
            if fault is not None:
                finding = Finding(tail.path, tail.line, fault)
                break
            facts.see(event)
            for one in bound:
                one.see(event, tail)
            last = event.type
            seal = event.body if last == "seal" else seal
    except LedgerError as error:
        finding = error.finding
    if finding is None and not going:
        for one in bound:
            fault_of_files, seen = one.finding(folder)
            files += seen
            finding = finding or fault_of_files
        finding = finding or _end_fault(tail, lives, last)
    if finding is None and signed_by is not None:
        fault = signed_by(seal) if last == "seal" else "it has no end yet, and no seal that could be signed"
        finding = Finding(tail.path, tail.line, fault) if fault is not None else None
    verdicts = len(lives.tasks) - len(lives.open_tasks())
    sealed = last == "seal"
    return Audited(finding, tail.tip.seq, files, verdicts, lives.finished and sealed, str(seal.get("signed_by", "")))


@dataclass(slots=True)
class _Bound:
    """The files that an event binds last for a whole run: whole logs, which a segment that goes on writes on, and reports."""

    kind: str
    files: Sequence[Body] = ()
    path: Path = Path()
    line: int = 0

    def see(self, event: Event, tail: Tail) -> None:
        if event.type == "run_resumed":
            self.files = ()
        elif event.type == self.kind and event.v <= CATALOGUE[self.kind].version:
            self.files, self.path, self.line = event.body["files"], tail.path, tail.line

    def finding(self, folder: Path) -> tuple[Finding | None, int]:
        fault, seen = _evidence_fault(folder, self.files)
        return (Finding(self.path, self.line, fault) if fault is not None else None), seen


def _end_fault(tail: Tail, lives: Lives, last: str) -> Finding | None:
    """What the end of a ledger lacks that nobody writes any more."""
    line = tail.line + 1
    if tail.torn:
        return Finding(tail.path, line, f"it is half a line of {tail.torn} bytes, without a line feed")
    if waiting := lives.open_tasks():
        return Finding(tail.path, line, f"the run has no end: {waiting[0]} has no verdict ({len(waiting)} in all)")
    if not lives.begun or not lives.finished or last != "seal":
        return Finding(tail.path, line, "the run has no end: the seal is missing")
    return None


def _plan_fault(folder: Path, event: Event, facts: integrity.Facts) -> str | None:
    """What is wrong with the plan that an event names; the rules of integrity are judged by one that is whole."""
    if event.type not in {"run_started", "run_resumed"} or "plan_digest" not in event.body:
        return None
    try:
        plan = kept_plan.kept(folder, event.body["plan_digest"])
    except OrchestraError as error:
        return error.message
    if plan.source_digest != event.body["source_digest"]:
        return (
            f"it was compiled from {event.body['source_digest']}, and the plan that was kept from {plan.source_digest}"
        )
    facts.plan = plan
    return None


def _evidence_fault(folder: Path, files: Iterable[Body]) -> tuple[str | None, int]:
    """The first of these files that is not what was recorded, and how many were looked at."""
    number = 0
    for one in files:
        number += 1
        try:
            digest, size = file_digest(evidence_file(folder, one["path"]))
        except OSError as error:
            return f'the evidence "{one["path"]}" cannot be read: {error.strerror}', number
        if (digest, size) != (one["digest"], one["bytes"]):
            said, found = f"{one['bytes']} bytes, {one['digest'][:12]}…", f"{size} bytes, {digest[:12]}…"
            return f'the evidence "{one["path"]}" was changed: recorded with {said}, found with {found}', number
    return None, number


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())) or "none"
