"""Define the rows of a report: tests, gates and servers, as frozen data.

Every form of a report is made of these and of nothing else; `orchestra.report.fold` makes them from plan and events.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from orchestra.gates.standard import is_standard
from orchestra.ledger.case import Case, CaseVerdict, counted
from orchestra.ledger.event import AttemptFinished, Compared, Expected, ResourceSampled, ServiceChanged, Verdict
from orchestra.ledger.life import Seen
from orchestra.ledger.outcome import FINE
from orchestra.ledger.parts import Evidence, Finding, numbered
from orchestra.ledger.run_record import RunRecord
from orchestra.ledger.use import Use
from orchestra.plan import Baseline
from orchestra.report.by_hand import ByHand
from orchestra.report.compare.comparison import Agreement, Comparison
from orchestra.report.findings import HostRow


class Try(NamedTuple):
    """One attempt: when it ended, and its event."""

    ended: str
    body: AttemptFinished


@dataclass(frozen=True, slots=True)
class Row:
    """One selected task and what became of it.

    Attributes:
        task: `cli:B004`.
        test, title, group, method: from the plan; title and group are empty when the plan no longer has the test.
        verdict, reason: the final word.
        seconds: of the last attempt, 0.0 when none ran.
        attempts: how many ran.
        speed_class, mark: empty for a test that was not executed.
        place: of the failure, else of a test that is not fine; `file:line:column`.
        failures: attempts that did not pass, in order; the last one explains a bad verdict.
        evidence: files of the last attempt.
        degraded: what was not as declared.
        unchanged_since: the run that an `unchanged` rests on.
        excused: why it does not fail the run though it did not pass.
        tags: from the plan.
        incidents: ids of those that overlapped an attempt or blocked the test.
        findings: errors outside assertions, of the last attempt.
        cases: of a wrapped runner, of the last attempt.
        tries: every attempt that counts, in order.
        needs, after: tests of the plan that this one needs, or follows.
        outer: the groups around its group, the innermost first.
        unmet: the needs whose failure does not block it, with the effect.
    """

    task: str
    test: str
    title: str
    group: str
    method: str
    verdict: Verdict
    reason: str = ""
    seconds: float = 0.0
    attempts: int = 0
    speed_class: str = ""
    mark: str = ""
    place: str = ""
    failures: tuple[AttemptFinished, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    degraded: tuple[str, ...] = ()
    unchanged_since: str = ""
    excused: str = ""
    tags: tuple[str, ...] = ()
    incidents: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    cases: tuple[Case, ...] = ()
    tries: tuple[Try, ...] = ()
    needs: tuple[str, ...] = ()
    unmet: Mapping[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    outer: tuple[str, ...] = ()

    @property
    def odd_cases(self) -> tuple[Case, ...]:
        """See `odd_of`."""
        return odd_of(self.cases)

    @property
    def cases_text(self) -> str:
        """Return the number of cases by verdict, in words; empty without any."""
        if not self.cases:
            return ""
        number = len(self.cases)
        words = ", ".join(f"{count} {verdict}" for verdict, count in counted(self.cases).items())
        return f"{number} case{'s' * (number != 1)}: {words}"

    @property
    def files(self) -> tuple[Evidence, ...]:
        """Return the evidence that is a file of its own, which other programs can show."""
        return tuple(one for one in self.evidence if one.offset is None)

    @property
    def output(self) -> str:
        """Return the place of its output among that of others that passed; empty where it has none."""
        return next((one.place for one in self.evidence if one.offset is not None), "")

    @property
    def failure(self) -> AttemptFinished | None:
        """The attempt that explains a verdict that is not fine; None for the others, flaky ones too."""
        return self.failures[-1] if self.failures and self.verdict not in FINE else None

    @property
    def message(self) -> str:
        """Return the reason of the verdict, in words."""
        return (message_of(self.failure) if self.failure is not None else "") or self.reason


QUIET: Final[frozenset[CaseVerdict]] = frozenset({"passed", "skipped"})
"""Verdicts of a case that need no look."""


def odd_of(cases: Iterable[Case]) -> tuple[Case, ...]:
    """Return the cases that did not pass, or only when they were tried again: failures, excused and flaky ones, in this
    order.
    """
    odd = [case for case in cases if case.verdict not in QUIET]
    return tuple(sorted(odd, key=lambda case: (not case.bad, case.verdict == "flaky")))


def files_of(row: Row, case: Case) -> list[str]:
    """Return the files of a case that were retained, relative to the run's folder."""
    ends = tuple(f"/{path}" for path in case.attachments)
    return [one.path for one in row.evidence if one.path.endswith(ends)] if ends else []


def message_of(attempt: AttemptFinished) -> str:
    """Return the reason why an attempt did not pass; empty if unknown."""
    return attempt.error.message if attempt.error is not None else ""


def step_of(attempt: AttemptFinished) -> str:
    """Return the step that failed, `step 3 expect`, `step 1 of finally click`; empty outside of the steps."""
    if attempt.error is None or attempt.error.step is None:
        return ""
    place = attempt.error.section, attempt.error.step
    missed = (
        step.verb
        for step in reversed(attempt.steps)
        if (step.section, step.index) == place and step.outcome != "passed"
    )
    return f"step {numbered(*place)} {next(missed, '')}".rstrip()


def explained(attempt: AttemptFinished, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the known details of an attempt that did not pass, a name and a text each.

    Args:
        attempt: as recorded.
        names: of `message at step expected found log hint` those that are wanted, in order.
    """
    if attempt.error is None:
        return
    for name in names:
        text = step_of(attempt) if name == "step" else getattr(attempt.error, name)
        if text:
            yield name, text


@dataclass(frozen=True, slots=True)
class GateRow:
    """A gate of the plan, its result, and when it had it; one that was never evaluated has failed."""

    phase: str
    name: str
    result: str
    expression: str
    values: tuple[tuple[str, object], ...] = ()
    message: str = ""
    at: str = ""

    @property
    def quiet(self) -> bool:
        """A standard gate that passed, or that a shard leaves to the merge: it need not be shown each time."""
        return self.result in {"passed", "pending"} and is_standard(self.phase, self.name, self.expression)


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """The last state of a row of the health matrix, and its recovery steps."""

    component: str
    state: str
    url: str
    reason: str
    recovery_steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """A time in which a component was out of order.

    Attributes:
        id: `backend-1`.
        component: its row.
        reason: what was seen.
        outcome: `recovered`, `failed`, `unresolved`; `open` while it goes on.
        seconds: how long, None while it goes on.
        recovery_steps: the recovery steps that were tried, in order.
        tests: tasks that it overlapped.
        opened, closed: when; empty while it goes on.
    """

    id: str
    component: str
    reason: str
    outcome: str = "open"
    seconds: float | None = None
    recovery_steps: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    opened: str = ""
    closed: str = ""


@dataclass(frozen=True, slots=True)
class Advice:
    """A suggestion that saves time.

    Attributes:
        rule: its id.
        about: the test, line or method that it is about.
        saved: seconds a run.
        evidence: what it rests on, with the numbers.
    """

    rule: str
    about: str
    saved: float
    evidence: str


@dataclass(frozen=True, slots=True)
class Contents:
    """Texts and pictures that a report holds itself, because its reader may have nothing but that one file.

    Attributes:
        spec: text of the spec around a place, by `file:line`.
        texts: text of a file of evidence, by its path; a long one is cut.
        pictures: content of a picture, by its path; empty unless asked for.
    """

    spec: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)


_PLACE = re.compile(r"(.+?):([0-9]+):([0-9]+)(?=$|[ ,])")


class Position(NamedTuple):
    """A place in a spec."""

    file: str
    line: int
    column: int


def position(place: str) -> Position | None:
    """Return where a place is, without the block behind it; None where it names no line."""
    found = _PLACE.match(place)
    return Position(found[1], int(found[2]), int(found[3])) if found else None


@dataclass(frozen=True, slots=True)
class Report:
    """A run as it is reported.

    Attributes:
        suite, title: of the plan.
        methods: ids of those that a row uses, in the order of the plan.
        rows: in the order of the selection.
        gates: of the plan; empty for a run that evaluated none because it never began.
        services: by component.
        paces: suspicious durations, in the order of the rows.
        comparisons: each further method with the first.
        agreements: of each method with each other, where there are more than two.
        by_hand: results that were seen by hand, in order.
        incidents: in the order in which they began.
        advice: what would save time, by rule.
        network: what pages asked of the network, by method and host.
        run: its id.
        started, ended: UTC stamps of the first and the last event.
        seconds: wall time as the run gave it, None when it did not finish.
        expected: how long it was expected to take; None where no duration was known, and for a run that was resumed.
        exit_code: None when it did not finish.
        interrupted: the signal that asked it to end, empty for none.
        plan_digest, source_digest: as recorded at its start.
        plan_changed: the plan given here is another than the run's, so titles and places may be of later texts.
        unchecked: certificates of servers were not checked.
        profile, resumes: as recorded.
        shard: `2/4` of a run that is one of several shards; empty for a whole one.
        provenance: commit, tools, machine; nested keys joined by a dot.
        spent: seconds by what the run did, as `ledger.spent` has the rows.
        use: what the run used of its machine; None where no sample was recorded.
        titles: of methods and of groups, by id.
        changes: of the rows of the health matrix, in order.
        earlier: the runs before this one, in the order of time.
        contents: texts and pictures of the evidence.
        samples: of the load of the machine, in order.
        rule: by which a duration is an unusual one.
        seal: the hash of the seal at its end, empty before.
        tool: the program that a command to type names: `orchestra`, or the launcher of the spec.
    """

    suite: str
    title: str
    methods: tuple[str, ...]
    rows: tuple[Row, ...]
    gates: tuple[GateRow, ...] = ()
    services: tuple[ServiceRow, ...] = ()
    paces: tuple[Compared, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    by_hand: tuple[ByHand, ...] = ()
    incidents: tuple[IncidentRow, ...] = ()
    advice: tuple[Advice, ...] = ()
    network: tuple[HostRow, ...] = ()
    run: str = ""
    started: str = ""
    ended: str = ""
    seconds: float | None = None
    expected: Expected | None = None
    exit_code: int | None = None
    interrupted: str = ""
    plan_digest: str = ""
    source_digest: str = ""
    plan_changed: bool = False
    unchecked: bool = False
    profile: str = ""
    shard: str = ""
    resumes: int = 0
    provenance: tuple[tuple[str, str], ...] = ()
    use: Use | None = None
    spent: Mapping[str, float] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    changes: tuple[Seen[ServiceChanged], ...] = ()
    earlier: tuple[RunRecord, ...] = ()
    contents: Contents = Contents()
    samples: tuple[Seen[ResourceSampled], ...] = ()
    rule: Baseline = field(default_factory=Baseline)
    seal: str = ""
    tool: str = "orchestra"
