"""The gates of a run judged once more, from its ledger alone. Pure. May import `gate`, `verdict`, `incident` and the ledger.

`Replay` folds the events of a run and gives, at any of them, the metrics that a gate would read there: counts, rates and
percentiles from verdicts, attempts and their seconds, outages from incidents, the health matrix from service events.
`rejudge` does so at each recorded gate and sets both sides beside each other. What a run measured at that moment (the load
of the machine, the clock) stands in the gate's own event only: it is taken from there, and marked so.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from orchestra.ledger.earlier import Earlier
from orchestra.ledger.event import CATALOGUE, VERDICTS, Event
from orchestra.ledger.outcome import speed_classes
from orchestra.metrics import metric_of
from orchestra.plan import Gate, Plan
from orchestra.runtime.gate import Execution, figures, judge
from orchestra.runtime.incident import REQUEUES
from orchestra.runtime.verdict import speed_class
from orchestra.standard import gates_of

Body = Mapping[str, Any]

MADE: Final = frozenset(
    {
        *VERDICTS,
        *("total", "executed", "excused", "retries", "skipped_silently", "regressions", "coverage"),
        *("pass_rate", "flaky_rate", "agreement", "seconds_p50", "seconds_p95", "seconds_max"),
        *(
            "servers_down",
            "degraded",
            "incidents",
            "infra_suspect",
            "recoveries",
            "health.<component>",
            "class.<speed>",
        ),
        *("method.<method>.failed", "method.<method>.pass_rate"),
        *("method.<method>.seconds_p50", "method.<method>.seconds_p95"),
        *("group.<group>.seconds_p50", "group.<group>.seconds_p95"),
    }
)
"""Metrics, by their name in the catalogue, that other events give. The rest was measured at that moment, and nobody can see it
again: the load, the clock, the files as they were."""

OF_SERVICES: Final = ("health.", "servers_down", "incidents", "recoveries", "degraded", "infra_suspect")
"""Metrics of the health matrix, which changes on a thread of its own: a gate may know of a change whose event comes behind."""

BEHIND: Final = 8
"""How many service events behind a gate may be those that it knew of already."""

TOLERANCE: Final = 1e-9
"""Relative; the numbers of both sides come from the same arithmetic, in another order."""


@dataclass(slots=True)
class _Row:
    """A row of the health matrix, as its events tell it."""

    required: bool
    state: str = "idle"
    failovers: int = 0
    incidents: int = 0
    recoveries: int = 0


@dataclass(slots=True)
class Replay:
    """The metrics of a run at each of its events.

    Attributes:
        plan_of: gives the plan by its digest, as the run's folder keeps it.
    """

    plan_of: Callable[[str], Plan]
    earlier: Earlier = field(default_factory=Earlier)
    plan: Plan | None = None
    _rows: dict[str, _Row] = field(default_factory=dict)
    _held: dict[str, int] = field(default_factory=dict)
    _slower: dict[str, bool] = field(default_factory=dict)
    _incidents: int = 0
    _suspects: int = 0

    def see(self, event: Event) -> None:
        """Take one event in; of a newer version it changes nothing."""
        self.earlier.add(event)
        known, take = CATALOGUE.get(event.type), _TAKE.get(event.type)
        if take is not None and known is not None and event.v <= known.version:
            take(self, event.body)

    def values(self) -> dict[str, Any]:
        """The metrics that have a value now, without what was measured; none before the first event."""
        if self.plan is None:
            return {}
        classes = speed_classes(self.plan)
        done = {
            task: Execution(
                body["verdict"],
                body["seconds"],
                body["attempts"],
                speed_class(body["seconds"], body["verdict"], classes.get(task.partition(":")[0], ()))
                if body["attempts"]
                else None,
                min(self._held.get(task, 0), REQUEUES),
                excused=bool(body.get("excused")),
                silent=body["verdict"] == "skipped" and not body["reason"],
            )
            for task, body in self.earlier.verdicts.items()
        }
        values = figures(self.plan, self.earlier.start["selection"], done, self._rows)
        return {
            **values,
            "regressions": sum(self._slower.values()),
            "incidents": self._incidents,
            "infra_suspect": self._suspects,
        }

    def _begin(self) -> None:
        """A segment begins: what is counted by the segment starts anew."""
        self.plan = self.plan_of(self.earlier.plan_digest)
        self._rows = {one.id: _Row(one.required) for one in self.plan.components}
        self._slower.clear()
        self._incidents = self._suspects = 0

    def _run_started(self, _body: Body) -> None:
        self._begin()

    def _run_resumed(self, body: Body) -> None:
        self._begin()
        for task in body["rerun"]:
            self._held.pop(task, None)

    def _rolled_back(self, body: Body) -> None:
        for task in body["reopened"]:
            self._held.pop(task, None)

    def _attempt_finished(self, body: Body) -> None:
        if body.get("infra_suspect"):
            self._suspects += 1
            self._held[body["task"]] = self._held.get(body["task"], 0) + 1

    def _comparison(self, body: Body) -> None:
        self._slower[body["task"]] = body["result"] == "slower"

    def _incident(self, body: Body) -> None:
        self._incidents += body["state"] == "opened"

    def _service_event(self, body: Body) -> None:
        row = self._rows.get(body["component"])
        if row is None:  # a part of a browser session
            return
        row.state = body["state"]
        action = body.get("action")
        if action and action != "fail_back":
            row.recoveries += 1
            row.failovers += action == "failover"


_TAKE: Final[Mapping[str, Callable[[Replay, Body], None]]] = {
    name: getattr(Replay, f"_{name}") for name in CATALOGUE if hasattr(Replay, f"_{name}")
}


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
        """Whether both agree."""
        return self.measured or _same(self.recorded, self.again)


class Rejudged(NamedTuple):
    """A recorded gate, and what it is judged to be now.

    Attributes:
        seq: the number of its event, 0 for a gate that has none.
        gate: `after:pass_rate`.
        expression: that was judged.
        result, message: as recorded.
        result_again, message_again: from the numbers that the ledger gives.
        numbers: one for each metric that it read.
        fault: what else is wrong: another condition than the plan's, a gate that nobody judged.
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
        """Whether the record and the ledger agree in every number, the result and the message."""
        told = (self.result, self.message) == (self.result_again, self.message_again)
        return told and not self.fault and all(one.same for one in self.numbers)


def rejudge(events: Sequence[Event], plan_of: Callable[[str], Plan]) -> Iterator[Rejudged]:
    """Each gate of a run once more, in the order of the ledger; then those of the plan that a finished run did not judge.

    Args:
        events: of the run, whole.
        plan_of: gives the plan by its digest.

    Raises:
        PlanError: the run keeps no such plan.
    """
    replay = Replay(plan_of)
    judged: dict[str, str] = {}
    for place, event in enumerate(events):
        replay.see(event)
        if event.type in {"run_started", "run_resumed"}:
            judged.clear()
        elif event.type == "gate" and replay.plan is not None and event.v <= CATALOGUE["gate"].version:
            judged[f"{event.body['phase']}:{event.body['name']}"] = event.body["result"]
            later = functools.partial(_behind, events[: place + 1], events, plan_of)
            yield _again(event, replay.plan, replay.values(), later)
        elif event.type == "run_finished" and replay.plan is not None:
            yield from _told_at_the_end(event.body["gates"], judged, gates_of(replay.plan))


def _again(
    event: Event, plan: Plan, values: Mapping[str, Any], later: Callable[[], Iterable[Mapping[str, Any]]]
) -> Rejudged:
    body = event.body
    key = f"{body['phase']}:{body['name']}"
    gate = next((one for one in gates_of(plan) if f"{one.phase}:{one.name}" == key), None)
    fault = "the plan has no such gate" if gate is None else ""
    if gate is not None and gate.require != body["expression"]:
        fault = f"the plan's condition is {gate.require}"
    recorded = {name: _typed(name, value) for name, value in body["values"].items()}
    known = {name: value for name, value in values.items() if name in recorded}
    doubted = [name for name in known if name.startswith(OF_SERVICES) and not _same(recorded[name], known[name])]
    for then in later() if doubted else ():
        known.update({name: then[name] for name in doubted if _same(recorded[name], then.get(name))})
    numbers = tuple(Number(name, value, known.get(name), not _made(name)) for name, value in recorded.items())
    found = judge(
        gate or Gate(body["phase"], body["name"], body["expression"]),
        {
            one.metric: one.recorded if one.measured else one.again
            for one in numbers
            if one.measured or one.again is not None
        },
    )
    return Rejudged(
        event.seq, key, body["expression"], body["result"], body["message"], found.result, found.message, numbers, fault
    )


def _behind(
    until: Sequence[Event], events: Sequence[Event], plan_of: Callable[[str], Plan]
) -> Iterator[Mapping[str, Any]]:
    """The metrics after each of the next service events: rarely asked for, so the fold is simply made again."""
    replay = Replay(plan_of)
    for event in until:
        replay.see(event)
    services = [one for one in events[len(until) :] if one.type in {"service_event", "incident", "attempt_finished"}]
    for event in services[:BEHIND]:
        replay.see(event)
        yield replay.values()


def _told_at_the_end(told: Mapping[str, str], judged: Mapping[str, str], gates: Iterable[Gate]) -> Iterator[Rejudged]:
    """Gates of which the end of the run says something else than their event, or nothing where there must be an event."""
    for gate in gates:
        key = f"{gate.phase}:{gate.name}"
        said, event = told.get(key, ""), judged.get(key)
        if event is None and gate.phase != "during":
            yield Rejudged(0, key, gate.require, said, "", "failed", "", fault="it applies and was never judged")
        elif event is not None and event != said:
            yield Rejudged(0, key, gate.require, said, "", event, "", fault="the end of the run tells another result")


def _made(name: str) -> bool:
    metric = metric_of(name)
    return metric is not None and metric.name in MADE


def _typed(name: str, value: Any) -> Any:
    """A value as it was before it was written: canonical JSON writes 1.0 as 1."""
    metric = metric_of(name)
    return float(value) if metric is not None and metric.type == "double" and isinstance(value, int) else value


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return type(one) is type(other) and bool(one == other)
