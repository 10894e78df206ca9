"""The fold of events into a report: the plan, left-joined with the ledger. Pure. May import `rows`, `beside`, `plan`,
`ledger`.

A task that the selection names and the ledger lacks is a row with the verdict `error` and the reason `never ran`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestra.ledger.event import CATALOGUE, Event, Verdict
from orchestra.ledger.outcome import FINE, TIMEOUT_CLASS, mark_of, speed_classes
from orchestra.plan import Plan, Test
from orchestra.report.beside import findings_of, host_rows
from orchestra.report.compare import Sides, agreements, compare, of_method
from orchestra.report.rows import Evidence, Failure, GateRow, IncidentRow, Pace, Report, Row, ServiceRow
from orchestra.report.waits import Wait, note
from orchestra.standard import gates_of

NEVER_RAN = "never ran"

_IN_THE_RECORD_ONLY = frozenset({"environment", "dirty"})
"""Parts of the provenance that are too long for a report."""

Body = Mapping[str, Any]


def _nowhere(_pointer: str) -> str:
    return ""


@dataclass(slots=True)
class Collector:
    """Takes events one by one, cheaply, and gives the report of what it has seen.

    `place_of` gives the place of a JSON pointer in the spec; it is asked only for tests that are not fine.
    """

    plan: Plan
    place_of: Callable[[str], str] = _nowhere
    start: Body = field(default_factory=dict)
    verdicts: dict[str, Body] = field(default_factory=dict)
    attempts: dict[str, list[Body]] = field(default_factory=dict)
    gates: dict[str, Body] = field(default_factory=dict)
    services: dict[str, Body] = field(default_factory=dict)
    rungs: dict[str, list[str]] = field(default_factory=dict)
    comparisons: dict[str, Body] = field(default_factory=dict)
    incidents: dict[str, Body] = field(default_factory=dict)
    waits: dict[str, Wait] = field(default_factory=dict)
    finish: Body | None = None
    interrupted: str = ""
    resumes: int = 0
    started: str = ""
    ended: str = ""
    _tests: dict[str, Test] = field(init=False)

    def __post_init__(self) -> None:
        self._tests = {test.id: test for test in self.plan.tests}

    def see(self, event: Event) -> None:
        """Take one event in. One of a newer version, or of a type without a part in the report, changes nothing."""
        self.started = self.started or event.time
        if event.type != "seal":  # it closes the record, and who watches the run is not shown it
            self.ended = event.time
        known = CATALOGUE.get(event.type)
        take = _TAKE.get(event.type)
        if take is not None and known is not None and event.v <= known.version:
            take(self, event.body)

    def selection(self) -> Sequence[str]:
        """The tasks that must have a verdict; all of the plan when the first event is lost."""
        if "selection" in self.start:
            chosen: Sequence[str] = self.start["selection"]
            return chosen
        return [
            f"{one.id}:{test.id}" for one in self.plan.methods for test in self.plan.tests if one.id in test.methods
        ]

    def report(self) -> Report:
        """The report of what was seen so far."""
        plan, start, finish = self.plan, self.start, self.finish
        tests = {test.id: test for test in plan.tests}
        rows = tuple(self.row(task, tests) for task in self.selection())
        used = dict.fromkeys(row.method for row in rows)
        order = [method.id for method in plan.methods if method.id in used]
        last = {task: attempts[-1] for task, attempts in self.attempts.items()} if len(order) > 1 else {}
        sides = Sides(last, self.verdicts).by_task()
        return Report(
            suite=plan.suite,
            title=plan.title,
            methods=(*order, *(method for method in used if method not in order)),
            rows=rows,
            gates=tuple(self._gate_rows()),
            services=tuple(self._service_rows()),
            comparisons=tuple(
                compare(order[0], of_method(sides, order[0]), other, of_method(sides, other)) for other in order[1:]
            ),
            agreements=agreements({name: of_method(sides, name) for name in order}) if len(order) > 2 else (),
            paces=tuple(pace_of(self.comparisons[row.task]) for row in rows if row.task in self.comparisons),
            incidents=tuple(map(_incident, self.incidents.values())),
            network=host_rows((row.task, self.attempts[row.task][-1]) for row in rows if self.attempts.get(row.task)),
            run=start.get("run", ""),
            started=self.started,
            ended=self.ended,
            seconds=None if finish is None else finish["seconds"],
            exit_code=None if finish is None else finish["exit_code"],
            interrupted=self.interrupted,
            plan_digest=start.get("plan_digest", ""),
            source_digest=start.get("source_digest", ""),
            plan_changed=bool(start) and start.get("plan_digest") != plan.digest(),
            profile=start.get("profile") or "",
            resumes=self.resumes,
            provenance=tuple(sorted(_flat(start.get("provenance", {})))),
        )

    def row(self, task: str, tests: Mapping[str, Test]) -> Row:
        """The row of a task, with a verdict or without."""
        method, _, name = task.partition(":")
        test = tests.get(name)
        given = self.verdicts.get(task) or {"verdict": "error", "reason": NEVER_RAN}
        verdict: Verdict = given["verdict"]
        attempts = self.attempts.get(task, [])
        failures = tuple(_failure(body) for body in attempts if body["outcome"] != "passed")
        if failures and verdict not in FINE and failures[-1].message in (reason := given.get("reason", "")):
            # It may have more to it than the attempt knew: an incident, a known failure that cannot be searched for.
            failures = (*failures[:-1], dataclasses.replace(failures[-1], message=reason))
        pace = given.get("speed_class") or ""
        row = Row(
            task=task,
            test=name,
            title=test.title if test is not None else "",
            group=test.group if test is not None else "",
            method=method,
            verdict=verdict,
            reason=given.get("reason", ""),
            seconds=given.get("seconds", 0.0),
            attempts=given.get("attempts", 0),
            speed_class=pace,
            mark=self.mark(method, verdict, pace),
            failures=failures,
            evidence=_evidence(attempts[-1]) if attempts else (),
            degraded=tuple(given.get("degraded", ())),
            unchanged_since=given.get("unchanged_since") or "",
            excused=given.get("excused") or "",
            tags=test.tags if test is not None else (),
            incidents=tuple(given.get("incidents", ())),
            findings=findings_of(attempts[-1]) if attempts else (),
        )
        return row if verdict in FINE else _placed(row, self._place(row, test))

    def mark(self, method: str, verdict: str, pace: str) -> str:
        """The mark of a speed class of a method; ❌ for a timeout; empty for a test that was not executed."""
        classes = speed_classes(self.plan).get(method, self.plan.speed)
        return mark_of(TIMEOUT_CLASS if verdict == "timeout" else pace, classes)

    def _place(self, row: Row, test: Test | None) -> str:
        if row.failure is not None and row.failure.place:
            return row.failure.place
        if test is None or (self.start and self.start.get("source_digest") != self.plan.source_digest):
            return ""  # the line of a later text would be a lie
        name = (test.of or test.id).replace("~", "~0").replace("/", "~1")
        return self.place_of(f"/tests/{name}")

    def _gate_rows(self) -> Iterable[GateRow]:
        results: Mapping[str, str] = self.finish["gates"] if self.finish is not None else {}
        own = {(gate.phase, gate.name) for gate in self.plan.gates}
        for gate in gates_of(self.plan):
            key = f"{gate.phase}:{gate.name}"
            body = self.gates.get(key)
            if body is None and (gate.phase, gate.name) not in own and key not in results:
                continue  # of a run by a version that did not have this standard gate, or one under way
            if body is None:
                yield GateRow(
                    gate.phase, gate.name, results.get(key, "failed"), gate.require, message=_unjudged(results, key)
                )
            else:
                values = tuple(sorted(body["values"].items()))
                yield GateRow(gate.phase, gate.name, body["result"], body["expression"], values, body["message"])

    def _service_rows(self) -> Iterable[ServiceRow]:
        for name, body in self.services.items():
            rungs = tuple(self.rungs.get(name, ()))
            yield ServiceRow(name, body["state"], body.get("url") or "", body["reason"], rungs)

    # -------------------------------------------------------------------------------------------------- events by type

    def _run_started(self, body: Body) -> None:
        self.start = body

    def _run_resumed(self, body: Body) -> None:
        self.resumes += 1
        self.finish = None
        self.interrupted = ""
        self.gates.clear()
        self._reopen(body["rerun"])
        digests = {name: body[name] for name in ("plan_digest", "source_digest") if name in body}
        self.start = {**self.start, **digests}

    def _attempt_finished(self, body: Body) -> None:
        test = self._tests.get(body["test"])
        if test is not None:
            note(self.waits, test, body["steps"])
        # Of a pass nothing else is reported, and ten thousand bodies need not be kept; steps, where methods are compared.
        kept = body
        if body["outcome"] == "passed":
            kept = {"outcome": "passed", "evidence": body["evidence"], "error": None, "steps": []}
            if len(self.plan.methods) > 1:
                kept["steps"] = body["steps"]
            kept |= {part: body[part] for part in ("findings", "network") if part in body}
        self.attempts.setdefault(body["task"], []).append(kept)

    def _comparison(self, body: Body) -> None:
        self.comparisons[body["task"]] = body

    def _verdict(self, body: Body) -> None:
        self.verdicts[body["task"]] = body

    def _service_event(self, body: Body) -> None:
        self.services[body["component"]] = body
        if body.get("action"):
            self.rungs.setdefault(body["component"], []).append(body["action"])

    def _incident(self, body: Body) -> None:
        name = f"{self.resumes}:{body.get('id', body['component'])}"  # in ledgers whose segments each count anew, too
        self.incidents[name] = body

    def _gate(self, body: Body) -> None:
        self.gates[f"{body['phase']}:{body['name']}"] = body

    def _interrupted(self, body: Body) -> None:
        self.interrupted = body["signal"]

    def _rolled_back(self, body: Body) -> None:
        self.finish = None
        self._reopen(body["reopened"])
        for task, done in body["restored"].items():
            self.verdicts[task] = {**self.verdicts.get(task, {}), "reason": "", **done}

    def _run_finished(self, body: Body) -> None:
        self.finish = body

    def _reopen(self, tasks: Iterable[str]) -> None:
        for task in tasks:
            self.verdicts.pop(task, None)
            self.attempts.pop(task, None)
            self.comparisons.pop(task, None)


_TAKE: Mapping[str, Callable[[Collector, Body], None]] = {
    name: getattr(Collector, f"_{name}") for name in CATALOGUE if hasattr(Collector, f"_{name}")
}


def collect(plan: Plan, events: Iterable[Event], place_of: Callable[[str], str] = _nowhere) -> Report:
    """The report of a run from its events."""
    collector = Collector(plan, place_of)
    for event in events:
        collector.see(event)
    return collector.report()


def _unjudged(results: Mapping[str, str], key: str) -> str:
    return "" if results.get(key) == "passed" else "never judged"


def pace_of(body: Body) -> Pace:
    """The row of an event `comparison`."""
    return Pace(
        task=body["task"],
        result=body["result"],
        suspected=body["suspected"],
        seconds=body["seconds"],
        repeats=tuple(body["repeats"]),
        median=body["median_seconds"],
        mad=body["mad_seconds"],
        runs=body["runs"],
        limit=body["limit_seconds"],
    )


def _incident(body: Body) -> IncidentRow:
    closed = body["state"] == "closed"
    return IncidentRow(
        id=body.get("id", body["component"]),
        component=body["component"],
        reason=body["reason"],
        outcome=body.get("outcome", "recovered") if closed else "open",
        seconds=body.get("seconds") if closed else None,
        rungs=tuple(body.get("rungs", ())),
        tests=tuple(body.get("tests", ())),
    )


def _evidence(body: Body) -> tuple[Evidence, ...]:
    return tuple(Evidence(one["path"], one["kind"]) for one in body["evidence"])


def _failure(body: Body) -> Failure:
    error: Body = body["error"] or {}
    number = error.get("step")
    verb = next(
        (one["verb"] for one in reversed(body["steps"]) if one["index"] == number and one["outcome"] != "passed"), ""
    )
    return Failure(
        attempt=body["attempt"],
        outcome=body["outcome"],
        kind=error.get("kind", ""),
        message=error.get("message", ""),
        step="" if number is None else f"step {number + 1} {verb}".rstrip(),
        place=error.get("at") or "",
        expected=error.get("expected") or "",
        found=error.get("found") or "",
        hint=error.get("hint") or "",
        evidence=_evidence(body),
    )


def _placed(row: Row, place: str) -> Row:
    return dataclasses.replace(row, place=place)


def _flat(facts: Mapping[str, object], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in facts.items():
        if name in _IN_THE_RECORD_ONLY:
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", "" if value is None else str(value)
