"""The report of a run: its plan, left-joined with its view. Pure.

A task that the selection names and the ledger lacks is a row with the verdict `error` and the reason `never ran`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace

from orchestra.gates.standard import gates_of
from orchestra.ledger.event import AttemptFinished, Verdict
from orchestra.ledger.life import Outage
from orchestra.ledger.outcome import FINE, TIMEOUT_CLASS, mark_of, speed_classes
from orchestra.ledger.view import View
from orchestra.plan import Plan, Test
from orchestra.report.by_hand import by_hand
from orchestra.report.compare.comparison import agreements, compare
from orchestra.report.compare.sides import of_method, sides
from orchestra.report.findings import host_rows
from orchestra.report.rows import GateRow, IncidentRow, Report, Row, ServiceRow, Try

NEVER_RAN = "never ran"

_IN_THE_RECORD_ONLY = frozenset({"environment", "dirty"})
"""Parts of the provenance that are too long for a report."""


def nowhere(_pointer: str) -> str:
    """Return the place of what is not looked up."""
    return ""


@dataclass(slots=True)
class Rows:
    """Makes the rows of a run from its view.

    Attributes:
        plan: the suite.
        place_of: gives the place of a JSON pointer in the spec; it is asked only for tests that are not fine.
    """

    plan: Plan
    place_of: Callable[[str], str] = nowhere
    tests: Mapping[str, Test] = field(init=False)

    def __post_init__(self) -> None:
        self.tests = {test.id: test for test in self.plan.tests}

    def selection(self, view: View) -> Sequence[str]:
        """Return the tests that must have a verdict; all of the plan when the start of the run is lost."""
        if view.start is not None:
            return view.selection
        return [
            f"{method.id}:{test.id}"
            for method in self.plan.methods
            for test in self.plan.tests
            if method.id in test.methods
        ]

    def row(self, view: View, task: str) -> Row:
        """Return the row of a task, with a verdict or without."""
        method, _, name = task.partition(":")
        test, verdict = self.tests.get(name), view.verdicts.get(task)
        tries = [Try(seen.time, seen.body) for seen in view.life(task).attempts]
        attempts = [attempt.body for attempt in tries]
        failures = [body for body in attempts if body.outcome != "passed"]
        if failures and verdict is not None and verdict.verdict not in FINE:
            failures[-1] = _explained(failures[-1], verdict.reason)
            tries = [
                attempt._replace(body=failures[-1]) if _same(attempt.body, failures[-1]) else attempt
                for attempt in tries
            ]
        row = Row(
            task=task,
            test=name,
            title=test.title if test is not None else "",
            group=test.group if test is not None else "",
            outer=test.outer if test is not None else (),
            method=method,
            verdict="error" if verdict is None else verdict.verdict,
            reason=NEVER_RAN,
            failures=tuple(failures),
            evidence=attempts[-1].evidence if attempts else (),
            tags=test.tags if test is not None else (),
            findings=attempts[-1].findings if attempts else (),
            cases=attempts[-1].cases if attempts else (),
            tries=tuple(tries),
            needs=test.needs if test is not None else (),
            unmet=test.unmet if test is not None else {},
            after=test.after if test is not None else (),
        )
        if verdict is not None:
            row = dataclasses.replace(
                row,
                reason=verdict.reason,
                seconds=verdict.seconds,
                attempts=verdict.attempts,
                speed_class=verdict.speed_class or "",
                mark=self.mark(method, verdict.verdict, verdict.speed_class or ""),
                degraded=(*verdict.degraded, *(mocked(attempts[-1].facts) if verdict.attempts and attempts else ())),
                unchanged_since=verdict.unchanged_since or "",
                excused=verdict.excused,
                incidents=verdict.incidents,
            )
        return row if row.verdict in FINE else dataclasses.replace(row, place=self._place(view, row, test))

    def mark(self, method: str, verdict: Verdict, pace: str) -> str:
        """Return the mark of a speed class of a method; ❌ for a timeout; empty for a test that was not executed."""
        classes = speed_classes(self.plan).get(method, self.plan.speed)
        return mark_of(TIMEOUT_CLASS if verdict == "timeout" else pace, classes)

    def _place(self, view: View, row: Row, test: Test | None) -> str:
        if row.failure is not None and row.failure.error is not None and row.failure.error.at:
            return row.failure.error.at
        if test is None or (view.start is not None and view.segment.source_digest != self.plan.source_digest):
            return ""  # the line of a later text would be a lie
        name = (test.of or test.id).replace("~", "~0").replace("/", "~1")
        return self.place_of(f"/tests/{name}")


def mocked(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield each mock of an attempt that answered requests, with their number, and each file and picture that it wrote.

    A mock of a method is there in all its tests: one that answered nothing takes nothing from a test.
    """
    for name, count in facts.get("mocks", {}).items():
        if count:
            yield f"mocked {name} ({count} request{'' if count == 1 else 's'})"
    for name, count in facts.get("recorded", {}).items():
        yield f"recorded {name} ({count} request{'' if count == 1 else 's'})"
    for name, how in facts.get("looks", {}).items():
        yield f"{how} the look {name}"


def _explained(body: AttemptFinished, reason: str) -> AttemptFinished:
    """Return the attempt that decides a verdict. The verdict may know more: an incident, a known failure that could not
    be searched.
    """
    if body.error is None or body.error.message not in reason:
        return body
    return replace(body, error=replace(body.error, message=reason))


def _same(one: AttemptFinished, other: AttemptFinished) -> bool:
    return one.attempt == other.attempt


def report(plan: Plan, view: View, place_of: Callable[[str], str] = nowhere) -> Report:
    """Return the report of a run, as far as its view has seen it."""
    maker = Rows(plan, place_of)
    rows = tuple(maker.row(view, task) for task in maker.selection(view))
    used = dict.fromkeys(row.method for row in rows)
    order = [method.id for method in plan.methods if method.id in used]
    both = sides(view) if len(order) > 1 else {}
    last = [body for row in rows if (body := view.life(row.task).last) is not None]
    start, segment = view.start, view.segment
    return Report(
        suite=plan.suite,
        title=plan.title,
        methods=(*order, *(method for method in used if method not in order)),
        rows=rows,
        gates=tuple(_gate_rows(plan, view)),
        services=tuple(_service_rows(view)),
        comparisons=tuple(
            compare(order[0], of_method(both, order[0]), other, of_method(both, other)) for other in order[1:]
        ),
        agreements=agreements({name: of_method(both, name) for name in order}) if len(order) > 2 else (),
        by_hand=by_hand(view),
        paces=tuple(one for row in rows if (one := view.life(row.task).comparison) is not None),
        incidents=tuple(map(_incident, view.health.outages)),
        network=host_rows(last),
        run=start.run if start is not None else "",
        started=view.begun,
        ended=view.ended,
        seconds=None if segment.finish is None else segment.finish.seconds,
        expected=start.expected if start is not None and start.merged is None and len(view.segments) == 1 else None,
        exit_code=None if segment.finish is None else segment.finish.exit_code,
        interrupted=segment.interrupted,
        plan_digest=segment.plan_digest,
        source_digest=segment.source_digest,
        plan_changed=start is not None and segment.plan_digest != plan.digest(),
        unchecked=plan.tls.ignore_https_errors,
        profile=(start.profile if start is not None else None) or "",
        shard=start.shard.name if start is not None and start.shard is not None else "",
        resumes=len(view.segments) - 1,
        provenance=tuple(sorted(_flat(to_builtins(start.provenance)))) if start is not None else (),
        spent=view.spent.rows(),
        use=view.use.copy() if view.sample is not None else None,
        titles={**plan.group_titles(), **{one.id: one.title for one in plan.methods}},
        changes=tuple(view.health.changes),
        samples=tuple(view.samples),
        rule=plan.baseline,
        seal=view.segment.seal,
        tool=plan.outputs.launcher,
    )


def _gate_rows(plan: Plan, view: View) -> Iterator[GateRow]:
    results = view.segment.finish.gates if view.segment.finish is not None else {}
    own = {(gate.phase, gate.name) for gate in plan.gates}
    for gate in gates_of(plan):
        key = f"{gate.phase}:{gate.name}"
        seen = view.gates.get(key)
        if seen is not None:
            body = seen.body
            values = tuple(sorted(body.values.items()))
            yield GateRow(gate.phase, gate.name, body.result, body.expression, values, body.message, seen.time)
        elif (gate.phase, gate.name) in own or key in results:
            result = results.get(key, "failed")
            message = "" if result == "passed" else "never evaluated"
            yield GateRow(gate.phase, gate.name, result, gate.require, message=message)
        # else of a run by a version that did not have this standard gate, or one under way


def _service_rows(view: View) -> Iterator[ServiceRow]:
    for name, seen in view.health.services.items():
        recovery_steps = tuple(
            change.body.action for change in view.health.changes if change.body.component == name and change.body.action
        )
        yield ServiceRow(name, seen.body.state, seen.body.url or "", seen.body.reason, recovery_steps)


def _incident(outage: Outage) -> IncidentRow:
    body = outage.opened.body if outage.closed is None else outage.closed.body
    return IncidentRow(
        id=body.id or body.component,
        component=body.component,
        reason=body.reason,
        outcome=(body.outcome or "recovered") if outage.closed is not None else "open",
        seconds=body.seconds if outage.closed is not None else None,
        recovery_steps=body.recovery_steps,
        tests=body.tests,
        opened=outage.opened.time,
        closed=outage.closed.time if outage.closed is not None else "",
    )


def _flat(facts: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        if name in _IN_THE_RECORD_ONLY:
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", "" if value is None else str(value)
