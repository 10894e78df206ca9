"""Evaluate the gates of a run again, from its ledger alone. Pure.

`values_of` returns, for the view of a run at any of its events, the metrics that a gate would read there: counts, rates
and percentiles from verdicts, attempts and their seconds, outages from incidents, the health matrix from service
events. `rejudge` does so at each recorded gate and compares both sides. Values that a run measured at that moment (the
load of the machine, the clock) are in the event of the gate only: they are taken from there, and marked.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from orchestra.gates.catalogue import metric_of
from orchestra.gates.standard import gates_of
from orchestra.instances import WORSE, component_of
from orchestra.ledger.event import (
    AttemptFinished,
    Event,
    GateJudged,
    Incident,
    RunFinished,
    RunResumed,
    RunStarted,
    ServiceChanged,
)
from orchestra.ledger.view import View, view_of
from orchestra.plan import Gate, Plan
from orchestra.runtime.gates.figures import figures
from orchestra.runtime.gates.gate import PENDING, held_till_the_end, judge

OF_SERVICES: Final = ("health.", "servers_down", "incidents", "recoveries", "degraded", "infra_suspect")
"""Metrics of the health matrix, which changes on a thread of its own: a gate may know of a change whose event comes behind."""

BEHIND: Final = 8
"""The number of service events after a gate that it may have known already."""

TOLERANCE: Final = 1e-9
"""Relative; the numbers of both sides come from the same arithmetic, in another order."""


class _Row(NamedTuple):
    """A row of the health matrix, from its events."""

    state: str
    required: bool


def values_of(plan: Plan, view: View) -> dict[str, Any]:
    """Return the metrics that a gate would read at this point of a run, without what was measured then."""
    health: dict[str, str] = {}
    for name, seen in view.health.services.items():
        if seen.seq > view.segment.seq:  # `backend@2` is the row of shard 2 of a merged run: the worst one counts
            row, state = name.partition("@")[0], seen.body.state
            if row not in health or WORSE.get(state, 0) > WORSE.get(health[row], 0):
                health[row] = state
    required = {component.id: component.required for component in plan.components}
    rows = {name: _Row("idle", needed) for name, needed in required.items()}
    rows |= {
        row: _Row(state, required[name]) for row, state in health.items() if (name := component_of(row)) in required
    }
    slower = [
        life for life in view.lives.values() if life.comparison is not None and life.comparison.result == "slower"
    ]
    return {**figures(plan, view, rows), "regressions": len(slower)}


class Number(NamedTuple):
    """One metric of a gate.

    Attributes:
        metric: its name.
        recorded: the value in the gate's event.
        again: the value that the ledger gives; None when it gives none.
        measured: it was measured at that moment, so that `recorded` is all there is.
    """

    metric: str
    recorded: Any
    again: Any
    measured: bool

    @property
    def same(self) -> bool:
        """Return True if both agree."""
        return self.measured or _same(self.recorded, self.again)


class Rejudged(NamedTuple):
    """A recorded gate, and its new evaluation.

    Attributes:
        seq: the number of its event, 0 for a gate that has none.
        gate: `after:pass_rate`.
        expression: that was evaluated.
        result, message: as recorded.
        result_again, message_again: from the numbers that the ledger gives.
        numbers: one for each metric that it read.
        fault: a further problem: a condition other than the plan's, a gate that was not evaluated.
    """

    seq: int
    gate: str
    expression: str
    result: str
    message: str
    result_again: str
    message_again: str
    numbers: tuple[Number, ...] = ()
    fault: str = ""

    @property
    def same(self) -> bool:
        """Return True if the record and the ledger agree in every number, the result and the message."""
        told = (self.result, self.message) == (self.result_again, self.message_again)
        return told and not self.fault and all(number.same for number in self.numbers)


def rejudge(events: Sequence[Event], plan_of: Callable[[str], Plan]) -> Iterator[Rejudged]:
    """Yield each gate of a run again, in the order of the ledger; then those of the plan that a finished run did not
    evaluate.

    Args:
        events: of the run, whole.
        plan_of: gives the plan by its digest.

    Raises:
        PlanError: the run keeps no such plan.
    """
    view, plan = View(steps=False), None
    judged: dict[str, str] = {}
    for place, event in enumerate(events):
        view.see(event)
        match event.body:
            case RunStarted() | RunResumed():
                plan = plan_of(view.segment.plan_digest)
                judged.clear()
            case GateJudged() as body if plan is not None:
                judged[f"{body.phase}:{body.name}"] = body.result
                later = functools.partial(_behind, events[: place + 1], events, plan)
                if view.start is not None and view.start.merged is not None and body.phase != "after":
                    continue  # of a shard: its own record has what it read
                sharded = body.phase == "after" and view.start is not None and view.start.shard is not None
                yield _again(event.seq, body, plan, values_of(plan, view), later, sharded=sharded)
            case RunFinished() as body if plan is not None:
                yield from _told_at_the_end(body.gates, judged, gates_of(plan))


def _again(
    seq: int,
    body: GateJudged,
    plan: Plan,
    values: Mapping[str, Any],
    later: Callable[[], Iterable[Mapping[str, Any]]],
    *,
    sharded: bool,
) -> Rejudged:
    key = f"{body.phase}:{body.name}"
    gate = next((declared for declared in gates_of(plan) if f"{declared.phase}:{declared.name}" == key), None)
    fault = "the plan has no such gate" if gate is None else ""
    if gate is not None and gate.require != body.expression:
        fault = f"the plan's condition is {gate.require}"
    recorded = {name: _typed(name, value) for name, value in body.values.items()}
    known = {name: value for name, value in values.items() if name in recorded}
    doubted = [name for name in known if name.startswith(OF_SERVICES) and not _same(recorded[name], known[name])]
    for then in later() if doubted else ():
        known.update({name: then[name] for name in doubted if _same(recorded[name], then.get(name))})
    numbers = tuple(Number(name, value, known.get(name), not _made(name)) for name, value in recorded.items())
    judged = judge(
        gate or Gate(body.phase, body.name, body.expression),
        {
            number.metric: number.recorded if number.measured else number.again
            for number in numbers
            if number.measured or number.again is not None
        },
    )
    if body.result == "pending" and sharded:
        judged = judged._replace(result="pending", message=PENDING)
    if gate is not None and gate.phase == "during" and body.message == held_till_the_end(gate):
        judged = judged._replace(result="passed", message=body.message)  # how long it was false is in no event
    return Rejudged(seq, key, body.expression, body.result, body.message, judged.result, judged.message, numbers, fault)


def _behind(until: Sequence[Event], events: Sequence[Event], plan: Plan) -> Iterator[Mapping[str, Any]]:
    """Yield the metrics after each of the next service events: rarely asked for, so the view is simply made again."""
    view = view_of(until, steps=False)
    services = [
        event for event in events[len(until) :] if isinstance(event.body, ServiceChanged | Incident | AttemptFinished)
    ]
    for event in services[:BEHIND]:
        view.see(event)
        yield values_of(plan, view)


def _told_at_the_end(told: Mapping[str, str], judged: Mapping[str, str], gates: Iterable[Gate]) -> Iterator[Rejudged]:
    """Yield gates whose result at the end of the run differs from their event, or that lack a required event."""
    for gate in gates:
        key = f"{gate.phase}:{gate.name}"
        said, event = told.get(key, ""), judged.get(key)
        if event is None and (
            gate.phase != "during" or said != "passed"
        ):  # version 0.1 did not record one that was held
            yield Rejudged(0, key, gate.require, said, "", "failed", "", fault="it applies and was never evaluated")
        elif event is not None and event != said:
            yield Rejudged(0, key, gate.require, said, "", event, "", fault="the end of the run has another result")


def _made(name: str) -> bool:
    metric = metric_of(name)
    return metric is not None and not metric.measured


def _typed(name: str, value: Any) -> Any:
    """Return a value as it was before it was written: canonical JSON writes 1.0 as 1."""
    metric = metric_of(name)
    return float(value) if metric is not None and metric.type == "double" and isinstance(value, int) else value


def _same(recorded: Any, again: Any) -> bool:
    if isinstance(recorded, float) and isinstance(again, (int, float)):
        return math.isclose(recorded, again, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return type(recorded) is type(again) and bool(recorded == again)
