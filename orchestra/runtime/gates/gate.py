"""Evaluate quality gates before, during and after the tests.

`Gates` holds what a run needs to remember of its gates, and records every evaluation that changes something.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from orchestra.gates.expression import EvaluationError, NotApplicable, evaluate, filled, holes, names_in
from orchestra.ledger.event import Body, GateJudged, GateResult, Note
from orchestra.pause import pause_seconds
from orchestra.plan import Gate

SAMPLE_SECONDS = 1.0
"""The shortest time between two samples of the gates `during`, while the run waits for its tests anyway."""

SAMPLE_SHARE = 200
"""And so seldom that it takes one part in so many of the time: the figures of ten thousand tests take a while."""

MOST_SAMPLE_SECONDS = 10.0
"""The longest time between two samples: a gate that stops the run is to stop it while tests are left."""

PENDING = "not yet evaluated in a shard: orchestra merge does so"
"""The message of a gate of the end in a shard."""

Add = Callable[[Body], object]


@dataclass(slots=True)
class Gates:
    """The gates of one run.

    Attributes:
        gates: of the plan.
        add: records an event.
        clock: monotonic seconds.
        place: where a JSON pointer is in the spec, for people.
        whole: the run is no shard: the gates of the end are evaluated. Those of a shard are pending until it is merged.
        work: seconds of processor time of this thread: a sample that waits for the machine is not to put off the next one.
    """

    gates: Sequence[Gate]
    add: Add
    clock: Callable[[], float] = time.monotonic
    place: Callable[[str], str] = lambda _: ""
    whole: bool = True
    work: Callable[[], float] = time.thread_time
    _results: dict[str, GateResult] = field(default_factory=dict)
    _since: dict[str, float] = field(default_factory=dict)
    _stop: str = ""
    _throttled: set[str] = field(default_factory=set)
    _next: float = 0.0
    _worked: float = 0.0
    _sampled: bool = False

    def of(self, phase: Literal["before", "during", "after"]) -> list[Gate]:
        """Return the gates of a phase, in the order of the spec."""
        return [gate for gate in self.gates if gate.phase == phase]

    def components(self) -> list[str]:
        """Return the rows of the health matrix that before-gates ask about: they are started first."""
        read = (name for gate in self.of("before") for name in names_in(gate.require))
        return list(dict.fromkeys(name.partition(".")[2] for name in read if name.startswith("health.")))

    def before(self, values: Mapping[str, Any]) -> None:
        """Evaluate the gates before the first test; one that fails blocks every test."""
        for gate in self.of("before"):
            if self._judge(gate, values) == "failed":
                self._stop = self._stop or _said(gate, values)

    def due(self) -> bool:
        """Return True if the gates during the tests want another sample, which is then taken."""
        self._worked = self.work()
        return bool(self.of("during")) and self.clock() >= self._next

    def sample(self, values: Mapping[str, Any]) -> None:
        """Evaluate the gates during the tests on a sample: a condition that is false for `for_seconds` fails its gate."""
        now = self.clock()
        for gate in self.of("during"):
            verdict = _holds(gate, values)
            if verdict is not False:
                self._since.pop(gate.name, None)
                if gate.name in self._throttled:
                    self._throttled.discard(gate.name)
                    self._note(gate, values, "holds again, tests run in parallel again")
                if verdict is True:
                    self._results.setdefault(_key(gate), "passed")
                continue
            if now - self._since.setdefault(gate.name, now) < gate.for_seconds:
                continue
            judged = self._results.get(_key(gate)) in {"failed", "warned"}
            if not judged:
                self._judge(gate, values)
            if gate.on_fail == "throttle":
                if judged and gate.name not in self._throttled:
                    self._note(gate, values, "fails again, one test runs at a time")
                self._throttled.add(gate.name)
            elif gate.on_fail == "stop":
                self._stop = self._stop or _said(gate, values)
        # The first sample loads the library of the conditions, as no later one does.
        took = self.work() - self._worked if self._sampled else 0.0
        self._next = now + pause_seconds(took, parts=SAMPLE_SHARE, least=SAMPLE_SECONDS, most=MOST_SAMPLE_SECONDS)
        self._sampled = True

    def after(self, values: Mapping[str, Any]) -> None:
        """Evaluate the gates of the end, and record those of the run that passed, or never had a value.

        The gates during the tests get a last sample: what went wrong since the one before, in the last second of a run,
        would have been seen by no sample.
        """
        self.sample(values)
        for gate in self.of("after"):
            if self.whole:
                self._judge(gate, values)
            else:
                self._record(gate, Judged("pending", _read(gate, values, shown=False), PENDING))
        for gate in self.of("during"):
            if self._results.get(_key(gate)) == "passed" and _holds(gate, values) is False:
                self._record(gate, Judged("passed", _read(gate, values, shown=False), held_till_the_end(gate)))
            elif self._results.get(_key(gate), "passed") == "passed":
                self._judge(gate, values)

    def blocked(self) -> str:
        """Return the reason why no further test can start; empty if tests can."""
        return self._stop

    def throttled(self) -> bool:
        """Return True if only one test at a time may run now."""
        return bool(self._throttled)

    def failed(self) -> bool:
        """Return True if a gate fails the run."""
        return "failed" in self._results.values()

    def results(self) -> dict[str, str]:
        """Return the result of each gate, by `phase:name`. A gate that applies and was never evaluated has failed."""
        return {_key(gate): self._results.get(_key(gate), "failed") for gate in self.gates}

    def _note(self, gate: Gate, values: Mapping[str, Any], said: str) -> None:
        """Record that a throttle is lifted or applied again: its gate has been recorded already, and only its effect
        changes.
        """
        read = _read(gate, values, shown=False)
        shown = ", ".join(
            f"{name} = {f'{value:.4g}' if isinstance(value, float) else value}" for name, value in read.items()
        )
        message = f"{_key(gate)} {said}: {gate.require} ({shown})"
        self.add(Note(kind="throttle", message=message, data={"gate": _key(gate), "values": read}))

    def _judge(self, gate: Gate, values: Mapping[str, Any]) -> GateResult:
        judged = judge(gate, values)
        if judged.error and _key(gate) not in self._results:
            place = self.place(f"/gates/{gate.phase}/{gate.name}/require")
            message = f"{_key(gate)}{f' ({place})' if place else ''} cannot be evaluated, and fails: {judged.error}"
            self.add(Note(kind="gate", message=message))
        self._record(gate, judged)
        return judged.result

    def _record(self, gate: Gate, judged: Judged) -> None:
        self._results[_key(gate)] = judged.result
        self.add(
            GateJudged(
                phase=gate.phase,
                name=gate.name,
                result=judged.result,
                expression=gate.require,
                values=judged.values,
                message=judged.message,
            )
        )


class Judged(NamedTuple):
    """The result of a gate, the values that it read, and its message with values filled in.

    `error` is why its condition has no value; such a gate is not held.
    """

    result: GateResult
    values: dict[str, Any]
    message: str
    error: str = ""


def judge(gate: Gate, values: Mapping[str, Any]) -> Judged:
    """Evaluate a gate with the values of metrics. Pure: the same values always give the same result, also later."""
    error = ""
    try:
        verdict = evaluate(gate.require, values)
        said = _said(gate, values) if verdict is False else ""
    except EvaluationError as raised:
        error = str(raised)
        verdict, said = False, f"{_said(gate, values)} ({error})"
    result: GateResult
    if isinstance(verdict, NotApplicable):
        result, said = "not_applicable", f"no value for {', '.join(verdict.missing)} in this selection"
    elif verdict:
        result = "passed"
    else:
        # A throttle has had its effect: a busy machine is not a fault of the product.
        mild = gate.severity == "warn" or gate.on_fail in {"warn", "throttle"}
        result = "warned" if mild else "failed"
    return Judged(result, _read(gate, values, shown=verdict is False), said, error)


def held_till_the_end(gate: Gate) -> str:
    """Return what is recorded of a gate whose condition was false at the end of the tests, for less than its time."""
    return f"its condition was false at the end, for less than {gate.for_seconds:g} s"


def _read(gate: Gate, values: Mapping[str, Any], *, shown: bool) -> dict[str, Any]:
    """Return the values that a gate read; with those that its message shows."""
    names = (*names_in(gate.require), *(name for _, name in holes(gate.message) if shown))
    return {name: values[name] for name in names if name in values}


def _holds(gate: Gate, values: Mapping[str, Any]) -> bool | NotApplicable:
    """Return True if the condition of a gate is true; a condition without a value is not."""
    try:
        return evaluate(gate.require, values)
    except EvaluationError:
        return False


def _key(gate: Gate) -> str:
    return f"{gate.phase}:{gate.name}"


def _said(gate: Gate, values: Mapping[str, Any]) -> str:
    return filled(gate.message, values) if gate.message else f'gate "{gate.name}" is not held: {gate.require}'
